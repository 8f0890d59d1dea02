"""The deadline of one attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.spawn_policy import TimeoutPolicy
from muster.domain.timeouts import AttemptDeadline

POLICY = TimeoutPolicy(initial_timeout=4.0, max_timeout=12.0, extension_threshold=2.0)


def end_of(policy: TimeoutPolicy, outputs: list[float]) -> float:
    """When an attempt ends that began at 0 and wrote at these times."""
    deadline = AttemptDeadline(policy, 0.0)
    while True:
        heard = [moment for moment in outputs if moment <= deadline.due]
        due = deadline.due
        if deadline.reached(due, heard[-1] if heard else None):
            return due


@pytest.mark.parametrize(
    ("outputs", "end"),
    [
        ([], 4.0),
        ([1.0], 4.0),
        ([2.0], 6.0),
        ([second / 2 for second in range(13)], 9.0),
        ([second / 2 for second in range(40)], 12.0),
        ([3.9], 6.0),
    ],
    ids=["silent", "too long ago", "just in time", "until 6", "talking", "last word"],
)
def test_progressive_deadline(outputs: list[float], end: float) -> None:
    """Only output shortly before a deadline puts it off, and never beyond the maximum."""
    assert end_of(POLICY, outputs) == end


def test_fixed_deadline_never_moves() -> None:
    """A fixed limit is the same for the silent and for the talkative."""
    policy = TimeoutPolicy(mode="fixed", timeout=7.0)

    assert end_of(policy, [second / 4 for second in range(100)]) == 7.0


def test_lag_of_ours_is_forgiven() -> None:
    """Seconds in which our own loop stood still are not the agent's."""
    deadline = AttemptDeadline(POLICY, 0.0)

    deadline.forgive(5.0)

    assert not deadline.reached(8.9, None)
    assert deadline.reached(9.0, None)
    assert not deadline.extended


@given(
    st.floats(0.1, 100),
    st.floats(0, 100),
    st.floats(0, 50),
    st.lists(st.floats(0, 1000), max_size=50).map(sorted),
)
def test_end_lies_between_the_limits(
    initial: float, more: float, threshold: float, outputs: list[float]
) -> None:
    """Whatever is written when, an attempt ends within [initial, maximum]."""
    policy = TimeoutPolicy(
        initial_timeout=initial,
        max_timeout=initial + more,
        extension_threshold=threshold,
    )

    end = end_of(policy, outputs)

    assert initial <= end <= initial + more
