"""The public door of the kit, its fakes, and a plugin that nobody notices."""

import pytest

import muster.errors
import muster.testing
from muster.domain import errors
from muster.domain.agent_profile import AgentProfile
from muster.domain.errors import JournalError, MusterError, ToolNotFoundError
from muster.domain.fleet_events import LaneParked, LaneSlowed
from muster.domain.lane_notice import LaneNotice
from muster.domain.outcome import SpawnResult
from muster.domain.tool import ToolSpec
from muster.testing import (
    FixedAgents,
    FixedClock,
    FixedRandomness,
    FixedTools,
    HaltSwitch,
    MemoryJournal,
    NullLaneGate,
    RecordingSink,
    in_virtual_time,
)


@pytest.mark.parametrize("module", [muster.testing, muster.errors])
def test_public_names_exist_and_are_sorted(module: object) -> None:
    """What `__all__` says is there, once."""
    names = module.__all__

    assert sorted(set(names)) == names
    assert all(getattr(module, name).__doc__ for name in names)


def test_every_error_of_the_domain_is_public() -> None:
    """A new error can be caught by name."""
    in_domain = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, MusterError)
    }

    assert set(muster.errors.__all__) == in_domain


def test_draws_come_in_turn_and_tokens_never_twice() -> None:
    """Chance that is known."""
    chance = FixedRandomness(0.0, 0.9)

    assert [chance.draw() for _ in range(3)] == [0.0, 0.9, 0.0]
    assert len({chance.token() for _ in range(3)}) == 3


def test_a_fixed_clock_moves_when_told() -> None:
    """Both readings by the same seconds."""
    clock = FixedClock(now=5.0, epoch_at_zero=100.0)

    clock.advance(2.5)

    assert (clock.monotonic(), clock.epoch()) == (7.5, 107.5)


def test_a_sink_keeps_events_by_kind_and_may_raise() -> None:
    """The event is kept before the error comes."""
    slowed, parked = LaneSlowed("l", "r", 1.0), LaneParked("l", "r", None)
    sink = RecordingSink()
    sink.emit(slowed)
    sink.error = ValueError("full")

    with pytest.raises(ValueError, match="full"):
        sink.emit(parked)

    assert sink.events == [slowed, parked]
    assert sink.of(LaneParked) == [parked]


@in_virtual_time
async def test_a_journal_remembers_until_it_is_broken() -> None:
    """What could not be recorded is not there."""
    journal = MemoryJournal()
    await journal.record(SpawnResult(success=True))
    journal.broken = True

    with pytest.raises(JournalError):
        await journal.record(SpawnResult(success=True, task_index=1))

    assert [result.task_index for result in journal.results] == [0]
    assert journal.output_path("t") is None


@in_virtual_time
async def test_a_halt_can_be_pulled_and_lifted() -> None:
    """Halted with a reason, or not halted without."""
    switch = HaltSwitch()
    seen = []
    for act in (lambda: None, lambda: switch.halt("fire"), switch.resume):
        act()
        seen.append((await switch.is_halted(), await switch.halt_reason()))

    assert seen == [(False, None), (True, "fire"), (False, None)]


def test_registries_know_what_they_were_given() -> None:
    """Names are enough; a tool that is not there can't be found."""
    agents = FixedAgents("b", AgentProfile("a", model="opus"))
    lint, fmt = ToolSpec("lint", "lint"), ToolSpec("fmt", "fmt")
    tools = FixedTools(lint, fmt)

    assert agents.names() == ["a", "b"]
    assert (agents.find("b"), agents.find("c")) == (AgentProfile("b"), None)
    assert [tools.resolve(each) for each in (None, "fmt", fmt)] == [lint, fmt, fmt]
    with pytest.raises(ToolNotFoundError, match="nope"):
        tools.resolve("nope")
    assert FixedTools().resolve("anything").name == "anything"


def test_behind_a_null_gate_is_nobody() -> None:
    """What is published there is never read."""
    gate = NullLaneGate()

    gate.publish("lane", LaneNotice())

    assert gate.read("lane") is None


def test_the_fixtures_are_there(muster_stub, muster_virtual_time) -> None:
    """A stub of one's own, and a runner in virtual time."""

    async def main() -> str:
        return muster_stub.capabilities.name

    assert muster_virtual_time(main()) == "stub"
