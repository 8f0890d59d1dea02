"""One attempt and its limits: deadlines, silence, time that we lost ourselves."""

import asyncio

import pytest
from attrs import evolve

from muster.application.first_looks import FirstLooks
from muster.application.ports.agent_orchestrator import Report
from muster.domain import presets
from muster.domain.events import (
    AgentEnded,
    AgentExited,
    AgentStarted,
    OutputReceived,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
)
from muster.domain.outcome import FailureCause
from muster.domain.spawn_policy import SpawnPolicy, TerminationPolicy, TimeoutPolicy
from muster.domain.task import AgentOutput
from muster.testing import VirtualTimeLoop, in_virtual_time, run_in_virtual_time
from tests.unit.application.acting import (
    ANSWER,
    FIVE,
    LATE,
    SILENCE,
    Notebook,
    cancelling,
    hang,
    now,
    run,
)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("deadline_at", "at", "cause"),
    [(2.0, 2.0, "deadline"), (5.0, 5.0, "deadline"), (9.0, 5.0, "timeout")],
)
@in_virtual_time
async def test_deadlines(
    deadline_at: float,
    at: float,
    cause: str,
    shared: bool,  # noqa: FBT001
) -> None:
    """The earlier of the task's deadline and the attempt's limit, to the moment."""
    looks = FirstLooks() if shared else None

    done = await run(hang, deadline_at=deadline_at, deadline_failure=LATE, looks=looks)

    assert done.failure is not None
    assert (done.failure.cause, now()) == (cause, at)


@in_virtual_time
async def test_no_limit_no_timer() -> None:
    """Without any moment to look at nothing is armed."""

    async def play(report: Report) -> AgentOutput:
        loop = asyncio.get_running_loop()
        assert not loop._scheduled  # type: ignore[attr-defined]
        return ANSWER

    assert (await run(play, first_look=float("inf"))).output is ANSWER


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("blocked_for", [0.2, 0.3, 3.0])
def test_a_deadline_that_comes_late_still_comes(
    blocked_for: float,
    shared: bool,  # noqa: FBT001
) -> None:
    """A loop that stood still at the very deadline ends the agent as soon as it turns."""
    turns = 0

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)

        def count() -> None:
            nonlocal turns
            turns += 1
            assert turns < 100, "it looks again and again"
            loop.call_soon(count)

        def block() -> None:
            loop.advance(blocked_for)
            loop.call_soon(count)

        loop.call_at(1.99, block)
        looks = FirstLooks() if shared else None
        done = await run(hang, deadline_at=2.0, deadline_failure=LATE, looks=looks)
        assert done.failure is LATE
        assert now() == pytest.approx(1.99 + blocked_for)

    run_in_virtual_time(main())


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_time_that_we_lost_is_given_back(
    shared: bool,  # noqa: FBT001
    watched: bool,  # noqa: FBT001
) -> None:
    """An attempt's own limit moves by what the loop stood still."""
    policy = evolve(FIVE, termination=TerminationPolicy(enabled=watched))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.call_at(4.9, loop.advance, 3.1)
        done = await run(hang, policy, looks=FirstLooks() if shared else None)
        assert done.failure is not None
        assert now() == pytest.approx(5 + 3.0)

    run_in_virtual_time(main())


@in_virtual_time
async def test_who_has_ended_may_return_but_not_for_ever() -> None:
    """An adapter that says the end and does not return is cancelled after a moment."""

    async def play(report: Report) -> AgentOutput:
        report(AgentEnded(0))
        return await hang(report)

    done = await run(play)

    assert done.failure is not None
    assert done.failure.cause is FailureCause.TIMEOUT
    assert now() == 5 + presets.LATE_EXIT_GRACE


@in_virtual_time
async def test_who_has_ended_keeps_its_answer() -> None:
    """A verdict between the last report and the return changes nothing."""

    async def play(report: Report) -> AgentOutput:
        report(AgentEnded(0))
        await asyncio.sleep(7)
        return ANSWER

    done = await run(play)

    assert (done.output, done.failure, cancelling()) == (ANSWER, None, 0)


