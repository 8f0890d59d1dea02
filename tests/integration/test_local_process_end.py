"""How a run ends: exits, left-over holders of pipes, cancellations."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from muster.domain import presets
from muster.domain.events import OutputReceived
from muster.domain.outcome import FailureCause
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.child import Gone
from muster.infrastructure.adapters.local_process.orchestrator import (
    LocalProcessOrchestrator,
)
from muster.infrastructure.adapters.local_process.tool_table import LocalToolRegistry
from tests.integration.agents import (
    Story,
    containment,
    invoke,
    orchestrator,
    run,
    shell,
)

__all__ = ["containment"]  # a fixture: used by being here


@pytest.mark.parametrize(
    ("script", "code", "cause"),
    [
        ("exit 3", 3, "crash"),
        ("echo 'Error: invalid api key' >&2; exit 1", 1, "auth"),
        ("echo 'Invalid API key · Please run /login'; exit 1", 1, "auth"),
        ("kill -9 $$", -9, None),
        ("no-such-command-xyz", 127, "tool_not_found"),
    ],
)
async def test_a_non_zero_exit_is_a_failure(
    script: str, code: int, cause: str | None
) -> None:
    """Whatever was printed; the final words say which one."""
    story = await run(shell(script))

    assert story.answer is None
    assert story.failure is not None
    assert story.ended.exit_code == code
    if cause:
        assert story.failure.cause is FailureCause(cause)


async def test_the_answer_belongs_to_its_request() -> None:
    """Same ids, the text of stdout."""
    story = await run(shell("echo hi; echo noise >&2"), request_id="r-1")

    assert story.answer is not None
    assert story.answer.request_id == "r-1"
    assert story.answer.agent_id == "agent-1"
    assert story.answer.content == "hi\n"


@pytest.mark.parametrize("requires", [True, False])
async def test_silence_is_an_answer_only_where_none_is_needed(
    *, requires: bool
) -> None:
    """An agent that says nothing has failed; `true` has not."""
    story = await run(shell("printf '  \\n'", requires_output=requires))

    assert (story.failure is not None) == requires
    assert story.ended.exit_code == 0


async def test_a_holder_of_the_pipes_does_not_hold_the_answer() -> None:
    """The leader exits while a grandchild in another session holds stdout for long."""
    start = time.monotonic()

    story = await run(shell("echo hi; setsid sleep 30 & exit 0"))

    assert story.answer is not None
    assert story.answer.content == "hi\n"
    assert time.monotonic() - start < 5


async def test_output_of_the_drain_is_part_of_the_answer() -> None:
    """What a background process prints within the second after the exit."""
    story = await run(shell("echo one; (sleep 0.2; echo two) & exit 0"))

    assert story.answer is not None
    assert story.answer.content == "one\ntwo\n"


@pytest.mark.parametrize(
    "script",
    [
        "echo partial; exec sleep 60",
        "echo partial; sleep 60",
        "trap '' TERM; echo partial; sleep 60; sleep 60",
        "echo partial; setsid sleep 30 & exec sleep 60",
    ],
    ids=["plain", "grandchild", "term-ignored", "escaped-holder"],
)
async def test_cancelling_ends_within_the_grace_and_half_a_second(script: str) -> None:
    """What was read is in the end that is reported; whoever holds the pipes."""
    story, grace = Story(), 0.4
    async with orchestrator() as opened:
        request = AgentRequest("a", tool=shell(script), prompt="", grace=grace)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await opened.invoke(request, story.report)
            # A wide margin: the machine may be busy.
        assert story.ended.output == "partial\n"
        assert not alive(story.started.pid)


async def test_a_second_cancellation_changes_nothing() -> None:
    """The clean-up goes on; the end is reported once; CancelledError comes out."""
    story = Story()
    async with orchestrator() as opened:
        request = AgentRequest(
            "a",
            tool=shell(
                "trap 'sleep 0.5; echo clean; exit 0' TERM; echo up; sleep 60 & wait"
            ),
            prompt="",
        )
        loop = asyncio.get_running_loop()
        task = asyncio.Task(opened.invoke(request, story.report), loop=loop)
        while not story.stdout:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        for _ in range(5):
            task.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task

    assert story.ended.output == "up\nclean\n"


async def test_cancelled_at_any_instant_nothing_is_left() -> None:
    """Also in mid-start: no descriptor, no process, and the end is always reported."""
    async with orchestrator() as opened:
        for step in range(60):
            story = Story()
            request = AgentRequest("a", tool=shell("sleep 60"), prompt="", grace=1.0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(step * 0.0002):
                    await opened.invoke(request, story.report)
            assert story.ended.exit_code in (None, -15)


async def test_a_report_that_raises_ends_the_agent() -> None:
    """The error comes out of `invoke`, not out of the loop, and nothing runs on."""
    pids: list[int] = []

    def report(event: object) -> None:
        pids.append(getattr(event, "pid", 0) or 0)
        if isinstance(event, OutputReceived):
            problem = "broken listener"
            raise ConnectionError(problem)

    async with orchestrator() as opened:
        request = AgentRequest("a", tool=shell("echo x; sleep 60"), prompt="")
        with pytest.raises(ConnectionError, match="broken listener"):
            await opened.invoke(request, report)

    assert not alive(pids[0])


async def test_many_at_once_do_not_meet() -> None:
    """72 agents, each its own answer; one buffer serves them all."""
    async with orchestrator() as opened:
        stories: dict[int, Story] = {}

        async def one(number: int) -> None:
            prompt = f"{number}:" * 20_000
            stories[number] = await invoke(opened, ToolSpec("cat", ("cat",)), prompt)

        async with asyncio.TaskGroup() as group:
            for number in range(72):
                group.create_task(one(number))

    for number, story in stories.items():
        assert story.stdout == (f"{number}:" * 20_000).encode()


async def test_a_no_op_waits_for_nothing() -> None:
    """Ten of them take less than the drain of a few, on a busy machine too."""
    async with orchestrator() as opened:
        await invoke(opened, ToolSpec("true", ("true",)))
        start = time.monotonic()
        for _ in range(10):
            await invoke(opened, ToolSpec("true", ("true",)))

    assert time.monotonic() - start < 3 * presets.DRAIN


class Stubborn:
    """A containment whose only child never goes, like one in a broken disk's driver."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 4_000_000
        self.exited: asyncio.Future[int] = loop.create_future()
        self.gone: asyncio.Future[Gone] = loop.create_future()
        self.calls: list[str] = []

    async def start(self, launch: object) -> "Stubborn":
        return self

    def stop(self, grace: float) -> None:
        self.calls.append("stop")

    def kill(self) -> None:
        self.calls.append("kill")

    def vitals(self) -> float | None:
        return None

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("cancelled", [True, False])
async def test_who_can_not_be_ended_is_named(*, cancelled: bool) -> None:
    """The call comes back within its bound, and says who is still there."""
    child, story = Stubborn(), Story()
    opened = LocalProcessOrchestrator(child, environ={"PATH": os.defpath})
    request = AgentRequest("a", tool=shell("true"), prompt="", grace=0.1)
    start = time.monotonic()

    if cancelled:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await opened.invoke(request, story.report)
    else:
        child.exited.set_result(0)
        await opened.invoke(request, story.report)
    await opened.aclose()

    assert story.ended.unkillable == (child.pid,)
    assert child.calls == (["stop", "kill"] if cancelled else ["kill"])
    assert time.monotonic() - start < 10


async def test_closing_twice_is_fine() -> None:
    """And closes the containment."""
    async with orchestrator() as opened:
        await opened.aclose()
        await opened.aclose()


async def test_a_version_is_asked_for_within_bounds(tmp_path: Path) -> None:
    """The first line; a tool that does not answer has none."""
    for name, script in (("lint", "echo 1.2.3"), ("gone", "exit 1")):
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    tools = {name: {"command": name} for name in ("lint", "gone")}
    registry = LocalToolRegistry(tools, environ={"PATH": str(tmp_path)})

    versions = {
        each.spec.name: await registry.version(each) for each in registry.detect()
    }

    assert versions == {"lint": "1.2.3", "gone": None}


def alive(pid: int | None) -> bool:
    """Whether a process with that id still runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
