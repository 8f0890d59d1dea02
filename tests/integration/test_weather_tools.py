"""Agent CLIs in bad weather: wrapped, doubled, asking, without a disk or a home to write to."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest

from muster import SpawnTask, spawn
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.tool_specs import built_in
from tests.integration.test_structured_tools import (
    GOOD,
    INIT,
    QUICK,
    RESULT,
    lines,
    recorded,
    run,
    tool,
)
from tests.support.cli import Cli, is_alive, wait_until

QUESTION = {
    "type": "control_request",
    "request": {"subtype": "can_use_tool", "tool_name": "Bash"},
}
# As version managers and package managers make them: no exec, and words of their own.
WRAPPERS = {
    "exec": 'exec "$@"',
    "shim": 'echo "Now using node v22.1.0 (npm v10)"; "$@"; code=$?; echo; exit $code',
    "stubborn": 'trap "" TERM INT HUP; "$@" & wait $!',
    "daemon": 'setsid sleep 300 & echo $! >"$OUT"; "$@"',
}


def wrapped(spec: ToolSpec, script: str, folder: Path) -> ToolSpec:
    """The tool behind a shell script of that name."""
    wrapper = folder / spec.name
    wrapper.write_text(f"#!/bin/sh\n{script}\n")
    wrapper.chmod(0o755)
    env = {**spec.env, "OUT": str(folder / "out")}
    return attrs.evolve(spec, command=(str(wrapper), *spec.command), env=env)


@pytest.mark.parametrize("way", WRAPPERS)
@pytest.mark.parametrize(("name", "case"), [GOOD[0], GOOD[1], GOOD[3]])
async def test_a_wrapper_around_the_program(
    tmp_path: Path, way: str, name: str, case: str
) -> None:
    """Its words are no records, and what it leaves running goes with it."""
    spec = wrapped(tool(name, recorded(name, case)), WRAPPERS[way], tmp_path)

    result, _ = await run(spec)

    assert (result.success, result.error) == (True, None)
    assert "node" not in result.output
    assert _dead(tmp_path / "out")


@pytest.mark.parametrize("way", WRAPPERS)
async def test_a_hang_behind_a_wrapper(tmp_path: Path, way: str) -> None:
    """The limit ends both, also a wrapper that takes no signal."""
    role = {**recorded("claude", "e429x2-ok"), "hang_after": 3}
    spec = wrapped(tool("claude", role), WRAPPERS[way], tmp_path)

    result, took = await run(spec, limits=QUICK)

    assert result.failure is not None
    assert result.failure.cause.value == "no_activity"
    assert took < 20
    assert _dead(tmp_path / "out")


@pytest.mark.parametrize(
    ("records", "cause"),
    [
        # It says whom it asks, or only falls silent.
        ([INIT, QUESTION], "needs_approval"),
        ([INIT, {"type": "stream_event", "event": {"type": "message_start"}}], "no_activity"),
    ],
)  # fmt: skip
async def test_a_tool_that_asks_and_waits(
    records: list[dict[str, Any]], cause: str
) -> None:
    """Nobody answers: it ends as what it is, with what was asked."""
    role = {"stdout": lines(*records, RESULT), "hang_after": len(records)}

    result, took = await run(tool("claude", role), limits=QUICK)

    assert result.failure is not None
    assert result.failure.cause.value == cause
    assert "Bash" in result.failure.message or cause == "no_activity"
    assert took < 20


@pytest.mark.parametrize(
    "script",
    [
        # Asked on stdin there is an end of file, asked of the terminal there is none.
        'cat >/dev/null; printf "Proceed? [y/N] "; read answer || exit 7; echo "$answer"',
        'cat >/dev/null; printf "Password: " >/dev/tty || exit 7; read x </dev/tty',
    ],
)
async def test_a_program_that_asks_gets_an_end(script: str) -> None:
    """It can't wait for what will never come."""
    began = time.monotonic()

    result = await spawn(SpawnTask("hi"), tool=ToolSpec("ask", ("sh", "-c", script)))

    assert (result.success, result.exit_code) == (False, 7)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("name", "case", "category"),
    [
        ("codex", "x-enospc", "resource"),
        ("opencode", "x-enospc", "resource"),
        ("gemini", "ro-home", "permanent"),
        ("opencode", "ro-home", "permanent"),
    ],
)
async def test_a_full_disk_and_a_home_that_is_read_only(
    name: str, case: str, category: str
) -> None:
    """As the real ones report it, on stderr and by their exit code."""
    said = built_in(name), recorded(name, case)
    stderr = Path(said[1]["stdout"]).with_suffix(".stderr").read_text()

    result, _ = await run(tool(name, {**said[1], "stderr": stderr}))

    assert result.failure is not None
    assert result.failure.category.value == category


async def test_the_disk_is_full_under_a_program() -> None:
    """A lack of means, which another attempt may find mended."""
    script = "cat >/dev/null; dd if=/dev/zero of=/dev/full bs=1 count=1"

    result = await spawn(SpawnTask("hi"), tool=ToolSpec("full", ("sh", "-c", script)))

    assert result.failure is not None
    assert result.failure.cause.value == "disk_full"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_muster_needs_no_home_to_write_to(tmp_path: Path) -> None:
    """Its own run is in the project."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    cli = Cli(tmp_path).env(HOME=str(home))
    ended = await asyncio.to_thread(cli.args("spawn", "--tool", "cat", "hi").run)

    ended.status(0).stdout("hi")


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    """Nothing can be written below it, whoever runs muster; the run goes on."""
    (tmp_path / "nobody").write_text("")
    cli = Cli(tmp_path).env(HOME=str(tmp_path / "nobody"))

    cli.args("spawn", "--tool", "cat", "hi").run().status(0).is_civil().stdout("hi")


def test_two_versions_on_the_path(tmp_path: Path) -> None:
    """`doctor` says which one is used, of what version, and where the other is."""
    for folder, version in (("new", "2.1.0"), ("old", "1.0.3")):
        program = tmp_path / folder / "claude"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "claude").symlink_to(tmp_path / "new" / "claude")
    path = f"{tmp_path}/new:{tmp_path}/link:{tmp_path}/old:/usr/bin:/bin"
    cli = Cli(tmp_path).env(PATH=path)

    found = cli.args("doctor", "--json").run().document["findings"]

    (said,) = [each["what"] for each in found if "times" in each["what"]]
    assert said == (
        f"claude is on the PATH 2 times: {tmp_path}/new/claude is used (2.1.0), "
        f"and not {tmp_path}/old/claude"
    )


async def test_a_character_cut_by_the_end_of_the_stream() -> None:
    """What is whole counts; the rest is no reason to fail."""
    stream = lines(INIT, RESULT).encode() + "…".encode()[:2]
    code = "import os,sys; sys.stdin.read(); os.write(1, bytes.fromhex(sys.argv[1]))"
    command = (sys.executable, "-I", "-S", "-c", code, stream.hex())
    spec = attrs.evolve(built_in("claude"), command=command, agent_args=())

    result, _ = await run(spec)

    assert (result.success, result.output) == (True, "done")


def _dead(file: Path) -> bool:
    """Whether whoever wrote its pid there is gone."""
    if file.exists():
        pid = int(file.read_text())
        wait_until(lambda: not is_alive(pid), f"{pid} is gone", 5.0)
    return True
