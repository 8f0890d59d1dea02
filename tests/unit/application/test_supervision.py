"""One attempt: whoever ends it, it ends once, with the right reason."""

import asyncio

import pytest
from attrs import evolve

from muster.application.first_looks import FirstLooks
from muster.application.ports.agent_orchestrator import Report
from muster.domain.errors import AgentInvocationError, SystemHaltedError
from muster.domain.events import (
    AgentEnded,
    AgentStarted,
    OutputReceived,
    SessionStarted,
    UsageReported,
)
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.task import AgentOutput
from muster.testing import in_virtual_time, run_in_virtual_time
from tests.unit.application.acting import (
    ANSWER,
    ENOUGH,
    LATE,
    REQUEST,
    Actor,
    attempt,
    cancelling,
    hang,
    now,
    run,
)


@in_virtual_time
async def test_an_answer_is_an_answer() -> None:
    """Output, usage, session and counters are kept."""

    async def play(report: Report) -> AgentOutput:
        report(AgentStarted(1))
        report(SessionStarted("s"))
        report(UsageReported(Usage(1)))
        report(OutputReceived("stdout", b"abc"))
        report(OutputReceived("stdout", b"", 7))
        report(AgentEnded(0))
        return evolve(ANSWER, usage=Usage(2))

    done = await run(play)

    assert (done.output, done.failure, done.early) == (
        evolve(ANSWER, usage=Usage(2)),
        None,
        False,
    )
    assert (done.session_id, done.usage, done.events) == ("s", Usage(2), 6)
    assert (done.stdout_bytes, done.total_bytes) == (10, 10)


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        (SystemHaltedError("fire"), "halted", "fire"),
        (RuntimeError("boom"), "unknown", "RuntimeError: boom"),
        (ValueError(), "unknown", "ValueError: no message"),
        (
            AgentInvocationError("a", Failure(FailureCause.AUTH, "log in")),
            "auth",
            "log in",
        ),
    ],
)
@in_virtual_time
async def test_what_an_adapter_raises(error: Exception, cause: str, words: str) -> None:
    """A foreign error is unknown, its name and text kept; a failure says its cause."""

    async def play(report: Report) -> AgentOutput:
        raise error

    done = await run(play)

    assert done.failure is not None
    assert done.failure.cause.value == cause
    assert words in done.failure.message
    assert not done.early


@in_virtual_time
async def test_an_error_brings_its_end_along() -> None:
    """The ended record of the error counts where none was reported."""
    ended = AgentEnded(3, output="half")
    mine = AgentEnded(4)

    async def silent(report: Report) -> AgentOutput:
        raise AgentInvocationError("a", ENOUGH, ended)

    async def told(report: Report) -> AgentOutput:
        report(mine)
        raise AgentInvocationError("a", ENOUGH, ended)

    assert (await run(silent)).ended is ended
    assert (await run(told)).ended is mine


@in_virtual_time
async def test_a_verdict_leaves_no_cancellation_behind() -> None:
    """After a timeout the task goes on as if nobody had ever cancelled it."""
    done = await run(hang)
    await asyncio.sleep(1)

    assert done.failure is not None
    assert (done.failure.cause, done.early, now()) == ("timeout", True, 6.0)
    assert cancelling() == 0


@in_virtual_time
async def test_the_hosts_cancellation_passes() -> None:
    """It is not mistaken for a verdict, and the count stays right for the host."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await run(hang)

    assert now() == 1
    assert cancelling() == 0


@pytest.mark.parametrize("host_at", [4.0, 5.0, 5.5, 6.0])
@in_virtual_time
async def test_host_and_verdict_at_once(host_at: float) -> None:
    """Whoever of the two comes first: the host's cancellation passes, ours does not linger."""

    async def slow_end(report: Report) -> AgentOutput:
        try:
            return await hang(report)
        finally:
            await asyncio.sleep(2)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(host_at):
            await run(slow_end)

    assert cancelling() == 0


