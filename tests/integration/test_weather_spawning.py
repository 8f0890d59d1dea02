"""Agents that can't be started: by the whole product, each function, real processes."""

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from muster import FailureCategory, SpawnTask, ToolSpec
from muster.infrastructure.adapters.local_process.child import LaunchError
from tests.support.weather import (
    QUICK,
    causes,
    children,
    descriptors,
    every_function,
    fleet,
    host,
    python,
    sh,
)

FAST_FALLBACK = {"spawner": {"recovery": {"preset": "fast_fallback"}}}


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "does not exist"),
        (b"#!/bin/sh\n", 0o644, "chmod +x"),
        (b"#!/no/such/interp\n", 0o755, "interpreter not found: /no/such/interp"),
        (b"#!/bin/sh\r\n", 0o755, "CR LF"),
        (b"#!\n", 0o755, "interpreter not found: (none)"),
        (b"touch pwned\n", 0o755, "wrong format"),
        (b"", 0o755, "wrong format"),
        (b"\x7fELF\x02\x01\x01" + bytes(57), 0o755, "another machine"),
        (b"MZ" + bytes(60), 0o755, "wrong format"),
        ("folder", 0, "is a directory"),
        ("fifo", 0, "not a regular file"),
        ("loop", 0, "symbolic links"),
        ("dangling", 0, "does not exist"),
    ],
)
async def test_a_tool_that_can_not_run(
    tmp_path: Path, content: bytes | str | None, mode: int, words: str
) -> None:
    """Permanent, explained, never retried, whichever function was asked."""
    file = tmp_path / "the tool"
    make: dict[str, Any] = {
        "folder": file.mkdir,
        "fifo": lambda: os.mkfifo(file, 0o755),
        "loop": lambda: file.symlink_to(file),
        "dangling": lambda: file.symlink_to(tmp_path / "nothing"),
    }
    if isinstance(content, bytes):
        file.write_bytes(content)
        file.chmod(mode)
    elif content is not None:
        make[content]()

    async with fleet(tmp_path) as opened:
        task = SpawnTask("x", cwd=str(tmp_path))
        found = await every_function(opened, task, tool=str(file))
        spec = ToolSpec("mine", (str(file),))
        found["spec"] = await opened.spawn(task, tool=spec)

    for result in found.values():
        assert result.failure is not None
        assert result.failure.cause.value == "tool_not_found"
        assert result.failure.category is FailureCategory.PERMANENT
        assert words in result.failure.message
        assert (result.exit_code, result.retry_count, result.output) == (-1, 0, "")
        assert len(result.attempts) <= 1
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "tool", ["no-such-tool-xyz", "", "a\0b", "-x", "\udcff", "a\ud800", "x" * 5000]
)
async def test_a_name_that_no_tool_has(tmp_path: Path, tool: str) -> None:
    """A failed result, never an exception."""
    async with fleet(tmp_path, {"PATH": "/nowhere"}) as opened:
        found = await every_function(opened, SpawnTask("x"), tool=tool)

    assert set(causes(found.values())) == {"tool_not_found"}