@in_virtual_time
async def test_vitals_that_raise_are_no_vitals() -> None:
    """A look that meets a broken probe still ends the agent."""

    def vitals() -> float:
        raise OSError("gone")

    async def play(report: Report) -> AgentOutput:
        report(AgentStarted(1, vitals))
        report(OutputReceived("stdout", b"x"))
        return await hang(report)

    done = await run(play, SILENCE)

    assert done.failure is not None
    assert (done.failure.cause, now()) == ("no_activity", 2.0)


@in_virtual_time
async def test_cpu_time_and_tool_calls_are_life() -> None:
    """A silent compiler is no stall; silence begins when the tool call is over."""

    async def play(report: Report) -> AgentOutput:
        report(AgentStarted(1, lambda: now() if now() < 50 else 50.0))
        report(OutputReceived("stdout", b"x"))
        await asyncio.sleep(60)
        return ANSWER

    async def tooling(report: Report) -> AgentOutput:
        report(OutputReceived("stdout", b"x"))
        report(ToolCallOpened("1", "make"))
        await asyncio.sleep(30)
        report(ToolCallClosed("1"))
        return await hang(report)

    done = await run(play, SILENCE)
    assert done.failure is not None
    assert 50 < now() < 54
    before = now()
    done = await run(tooling, SILENCE)
    assert done.failure is not None
    assert 30 < now() - before < 34


@in_virtual_time
async def test_a_warning_comes_at_half_the_silence() -> None:
    """Once per episode, to the observer if there is one."""
    book = Notebook()

    async def play(report: Report) -> AgentOutput:
        report(OutputReceived("stdout", b"x"))
        await asyncio.sleep(1.5)
        report(TextProduced("still here"))
        return await hang(report)

    done = await run(play, SILENCE, observer=book)
    assert len(book.seen) == 2
    assert done.idle == 2.0
    await run(hang, SILENCE)


@in_virtual_time
async def test_a_tool_silent_until_done_gets_all_its_time() -> None:
    """Silence rules don't hold, and a progressive limit goes to its maximum."""
    policy = SpawnPolicy(
        timeout=TimeoutPolicy(initial_timeout=4, max_timeout=10, extension_threshold=1)
    )

    done = await run(hang, policy, silent_until_done=True)

    assert done.failure is not None
    assert (done.failure.cause, now(), done.extended) == ("timeout", 10.0, True)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("deadline_at", [5.0, 5.5, 100.0])
@in_virtual_time
async def test_a_drain_is_charged_to_nobody(
    deadline_at: float,
    shared: bool,  # noqa: FBT001
) -> None:
    """Who exited in time is done, though its limits pass while its pipes are drained."""

    async def play(report: Report) -> AgentOutput:
        report(AgentStarted())
        await asyncio.sleep(4.9)
        report(OutputReceived("stderr", b"Error: invalid API key\n"))
        report(AgentExited())
        await asyncio.sleep(3.0)
        report(AgentEnded(0))
        return ANSWER

    done = await run(
        play,
        deadline_at=deadline_at,
        deadline_failure=LATE,
        looks=FirstLooks() if shared else None,
    )

    assert (done.failure, done.output) == (None, ANSWER)


@in_virtual_time
async def test_a_drain_without_end_is_ended() -> None:
    """Limits hold again after the longest that a drain may last."""

    async def play(report: Report) -> AgentOutput:
        await asyncio.sleep(4.0)
        report(AgentExited())
        return await hang(report)

    done = await run(play)

    assert done.failure is not None
    assert done.failure.cause is FailureCause.TIMEOUT
    longest = 2 * presets.DRAIN + FIVE.termination.grace + presets.KILL_BOUND
    assert now() == pytest.approx(4.0 + longest)


@in_virtual_time
async def test_checks_after_the_exit_have_limits() -> None:
    """What is run to check an answer is held to the limits of the attempt."""

    async def play(report: Report) -> AgentOutput:
        await asyncio.sleep(1.0)
        report(AgentExited())
        report(ToolCallOpened("check"))
        return await hang(report)

    done = await run(play)

    assert done.failure is not None
    assert now() == 5.0
