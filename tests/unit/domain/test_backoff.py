"""Waits that grow, and never beyond their cap."""

from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from muster.domain.backoff import Jitter, Strategy, delay

JITTERS = get_args(Jitter)
STRATEGIES = get_args(Strategy)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("immediate", [0.0, 0.0, 0.0, 0.0]),
        ("fixed", [2.0, 2.0, 2.0, 2.0]),
        ("linear", [2.0, 8.0, 14.0, 20.0]),
        ("exponential", [2.0, 6.0, 18.0, 30.0]),
    ],
)
def test_strategies(strategy: Strategy, expected: list[float]) -> None:
    """Base 2, factor 3, cap 30."""
    waits = [
        delay(n, strategy=strategy, base=2, maximum=30, factor=3, jitter="none")
        for n in range(4)
    ]

    assert waits == expected


@pytest.mark.parametrize(
    ("jitter", "draw", "expected"),
    [
        ("none", 0.0, 10.0),
        ("none", 1.0, 10.0),
        ("full", 0.0, 0.0),
        ("full", 0.25, 2.5),
        ("full", 1.0, 10.0),
        ("equal", 0.0, 5.0),
        ("equal", 1.0, 10.0),
    ],
)
def test_jitter(jitter: Jitter, draw: float, expected: float) -> None:
    """Full: from nothing; equal: from the half; none ignores the draw."""
    wait = delay(0, draw, base=10, maximum=60, factor=2, jitter=jitter)

    assert wait == expected


@pytest.mark.parametrize("jitter", JITTERS)
def test_no_overflow_and_no_66_seconds_at_a_cap_of_60(jitter: Jitter) -> None:
    """2.0 ** 5000 has no float, and the cap is one after the jitter, too."""
    wait = delay(5000, 1.0, base=1, maximum=60, factor=2, jitter=jitter)

    assert wait == 60


@given(
    n=st.integers(0, 10**6),
    draw=st.floats(0, 1),
    strategy=st.sampled_from(STRATEGIES),
    base=st.floats(0, 1e308),
    maximum=st.floats(0, 1e308),
    factor=st.floats(0, 1e308),
    jitter=st.sampled_from(JITTERS),
)
@example(
    n=10**6,
    draw=1.0,
    strategy="exponential",
    base=0.0,
    maximum=1.0,
    factor=1e308,
    jitter="none",
)
@example(
    n=2,
    draw=0.0,
    strategy="exponential",
    base=1e308,
    maximum=1.0,
    factor=1e100,
    jitter="full",
)
def test_always_within_the_cap(
    *,
    n: int,
    draw: float,
    strategy: Strategy,
    base: float,
    maximum: float,
    factor: float,
    jitter: Jitter,
) -> None:
    """For any numbers that a policy lets through."""
    wait = delay(
        n,
        draw,
        strategy=strategy,
        base=base,
        maximum=maximum,
        factor=factor,
        jitter=jitter,
    )

    assert 0 <= wait <= maximum


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_later_retry_never_waits_less(n: int, m: int) -> None:
    """Without jitter, and with a factor that grows."""
    first, second = (
        delay(each, base=1, maximum=60, factor=2, jitter="none")
        for each in sorted((n, m))
    )

    assert first <= second
