"""Expectations of real programs: files, commands, schemas, exit codes."""

import sys
from pathlib import Path
from typing import Any

import pytest

from muster import Fleet, SpawnTask
from muster.domain.outcome import SpawnResult
from muster.domain.task import Expectation
from muster.domain.tool import ToolSpec

SCHEMA = {"type": "object", "required": ["answer"]}
ECHO = ToolSpec("echo", ("cat",))


async def spawned(tmp_path: Path, prompt: str, **expect: Any) -> SpawnResult:
    """One attempt of a shell script in a folder of its own."""
    task = SpawnTask(prompt, tool="sh", cwd=str(tmp_path), expect=Expectation(**expect))
    async with Fleet.open({}) as fleet:
        return await fleet.spawn(task)


@pytest.mark.parametrize(
    ("prompt", "expect", "words"),
    [
        ("echo hi > out", {"file": "out"}, None),
        ("true", {"file": "out"}, "the file out does not exist"),
        (": > out", {"file": "out"}, "the file out is empty"),
        ("echo hi > out", {"command": ("grep", "hi", "out")}, None),
        ("echo ho > out", {"command": ("grep", "hi", "out")}, "exited with 1"),
        ("true", {"command": ("no-such-program-here",)}, "no-such-program-here"),
        ("echo '{\"answer\": 42}'", {"json_schema": SCHEMA}, None),
        ("echo '{}'", {"json_schema": SCHEMA}, "'answer' is a required property"),
        ("echo all done", {"regex": "done$"}, None),
        ("exit 3", {"exit_code": 3}, None),
        ("exit 4", {"exit_code": 3}, ""),
    ],
)
async def test_expectations(
    tmp_path: Path, prompt: str, expect: dict[str, Any], words: str | None
) -> None:
    """What is met is a success, what is not is told in words."""
    result = await spawned(tmp_path, prompt, **expect)

    assert result.success is (words is None)
    assert words is None or words in str(result.error)


async def test_a_check_ends_with_its_attempt(tmp_path: Path) -> None:
    """A command that hangs is ended like the agent would be, with all it started."""
    marker = tmp_path / "alive"
    script = (
        f"import time, pathlib; time.sleep(30); pathlib.Path({str(marker)!r}).touch()"
    )
    task = SpawnTask(
        "true",
        tool="sh",
        timeout=1.5,
        expect=Expectation(command=(sys.executable, "-c", script)),
    )

    async with Fleet.open({}) as fleet:
        result = await fleet.spawn(task)

    assert result.failure is not None
    assert result.failure.cause == "deadline"
    assert result.execution_time < 15
    assert not marker.exists()


async def test_the_complaint_reaches_the_program() -> None:
    """The one further attempt has it on its stdin."""
    task = SpawnTask("hello", tool=ECHO, expect=Expectation(regex="not accepted"))

    async with Fleet.open({}) as fleet:
        (result,) = await fleet.spawn_parallel_with_recovery([task], max_retries=0)

    assert result.success
    assert result.retry_count == 1
    assert result.output.startswith("hello\n\nThe answer before was not accepted")
