"""The ways in which an agent ends, each tried on a program that tries to escape."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from muster.infrastructure.adapters.local_process.child import (
    Child,
    Containment,
    Launch,
)
from muster.infrastructure.adapters.local_process.keeper_pool import KeeperPool
from tests.support.escapes import ALL, ATTACKS, ESCAPES, Leash, command, python

GRACE: Final = 0.15
WAYS: Final = ("stop", "kill", "normal end", "stopped drain", "cancel", "close")
HOST_DEATH_BOUND: Final = 2.0


def launch(
    argv: tuple[str, ...], stdin: int, out: int, cwd: str | None = "/", **env: str
) -> Launch:
    """A launch with all output to one descriptor."""
    return Launch(
        argv=argv,
        executable=argv[0],
        env={"PATH": os.defpath, **env},
        cwd=cwd,
        stdin=stdin,
        stdout=out,
        stderr=out,
        stop_signal=signal.SIGTERM,
        grace=GRACE,
    )


async def trial(
    containment: Containment,
    name: str,
    way: str,
    moment: float = 0.0,
    *,
    patience: float = 0.0,
) -> str:
    """End one escape in one way; "" or what went wrong. `moment`: when to cancel.

    `gone` promises that nobody is left now, not soon: no `patience` but where a keeper
    may be too slow to kill everybody within its bound.
    """
    leash = Leash()
    out = os.open(os.devnull, os.O_RDWR)
    try:
        argv = command(name, leader_ends=way in {"normal end", "stopped drain"})
        start = containment.start(launch(argv, leash.end, out))
        if way == "cancel":
            await _cancelled(start, moment)
            leash.let_go()
        else:
            child = await start
            leash.let_go()
            await _end(containment, child, name, way, leash)
        # A keeper may be a moment from closing its own copy, if its start was cancelled.
        if not leash.is_free_within(0.2 if way == "cancel" else patience):
            return f"{name}, {way}: survived by {_describe(leash.holders())}"
    finally:
        os.close(out)
        leash.close()
    return ""


async def _cancelled(start: "asyncio.coroutines._Coroutine", moment: float) -> None:  # type: ignore[name-defined]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(start)
        await asyncio.sleep(moment)
        task.cancel()
    if not task.cancelled():
        child = task.result()
        child.kill()
        await child.gone


async def _end(
    containment: Containment, child: Child, name: str, way: str, leash: Leash
) -> None:
    await leash.signs()
    if way == "stop":
        child.stop(GRACE)
    elif way == "kill":
        child.kill()
    elif way == "close":
        await containment.aclose()
    else:
        # With keeper and helper stopped, only a deadline of the host can see the end.
        blind = name == "stops both"
        async with asyncio.timeout(10):
            await asyncio.wait([child.exited], timeout=0.5 if blind else None)
            if way == "stopped drain" or blind:
                child.stop(GRACE)
    async with asyncio.timeout(10):
        await child.gone


def _describe(pids: list[int]) -> str:
    described = []
    for pid in pids:
        try:
            line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[:5]
            described.append(" ".join(line))
        except OSError:
            continue
    return "; ".join(described)


HOST: Final = """
import asyncio, os, sys
sys.path[:0] = {path}
from muster.infrastructure.adapters.local_process.keeper_pool import KeeperPool
from tests.support.endings import launch
from tests.support.escapes import command, python
async def main():
    pools = [KeeperPool(python=python()) for _ in range({pools})]
    null = os.open(os.devnull, os.O_RDWR)
    os.write({leash}, b"h")
    async with asyncio.TaskGroup() as group:
        for at, name in enumerate({names}):
            start = pools[at % len(pools)].start(launch(command(name), {leash}, null))
            group.create_task(start)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


async def host_death(names: list[str], moment: float) -> str:
    """SIGKILL a host `moment` seconds after it began to start these; "" when all end."""
    leash = Leash()
    try:
        source = HOST.format(
            path=[*sys.path],
            pools=len([n for n in names if n in ATTACKS]) or 1,
            leash=leash.end,
            names=names,
        )
        host = subprocess.Popen(  # noqa: ASYNC220 (returns at once)
            [python(), "-c", source],
            pass_fds=(leash.end,),
            stdin=subprocess.DEVNULL,
        )
        leash.let_go()
        try:
            await leash.signs()
            await asyncio.sleep(moment)
        finally:
            host.kill()
            host.wait()
        if not leash.is_free_within(HOST_DEATH_BOUND):
            return f"host killed at {moment:.3f}: {_describe(leash.holders())}"
    finally:
        leash.close()
    return ""


async def all_ways(way: str, names: tuple[str, ...], moments: list[float]) -> list[str]:
    """Try each of these once per moment, all at the same time; what went wrong.

    What attacks its keeper gets a pool of its own, and so does what ends by the end of
    its pool.
    """
    shared = KeeperPool(python=python())
    wrongs: list[str] = []

    async def one(name: str, moment: float) -> None:
        alone = name in ATTACKS or way == "close"
        pool = KeeperPool(python=python()) if alone else shared
        try:
            wrongs.append(await trial(pool, name, way, moment))
        finally:
            if alone:
                await pool.aclose()

    try:
        async with asyncio.TaskGroup() as group:
            for moment in moments:
                for name in names:
                    group.create_task(one(name, moment))
    finally:
        await shared.aclose()
    return [wrong for wrong in wrongs if wrong]


__all__ = ["ALL", "ESCAPES", "WAYS", "all_ways", "host_death", "launch", "trial"]
