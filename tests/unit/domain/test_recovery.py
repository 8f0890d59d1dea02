"""The way of a task: what may follow what."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from muster.domain.errors import InvalidTransitionError
from muster.domain.recovery import RecoveryState, RecoveryStateMachine

S = RecoveryState
ALLOWED = {
    S.INITIAL: {S.EXECUTING, S.CIRCUIT_OPEN},
    S.EXECUTING: {S.SUCCEEDED, S.RETRY_PENDING, S.FALLBACK_PENDING, S.FAILED},
    S.RETRY_PENDING: {S.RETRYING, S.FALLBACK_PENDING, S.FAILED},
    S.RETRYING: {S.SUCCEEDED, S.RETRY_PENDING, S.FALLBACK_PENDING, S.FAILED},
    S.FALLBACK_PENDING: {S.FALLBACK_EXECUTING, S.FAILED},
    S.FALLBACK_EXECUTING: {S.SUCCEEDED, S.FAILED},
    S.CIRCUIT_OPEN: {S.FALLBACK_EXECUTING, S.FAILED},
    S.SUCCEEDED: set(),
    S.FAILED: set(),
}
E, P, R = S.EXECUTING, S.RETRY_PENDING, S.RETRYING


def machine_after(*states: RecoveryState) -> RecoveryStateMachine:
    """A machine that went that way."""
    machine = RecoveryStateMachine()
    for state in states:
        machine.to(state)
    return machine


@pytest.mark.parametrize("source", S)
@pytest.mark.parametrize("target", S)
def test_every_pair_of_states(source: RecoveryState, target: RecoveryState) -> None:
    """What is not drawn raises, names both ends, and changes nothing."""
    machine = RecoveryStateMachine()
    machine.state = source
    if target in ALLOWED[source]:
        machine.to(target)
        assert machine.state is target
        return

    with pytest.raises(InvalidTransitionError) as caught:
        machine.to(target)

    assert (caught.value.source, caught.value.target) == (source.value, target.value)
    assert (machine.state, machine.recovery_path) == (source, [])


@pytest.mark.parametrize(
    ("way", "path"),
    [
        ([], []),
        ([E, S.SUCCEEDED], []),
        ([E, S.FAILED], []),
        ([E, P, R, S.SUCCEEDED], ["retry:1"]),
        ([E, P], []),
        ([E, P, R, P, R], ["retry:1", "retry:2"]),
        (
            [E, P, R, P, R, S.FALLBACK_PENDING, S.FALLBACK_EXECUTING, S.SUCCEEDED],
            ["retry:1", "retry:2", "fallback"],
        ),
        ([E, S.FALLBACK_PENDING], []),
        ([S.CIRCUIT_OPEN, S.FALLBACK_EXECUTING, S.FAILED], ["fallback"]),
        ([S.CIRCUIT_OPEN, S.FAILED], []),
    ],
)
def test_recovery_path(way: list[RecoveryState], path: list[str]) -> None:
    """What was really tried, in order; what was only meant to be is not in it."""
    machine = machine_after(*way)

    assert machine.recovery_path == path
    assert machine.retry_count == sum(step.startswith("retry") for step in path)
    assert machine.used_fallback is ("fallback" in path)


@pytest.mark.parametrize("state", S)
def test_final_states(state: RecoveryState) -> None:
    """Nothing follows success and failure."""
    assert state.is_final is (state in {S.SUCCEEDED, S.FAILED})


class RecoveryMachine(RuleBasedStateMachine):
    """Any order of requests, sensible or not."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = RecoveryStateMachine()
        self.visited = [S.INITIAL]

    @rule(state=st.sampled_from(S))
    def go(self, state: RecoveryState) -> None:
        try:
            self.machine.to(state)
        except InvalidTransitionError:
            assert state not in ALLOWED[self.visited[-1]]
        else:
            assert state in ALLOWED[self.visited[-1]]
            self.visited.append(state)

    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        following = sorted(ALLOWED[self.visited[-1]])
        if following:
            state = data.draw(st.sampled_from(following))
            self.machine.to(state)
            self.visited.append(state)

    @invariant()
    def the_path_is_what_was_visited(self) -> None:
        retries = self.visited.count(S.RETRYING)
        fallbacks = self.visited.count(S.FALLBACK_EXECUTING)
        path = [f"retry:{n + 1}" for n in range(retries)] + ["fallback"] * fallbacks
        assert fallbacks <= 1
        assert self.machine.recovery_path == path
        assert self.machine.state is self.visited[-1]


TestRecovery = RecoveryMachine.TestCase
TestRecovery.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
