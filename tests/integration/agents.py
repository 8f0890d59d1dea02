"""Programs that behave like agents in bad weather, and what became of one run of them."""

import asyncio
import os
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from muster.domain.errors import AgentInvocationError
from muster.domain.events import AgentEnded, AgentEvent, AgentStarted, OutputReceived
from muster.domain.outcome import Failure
from muster.domain.task import AgentOutput, AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process import containment as containments
from muster.infrastructure.adapters.local_process.orchestrator import (
    LocalProcessOrchestrator,
)

KIND = "keeper"


@pytest.fixture(autouse=True, params=["keeper", "group"])
def containment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test that imports this runs under both ways to hold a family."""
    kind = str(request.param)
    monkeypatch.setattr(sys.modules[__name__], "KIND", kind)
    return kind


def python(code: str, *arguments: str, **spec: Any) -> ToolSpec:
    """A tool that is a piece of Python."""
    command = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments)
    return ToolSpec("python", command, **spec)


def shell(script: str, **spec: Any) -> ToolSpec:
    """A tool that is a shell script."""
    return ToolSpec("sh", ("/bin/sh", "-c", script), **spec)


@define
class Story:
    """What was reported, and how it ended."""

    events: list[AgentEvent] = field(factory=list)
    stdout: bytes = b""
    stderr: bytes = b""
    counted: int = 0
    answer: AgentOutput | None = None
    failure: Failure | None = None

    def report(self, event: AgentEvent) -> None:
        """Keeps a copy of what is valid only during the call."""
        if isinstance(event, OutputReceived):
            if event.stream == "stdout":
                self.stdout += event.data
                self.counted += event.count
            else:
                self.stderr += event.data
            return
        self.events.append(event)

    @property
    def ended(self) -> AgentEnded:
        """The last event, which must be the end."""
        last = self.events[-1]
        assert isinstance(last, AgentEnded)
        assert sum(isinstance(event, AgentEnded) for event in self.events) == 1
        return last

    @property
    def started(self) -> AgentStarted:
        """The first event, of an agent that was started."""
        first = self.events[0]
        assert isinstance(first, AgentStarted)
        return first


@asynccontextmanager
async def orchestrator(
    **environ: str,
) -> AsyncIterator[LocalProcessOrchestrator]:
    """One for a test, closed at its end; leaves no descriptor, and no error to the loop."""
    before = open_descriptors()
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, problem: problems.append(problem)
    )
    opened = LocalProcessOrchestrator(
        containments.choose(KIND), environ={**os.environ, **environ}
    )
    try:
        yield opened
    finally:
        await opened.aclose()
    assert open_descriptors() == before
    assert problems == []


async def run(tool: ToolSpec, prompt: str = "", **request: Any) -> Story:
    """One invocation in an orchestrator of its own."""
    async with orchestrator() as opened:
        return await invoke(opened, tool, prompt, **request)


async def invoke(
    opened: LocalProcessOrchestrator, tool: ToolSpec, prompt: str = "", **request: Any
) -> Story:
    """One invocation; a failure is kept, anything else is raised."""
    story = Story()
    asked = AgentRequest("agent-1", tool=tool, prompt=prompt, **request)
    try:
        story.answer = await opened.invoke(asked, story.report)
    except AgentInvocationError as error:
        story.failure = error.failure
        told = (error.agent_id, error.ended)
    else:
        told = ("agent-1", story.ended)
    assert told == ("agent-1", story.ended)
    return story


def open_descriptors() -> int:
    """How many this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
