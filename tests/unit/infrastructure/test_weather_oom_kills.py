"""Who sent a SIGKILL: the kernel's out-of-memory killer, or somebody else."""

import pytest

from muster.infrastructure.adapters.local_process.oom_kills import OomKills

AGENT_LIVES = [(1.0, 2.0), (1.5, 2.5), (3.0, 4.0)]


@pytest.mark.parametrize(
    ("counts", "answers"),
    [
        ([7, 7, 7, 7], [False, False, False]),
        ([7, 8, 8, 8], [True, True, False]),  # one stroke, two agents, and a later one
        ([7, 7, 8, 8], [False, True, False]),
        ([7, 7, 7, 9], [False, False, True]),
        ([None, None, None, None], [None, None, None]),
        ([7, None, 8, 8], [None, True, False]),
    ],
)
def test_who_killed(counts: list[int | None], answers: list[bool | None]) -> None:
    """Only what the kernel did during an agent's life counts."""
    kills = OomKills(iter(counts).__next__)

    assert [kills.struck(since, now) for since, now in AGENT_LIVES] == answers


def test_many_looks_are_bounded() -> None:
    """A fleet may be killed for months; the oldest look stands for all before it."""
    kills = OomKills(iter(range(10_000)).__next__)

    assert all(kills.struck(n, n + 0.5) for n in range(1000))
    assert len(kills._looks) == 64


def test_this_kernel_is_asked() -> None:
    """Nothing happens here, so nothing is told."""
    assert not OomKills().struck(0.0, 1.0)