async def test_the_others_run(tmp_path: Path) -> None:
    """A missing tool costs its own task only."""
    tasks = [SpawnTask("x", tool=name) for name in ("cat", "no-such-tool", "cat")]

    async with fleet(tmp_path) as opened:
        results, metadata = await opened.spawn_parallel_tracked(tasks)

    assert causes(results) == [None, "tool_not_found", None]
    assert (metadata["failed_tasks"], metadata["retried_tasks"]) == (1, [])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": "a\ud800"}, "U+D800 at character 1"),
        ({"agent": "a\ud800"}, "agent holds a lone surrogate"),
        ({"model": "\ud800"}, "model holds a lone surrogate"),
        ({"cwd": "\ud800"}, "cwd holds a lone surrogate"),
        ({"cwd": "/no/such/folder"}, "does not exist"),
        ({"cwd": "/dev/null"}, "is not a directory"),
        ({"env": {"A": "\ud800"}}, "environment variable A"),
        ({"env": {"A=B": ""}}, "no name of an environment variable"),
        ({"env": {"": ""}}, "no name of an environment variable"),
        ({"task_id": "\ud800"}, "task_id holds a lone surrogate"),
    ],
)
async def test_what_the_kernel_can_not_take(
    tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    """A permanent failure that names the field; nothing was started."""
    task = SpawnTask(**{"prompt": "x", **fields})

    async with fleet(tmp_path) as opened:
        # No breaker: two equal failures would open the circuit for the third.
        found = await every_function(opened, task, tool="cat", policy="development")

    for result in found.values():
        assert result.failure is not None
        assert result.failure.cause.value == "invalid_request"
        assert words in result.failure.message
        assert result.retry_count == 0


@pytest.mark.parametrize("field", ["agent", "model", "cwd", "env", "task_id"])
def test_a_nul_has_no_place_outside_of_a_prompt(field: str) -> None:
    """The field is named before anything runs."""
    value: Any = {"A": "a\0b"} if field == "env" else "a\0b"

    with pytest.raises(ValueError, match=field):
        SpawnTask("x", **{field: value})


async def test_a_nul_in_a_prompt_is_data(tmp_path: Path) -> None:
    """Byte for byte on stdin; refused where it would be an argument."""
    echo = ToolSpec("echo", ("echo",), prompt="argv")

    async with fleet(tmp_path) as opened:
        told = await opened.spawn(SpawnTask("a\0b"), tool="sha256sum")
        refused = await opened.spawn(SpawnTask("a\0b"), tool=echo)

    assert told.output.startswith("59b271ae")
    assert refused.failure is not None
    assert refused.failure.cause.value == "invalid_request"
    assert "NUL" in refused.failure.message


@pytest.mark.parametrize("size", [65_537, 200_000, 3_000_000])
async def test_a_prompt_that_no_argument_holds(tmp_path: Path, size: int) -> None:
    """Sizes are in the message, nothing starts; on stdin the same prompt is fine."""
    echo = ToolSpec("echo", ("echo",), prompt="argv")

    async with fleet(tmp_path) as opened:
        found = await every_function(opened, SpawnTask("p" * size), tool=echo)
        fine = await opened.spawn(
            SpawnTask("p" * size), tool=ToolSpec("wc", ("wc", "-c"))
        )

    assert set(causes(found.values())) == {"invalid_request"}
    assert {str(size) in str(each.error) for each in found.values()} == {True}
    assert fine.output.strip() == str(size)


class Stingy:
    """A containment whose first starts fail as the kernel would have them fail."""

    def __init__(self, really: Any, code: int, times: int) -> None:
        self._really = really
        self._code = code
        self.left = times

    async def start(self, launch: Any) -> Any:
        if self.left:
            self.left -= 1
            raise LaunchError(self._code, launch.executable, "fork")
        return await self._really.start(launch)

    async def aclose(self) -> None:
        await self._really.aclose()


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (errno.EAGAIN, "out_of_memory"),
        (errno.ENOMEM, "out_of_memory"),
        (errno.EMFILE, "out_of_memory"),
        (errno.ENFILE, "out_of_memory"),
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EIO, "unknown"),
    ],
)
async def test_what_comes_back_is_tried_again(
    tmp_path: Path, code: int, cause: str
) -> None:
    """By the functions that retry, after a delay; `spawn` tells the failure."""
    task = SpawnTask("hello", "bob")
    async with fleet(tmp_path) as opened:
        adapter = opened.context.orchestrator_of(ToolSpec("cat", ("cat",)))
        stingy = Stingy(adapter._containment, code, 1)  # type: ignore[attr-defined]
        adapter._containment = stingy  # type: ignore[attr-defined]
        once = await opened.spawn(task, tool="cat")
        stingy.left = 2
        (again,) = await opened.spawn_parallel_with_recovery(
            [task], tool="cat", recovery_policy=QUICK, policy="development"
        )

    assert causes([once]) == [cause]
    assert (again.success, again.retry_count, again.output) == (True, 2, "hello")
    assert [each.failure and each.failure.cause.value for each in again.attempts] == [
        cause,
        cause,
        None,
    ]


CROWD = """
    import resource
    async def main():
        before = descriptors()
        environ = {{"PATH": os.environ["PATH"]}}
        async with Fleet.open({{"containment": {kind!r}}}, environ=environ) as fleet:
            await fleet.spawn(SpawnTask("true"), tool="sh")
            {limit}
            tasks = [SpawnTask(f"echo {{n}}; exec sleep 0.3", f"a{{n}}") for n in range(72)]
            results, told = await fleet.spawn_parallel_tracked(
                tasks, tool="sh", max_concurrent=72, recovery_policy=QUICK)
            {lift}
            why = {{f.failure.category.value for r in results for f in r.attempts if f.failure}}
            print([r.output.strip() for r in results] == [str(n) for n in range(72)])
            print(why, told["circuit_blocked"], fleet.context.active)
        print(descriptors() - before)
    asyncio.run(main())
"""
CROWD_TOLD = "True\n{'resource'} [] set()\n0\n"


@pytest.mark.parametrize("kind", ["keeper", "group"])
def test_72_agents_and_40_descriptors(kind: str) -> None:
    """Those that don't fit wait and come in later; nobody else is hurt, nothing leaks."""
    limit = "resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 30, 4096))"

    told = host(CROWD.format(kind=kind, limit=limit, lift=""))

    assert told == CROWD_TOLD


