"""One attempt and what it says: lines, failure lines, floods."""

import asyncio
from typing import Any

import pytest
from attrs import evolve

from muster.application.observer import Observer
from muster.application.ports.agent_orchestrator import Report
from muster.domain import presets
from muster.domain.events import (
    AgentEnded,
    OutputReceived,
    RateLimited,
    RetryAnnounced,
)
from muster.domain.outcome import FailureCause
from muster.domain.spawn_policy import TerminationPolicy
from muster.domain.task import AgentOutput
from muster.testing import in_virtual_time
from tests.unit.application.acting import (
    ANSWER,
    FIVE,
    REQUEST,
    Actor,
    Notebook,
    attempt,
    cancelling,
    hang,
    now,
    run,
)


@in_virtual_time
async def test_lines_are_given_whole() -> None:
    """Lines of stdout as they are complete, the last one at the end; reports pass."""
    book = Notebook()

    async def play(report: Report) -> AgentOutput:
        for piece in (b"on", b"e\ntw", b"", b"o"):
            report(OutputReceived("stdout", piece, max(len(piece), 1)))
        report(OutputReceived("stderr", b"noise\n"))
        report(RateLimited(1.0))
        report(RetryAnnounced(1.0))
        report(AgentEnded(0))
        return ANSWER

    await run(play, observer=book)
    assert book.lines == ["one", "two"]
    assert book.seen == [RateLimited(1.0), RetryAnnounced(1.0)]

    book = Notebook(wants_output=False)
    await run(play, observer=book)
    assert book.lines == []
    await run(play, observer=Observer())
    await run(play)


@pytest.mark.parametrize(
    ("text", "after", "cause"),
    [
        (b"Error: invalid API key\n", 0.10, "auth"),
        (b"Error: 429 rate limit exceeded\n", 0.25, "rate_limit"),
        (b"all is well\n", 5.0, "timeout"),
    ],
)
@in_virtual_time
async def test_a_failure_line_and_silence(
    text: bytes, after: float, cause: str
) -> None:
    """Reported as soon as the silence confirms it, with the time that took."""

    async def play(report: Report) -> AgentOutput:
        report(OutputReceived("stderr", text))
        return await hang(report)

    done = await run(play)

    assert done.failure is not None
    assert done.failure.cause.value == cause
    assert now() == pytest.approx(after)
    assert done.failure.detection_time_ms == pytest.approx(after * 1000)


@pytest.mark.parametrize(
    "changes",
    [
        {"judges_stderr": False},
        {"policy": evolve(FIVE, termination=TerminationPolicy(enabled=False))},
    ],
)
@in_virtual_time
async def test_stderr_that_is_no_verdict(changes: dict[str, Any]) -> None:
    """Structured tools and switched-off detection: only the limit ends the agent."""

    async def play(report: Report) -> AgentOutput:
        report(OutputReceived("stderr", b"Error: invalid API key\n"))
        return await hang(report)

    done = await run(play, **changes)

    assert done.failure is not None
    assert done.failure.cause is FailureCause.TIMEOUT


@in_virtual_time
async def test_output_that_goes_on_drops_a_match() -> None:
    """A line that is followed by others within the wait was no end."""

    async def play(report: Report) -> AgentOutput:
        for n in range(20):
            report(OutputReceived("stderr", b"Error: 429 rate limit exceeded\n"))
            await asyncio.sleep(0.2)
            report(OutputReceived("stdout", b"%d" % n))
        return ANSWER

    assert (await run(play)).output is ANSWER


@pytest.mark.parametrize(
    ("after", "at", "cause"), [(0.0, 0.25, "rate_limit"), (0.1, 5.0, "timeout")]
)
@in_virtual_time
async def test_one_more_word_on_stdout_drops_a_match(
    after: float, at: float, cause: str
) -> None:
    """Unless it comes in the same moment: two pipes have no order."""

    async def play(report: Report) -> AgentOutput:
        report(OutputReceived("stderr", b"Error: 429 rate limit exceeded\n"))
        await asyncio.sleep(after)
        report(OutputReceived("stdout", b"I go on\n"))
        return await hang(report)

    done = await run(play)

    assert done.failure is not None
    assert (done.failure.cause.value, now()) == (cause, pytest.approx(at))


@in_virtual_time
async def test_one_override_for_both_waits() -> None:
    """``confirm_after`` of the policy holds for every cause."""
    policy = evolve(FIVE, termination=TerminationPolicy(confirm_after=1.0))

    async def play(report: Report) -> AgentOutput:
        report(OutputReceived("stderr", b"Error: invalid API key\n"))
        return await hang(report)

    await run(play, policy)
    assert now() == 1.0


@in_virtual_time
async def test_a_flood_of_stderr_is_bounded() -> None:
    """What is remembered for judging is its tail."""
    made = attempt()

    async def play(report: Report) -> AgentOutput:
        for _ in range(100):
            report(OutputReceived("stderr", b"x" * 100_000))
        assert len(made._last_words._tail) == presets.JUDGED_TAIL_BYTES
        return ANSWER

    await made.run(Actor(play), REQUEST)


@in_virtual_time
async def test_what_is_reported_after_the_end_ends_nobody() -> None:
    """A late line arms a timer that finds the attempt over."""
    kept: list[Report] = []

    async def play(report: Report) -> AgentOutput:
        kept.append(report)
        return ANSWER

    await run(play)
    kept[0](OutputReceived("stderr", b"Error: invalid API key\n"))
    await asyncio.sleep(3)

    assert cancelling() == 0
