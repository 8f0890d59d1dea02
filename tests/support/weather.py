"""A whole fleet of real processes, and the check that bad weather left nothing behind."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import muster
from muster import Fleet, RecoveryPolicy, SpawnResult, SpawnTask, ToolSpec

QUICK = RecoveryPolicy(
    max_retries=2, base_delay=0.01, jitter="none", fallback_to_llm=False
)
HOST_BOUND = 100.0
_BACK_TO_NORMAL = 5.0


@asynccontextmanager
async def fleet(
    home: Path, environ: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[Fleet]:
    """A fleet that at its end has no batch, process, descriptor, thread or loose error."""
    problems: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, problem: problems.append(problem))
    before = _belongings()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), **(environ or {})}
    async with Fleet.open(settings, environ=environ) as opened:
        yield opened
        assert opened.context.active == set()
    assert problems == [], problems
    due = loop.time() + _BACK_TO_NORMAL
    while _belongings() != before and loop.time() < due:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.02)
    assert _belongings() == before, (_belongings(), before)


def _belongings() -> tuple[int, list[int], int]:
    return descriptors(), children(os.getpid()), threading.active_count()


def sh(script: str, **spec: Any) -> ToolSpec:
    """A shell script as a tool, its prompt on stdin."""
    return ToolSpec("script", ("/bin/sh", "-c", script), **spec)


def python(code: str, *arguments: str, **spec: Any) -> ToolSpec:
    """A piece of Python as a tool."""
    command = (sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *arguments)
    return ToolSpec("python", command, **spec)


async def every_function(
    opened: Fleet, task: SpawnTask, **options: Any
) -> dict[str, SpawnResult]:
    """The result of one task by each function of a fleet."""
    tracked, _ = await opened.spawn_parallel_tracked([task], **options)
    (streamed,) = [each async for each in opened.spawn_stream([task], **options)]
    return {
        "spawn": await opened.spawn(task, **options),
        "parallel": (await opened.spawn_parallel([task], **options))[0],
        "recovery": (await opened.spawn_parallel_with_recovery([task], **options))[0],
        "sequential": (await opened.spawn_sequential([task], **options))[0],
        "stream": streamed,
        "tracked": tracked[0],
    }


def causes(results: Iterable[SpawnResult]) -> list[str | None]:
    """The cause of each failure, None for a success."""
    return [each.failure.cause.value if each.failure else None for each in results]


def host(source: str, *, env: dict[str, str] | None = None, **run: Any) -> str:
    """What a host application of its own prints on stdout; it may say nothing on stderr.

    ``source`` finds asyncio, os, sys, time, `muster` and this module as ``weather``.
    """
    done = run_host(source, env=env, **run)
    assert (done.stderr, done.returncode) == ("", 0), done.stderr[-3000:]
    return done.stdout


def run_host(
    source: str, *, env: dict[str, str] | None = None, **run: Any
) -> "subprocess.CompletedProcess[str]":
    """The same, with whatever came of it."""
    return subprocess.run(
        host_command(source),
        capture_output=True,
        text=True,
        timeout=HOST_BOUND,
        check=False,
        env=host_environment() if env is None else env,
        stdin=subprocess.DEVNULL,
        **run,
    )


def host_command(source: str) -> list[str]:
    """The argv of such a host."""
    path = [str(Path(muster.__file__).parents[1]), *map(os.path.abspath, sys.path)]
    start = f"import sys; sys.path[:0] = {path!r}\n"
    start += "import asyncio, os, signal, time, muster\n"
    start += "from pathlib import Path\nfrom muster import *\n"
    start += "from tests.support import weather\nfrom tests.support.weather import *\n"
    return [sys.executable, "-c", start + textwrap.dedent(source)]


def host_environment(**more: str) -> dict[str, str]:
    """What a host needs and no more."""
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **more}


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def children(pid: int) -> list[int]:
    """Direct children of a process, zombies too; none of one that is gone."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found.update(map(int, task.read_text().split()))
        except OSError:
            continue
    return sorted(found)


def descent(pid: int) -> list[int]:
    """Everybody below a process."""
    found = []
    for child in children(pid):
        found += [child, *descent(child)]
    return found


def fresh_mark() -> str:
    """A number of seconds that nobody else sleeps."""
    return f"1000.{int.from_bytes(os.urandom(4))}"


def running(mark: str) -> list[int]:
    """All processes of this machine, but this one, that show ``mark`` in their arguments."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mark in words and int(file.parent.name) != os.getpid():
            found.append(int(file.parent.name))
    return found
