"""The machine's clocks and chance behind their ports."""

from muster.infrastructure.clock import SystemClock
from muster.infrastructure.randomness import SystemRandomness


def test_clocks():
    """Durations never go back; records are epoch seconds."""
    clock = SystemClock()

    assert clock.monotonic() <= clock.monotonic()
    assert clock.epoch() > 1_700_000_000


def test_draws_and_tokens():
    """A seed repeats the draws and never the names."""
    one, same, other = (SystemRandomness(seed) for seed in (7, 7, None))
    draws = [one.draw() for _ in range(100)]

    assert draws == [same.draw() for _ in range(100)]
    assert draws != [other.draw() for _ in range(100)]
    assert all(0 <= draw < 1 for draw in draws)
    assert len({each.token() for each in (one, same, other) for _ in range(99)}) == 297
