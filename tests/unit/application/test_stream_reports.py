"""Attempts of tools whose stream is read: what counts as life, and what ends them."""

import asyncio
from typing import Any

import pytest
from attrs import evolve

from muster.application.observer import Observer
from muster.application.ports.agent_orchestrator import Report
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    AgentStarted,
    ModelServed,
    OutputReceived,
    PermissionAsked,
    ProgressMade,
    RetryAnnounced,
    TerminalRecordSeen,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
)
from muster.domain.outcome import Failure, FailureCause
from muster.domain.spawn_policy import SpawnPolicy, TimeoutPolicy
from muster.domain.task import AgentOutput
from muster.domain.tool import ToolSpec
from muster.testing import in_virtual_time
from tests.unit.application.acting import ANSWER, REQUEST, Actor, attempt

TOOL = ToolSpec("t", ("t",), output="claude_stream_json", retry_patience=10.0)
LIMITS = TimeoutPolicy(
    "fixed", 200.0, first_output_timeout=20.0, no_activity_timeout=8.0
)
BUSY = Failure(FailureCause.OVERLOADED, "busy")
REFUSED = Failure(FailureCause.AUTH, "who are you")
NOTICE = RetryAnnounced(1.0, "again", BUSY)
Step = AgentEvent | float


async def played(*steps: Step, tool: ToolSpec = TOOL, **fields: Any) -> Any:
    """An attempt of an agent that reports, and sleeps where there is a number."""

    async def play(report: Report) -> AgentOutput:
        report(AgentStarted(1))
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                report(step)
        report(AgentEnded(0))
        return ANSWER

    policy = evolve(SpawnPolicy.preset("default"), timeout=LIMITS)
    made = attempt(policy, structured=tool, judges_stderr=False, **fields)
    return await made.run(Actor(play), REQUEST)


@pytest.mark.parametrize(
    ("steps", "cause", "at"),
    [
        # Bytes alone are no progress, whatever they are.
        ([OutputReceived("stdout", b"x" * 500), 19.0], None, 19.0),
        ([OutputReceived("stdout", b"x" * 500), 30.0], "no_activity", 20.0),
        (
            [TextProduced("a"), 7.0, OutputReceived("stdout", b"b"), 9.0],
            "no_activity",
            8.0,
        ),
        ([TextProduced("a"), 7.0, ProgressMade(), 7.0], None, 14.0),
        # A tool call is life as long as it is open.
        ([ToolCallOpened("1"), 60.0, ToolCallClosed("1"), 7.0], None, 67.0),
        ([ToolCallOpened("1"), 60.0, ToolCallClosed("1"), 9.0], "no_activity", None),
        # Retries: excused while announced, for as long as the patience lasts.
        ([TextProduced("a"), NOTICE, 5.0, NOTICE, 4.0, TextProduced("b")], None, 9.0),
        ([NOTICE, 4.0, NOTICE, 4.0, NOTICE, 4.0], "overloaded", 10.0),
        ([NOTICE, 9.0, ProgressMade(), NOTICE, 7.0, TextProduced("c")], None, 16.0),
        ([RetryAnnounced(3600.0, "later", BUSY), 4.0], "overloaded", 0.0),
        ([RetryAnnounced(1.0, "no", REFUSED), 4.0], "auth", 0.0),
        # Unless the stream says at once how it ended.
        (
            [RetryAnnounced(1.0, "no", REFUSED), TerminalRecordSeen(success=True)],
            None,
            0.0,
        ),
        ([PermissionAsked("rm", waits=True), 4.0], "needs_approval", 0.0),
        ([PermissionAsked("rm"), 4.0], None, 4.0),
        # Whoever has said that it is done gets the time to end.
        ([TextProduced("a"), TerminalRecordSeen(success=True), 8.5], None, 8.5),
    ],
)
@in_virtual_time
async def test_limits(steps: list[Step], cause: str | None, at: float | None) -> None:
    """How it ends and when, with 20 s for the first sign of life and 8 s after it."""
    done = await played(*steps)

    assert (done.failure and done.failure.cause.value) == cause
    if at is not None:
        assert done.duration == pytest.approx(at, abs=0.3)


@in_virtual_time
async def test_silent_turns() -> None:
    """Who prints whole messages only may be as silent in each turn as in its first."""
    quiet = evolve(TOOL, silent_turns=True)

    assert (await played(TextProduced("a"), 19.0, tool=quiet)).failure is None
    assert (await played(TextProduced("a"), 21.0, tool=quiet)).failure is not None


@pytest.mark.parametrize(("served", "cause"), [("m-1", None), ("n-1", "invalid_model")])
@in_virtual_time
async def test_strict_model(served: str, cause: str | None) -> None:
    """Another model than the one that was asked for ends the attempt."""
    done = await played(ModelServed(served), 1.0, strict_model="m-1")

    assert (done.failure and done.failure.cause.value) == cause
    assert done.served_models == (served,)


@in_virtual_time
async def test_lines_are_those_of_the_text() -> None:
    """Not those of the stream that carries it."""
    told: list[str] = []

    class Listener(Observer):
        wants_output = True

        def line(self, line: str) -> None:
            told.append(line)

    await played(
        OutputReceived("stdout", b'{"type": 1}\n'),
        TextProduced("one\ntw"),
        TextProduced("o"),
        observer=Listener(),
    )

    assert told == ["one", "two"]