@pytest.mark.parametrize("failing", [False, True])
@in_virtual_time
async def test_an_end_in_the_moment_of_the_verdict(
    failing: bool,  # noqa: FBT001
) -> None:
    """An answer that comes in spite of the verdict stands; a failure is the verdict's."""

    async def play(report: Report) -> AgentOutput:
        try:
            return await hang(report)
        except asyncio.CancelledError:
            if failing:
                raise AgentInvocationError(
                    "a", Failure(FailureCause.CRASH, "x")
                ) from None
            return ANSWER

    done = await run(play)
    await asyncio.sleep(0)

    cause = done.failure.cause if done.failure else None
    assert cause == (FailureCause.TIMEOUT if failing else None)
    assert done.early is failing
    assert cancelling() == 0


@pytest.mark.parametrize("failing", [False, True])
@in_virtual_time
async def test_a_swallowed_cancellation_reaches_the_host(
    failing: bool,  # noqa: FBT001
) -> None:
    """An adapter that answers a cancellation with a result can't keep the host waiting."""

    async def play(report: Report) -> AgentOutput:
        try:
            return await hang(report)
        except asyncio.CancelledError:
            if failing:
                raise RuntimeError("cancelled, I believe") from None
            return ANSWER

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await run(play)

    assert cancelling() == 0


@in_virtual_time
async def test_a_cancellation_from_within_is_a_failure() -> None:
    """What nobody has asked for is the adapter's trouble and costs one attempt."""

    async def play(report: Report) -> AgentOutput:
        raise asyncio.CancelledError

    done = await run(play)

    assert done.failure is not None
    assert done.failure.cause is FailureCause.UNKNOWN
    assert "CancelledError" in done.failure.message


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_end_of_everything_passes(error: type[BaseException]) -> None:
    """What is no Exception is not judged; no timer is left."""
    looks = FirstLooks()
    made = attempt(looks=looks)

    async def play(report: Report) -> AgentOutput:
        raise error

    async def main() -> None:
        try:
            await made.run(Actor(play), REQUEST)
        except error:
            assert looks._rows == {5.0: {}}
        else:
            raise AssertionError

    run_in_virtual_time(main())


@in_virtual_time
async def test_a_trip_before_the_start() -> None:
    """Nothing is started, and the first reason stays."""

    async def play(report: Report) -> AgentOutput:
        raise AssertionError

    made = attempt()
    made.trip(ENOUGH)
    made.trip(LATE)
    done = await made.run(Actor(play), REQUEST)

    assert (done.failure, done.output, done.duration) == (ENOUGH, None, 0.0)


@in_virtual_time
async def test_trips_while_and_after_it_runs() -> None:
    """The first one counts; one that comes too late meets nobody."""
    made = attempt()
    loop = asyncio.get_running_loop()
    loop.call_later(1, made.trip, ENOUGH)
    loop.call_later(1, made.trip, LATE)

    done = await made.run(Actor(hang), REQUEST)
    made.trip(LATE)
    await asyncio.sleep(1)

    assert (done.failure, now()) == (ENOUGH, 2.0)
    assert cancelling() == 0


@in_virtual_time
async def test_a_trip_by_the_agents_own_report() -> None:
    """An observer may end the attempt from inside a report: it ends at its next wait."""
    made = attempt()

    async def play(report: Report) -> AgentOutput:
        report(OutputReceived("stdout", b"stop me"))
        made.trip(ENOUGH)
        await asyncio.sleep(3)
        return ANSWER

    done = await made.run(Actor(play), REQUEST)

    assert (done.failure, now()) == (ENOUGH, 0.0)


@in_virtual_time
async def test_a_trip_after_the_last_report_changes_nothing() -> None:
    """The agent has ended by itself; its answer is on its way."""
    made = attempt()

    async def play(report: Report) -> AgentOutput:
        report(AgentEnded(0))
        made.trip(ENOUGH)
        await asyncio.sleep(1)
        return ANSWER

    done = await made.run(Actor(play), REQUEST)

    assert (done.output, done.failure, cancelling()) == (ANSWER, None, 0)