@pytest.mark.skipif(os.getuid() != 0, reason="becomes somebody else")
def test_72_agents_and_few_processes() -> None:
    """EAGAIN at fork, for a user who may have twenty processes."""
    limit = (
        "resource.setrlimit(resource.RLIMIT_NPROC, (20, 4096)); "
        "os.setresuid(54321, 54321, 0)"
    )

    told = host(CROWD.format(kind="group", limit=limit, lift="os.setresuid(0, 0, 0)"))

    assert told == CROWD_TOLD


async def test_cancelled_in_the_middle_of_a_start(tmp_path: Path) -> None:
    """A hundred times, at any instant of it: no process, no zombie, no descriptor."""
    async with fleet(tmp_path) as opened:
        await opened.spawn(SpawnTask(""), tool="cat")
        before = descriptors()
        tool = sh("sleep 1000 & setsid sleep 1000 & sleep 1000")
        for n in range(100):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(n * 0.0001):
                    await opened.spawn(SpawnTask("x" * 100_000), tool=tool)
        assert descriptors() == before
        below = [kid for child in children(os.getpid()) for kid in children(child)]
        # An idle keeper or two, and nobody below them.
        assert [children(keeper) for keeper in below] == [[]] * len(below)


@pytest.mark.parametrize("again", [0.0, 0.01, 0.1])
async def test_cancelled_twice(tmp_path: Path, again: float) -> None:
    """The second cancellation arrives during the clean-up, which goes on."""
    deaf = sh("trap '' TERM; setsid sleep 1000 & sleep 1000; sleep 1000")

    async with fleet(tmp_path) as opened:
        async with asyncio.TaskGroup() as group:
            call = group.create_task(
                opened.spawn_parallel([SpawnTask("x")] * 5, tool=deaf, policy="test")
            )
            await asyncio.sleep(0.2)
            call.cancel()
            await asyncio.sleep(again)
            call.cancel()
        assert call.cancelled()
        below = [kid for child in children(os.getpid()) for kid in children(child)]
        assert [children(keeper) for keeper in below] == [[]] * len(below)


async def test_72_agents_are_no_threads(tmp_path: Path) -> None:
    """Nobody waits for a child in a thread of its own, on any Python."""
    before = threading.active_count()
    counted: list[int] = []

    async with fleet(tmp_path) as opened:
        results = await opened.spawn_parallel(
            [SpawnTask("echo up; sleep 0.3")] * 72,
            tool="sh",
            max_concurrent=72,
            on_output=lambda _: counted.append(threading.active_count()),
        )

    assert len(counted) == sum(each.success for each in results) == 72
    assert max(counted) == before


async def test_every_failure_gives_its_slot_back(tmp_path: Path) -> None:
    """After each kind of end the fleet has nothing active and its limit is whole."""
    ends: list[SpawnTask] = [
        SpawnTask("exit 1", "a", tool="sh"),
        SpawnTask("kill -9 $$", "b", tool="sh"),
        SpawnTask("x", "c", tool="no-such-tool"),
        SpawnTask("\ud800", "d", tool="cat"),
        SpawnTask("x", "e", tool="cat", cwd="/no/such"),
        SpawnTask("sleep 100", "f", tool="sh", timeout=0.2),
        SpawnTask("echo 'Error: 429 rate limit exceeded' >&2; sleep 9", tool="sh"),
        SpawnTask("x", "h", policy="nonsense"),
        SpawnTask("exec >&- 2>&-; sleep 0.1; exit 3", "i", tool="sh"),
        SpawnTask("kill -9 $PPID; sleep 9", "j", tool="sh"),
    ]
    fine = SpawnTask("echo fine", tool="sh")

    async with fleet(tmp_path) as opened:
        for call in (opened.spawn_parallel, opened.spawn_parallel_with_recovery):
            results = await call([*ends, fine], max_concurrent=2, config=FAST_FALLBACK)
            assert [each.success for each in results] == [False] * 10 + [True]
            assert opened.context.active == set()
        assert (await opened.spawn(fine)).success


async def test_the_supervisor_of_an_agent_is_lost(tmp_path: Path) -> None:
    """An agent that kills its keeper fails alone, ends, and what it said is kept."""
    murder = python("""
        import os, sys, time
        if os.fork() == 0:
            os.setsid(); time.sleep(1000)
        print("last words", flush=True); time.sleep(0.2)
        os.kill(os.getppid(), 9); time.sleep(1000)
    """)

    async with fleet(tmp_path) as opened:
        killer, neighbour = await opened.spawn_parallel(
            [SpawnTask("x", tool=murder), SpawnTask("sleep 1; echo ok", tool="sh")]
        )

    assert killer.failure is not None
    assert (killer.failure.cause.value, killer.output) == ("killed", "last words\n")
    assert "keeper" in killer.failure.message
    assert neighbour.output == "ok\n"
