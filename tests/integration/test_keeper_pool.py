"""Keepers and their helper under attack, under bad weather, and in odd hosts."""

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from muster.domain import presets
from muster.infrastructure.adapters.local_process import processes
from muster.infrastructure.adapters.local_process.child import LaunchError
from muster.infrastructure.adapters.local_process.keeper_pool import (
    KeeperPool,
    KeptChild,
)
from tests.support.endings import GRACE, launch, trial
from tests.support.escapes import Leash, command

SLEEP = ("/bin/sleep", "100")
DEGRADED = {
    "subreaper": {"bare daemon"},
    "children": set(),
    "pidfd": set(),
    "posix_spawn": set(),
    "children,pidfd,posix_spawn": set(),
}


@pytest.fixture
def null() -> int:
    return os.open(os.devnull, os.O_RDWR)


@pytest.fixture
async def pool() -> AsyncIterator[KeeperPool]:
    pool = KeeperPool()
    yield pool
    await pool.aclose()


async def escape(pool: KeeperPool, name: str, null: int) -> tuple[KeptChild, Leash]:
    leash = Leash()
    child = await pool.start(launch(command(name), leash.end, null))
    leash.let_go()
    await leash.signs()
    return child, leash


def keepers(pool: KeeperPool) -> list[int]:
    assert pool._helper is not None
    return processes.children(pool._helper._process.pid)


async def test_a_killed_keeper_is_lost_with_its_family(
    pool: KeeperPool, null: int
) -> None:
    """The helper sweeps what it inherits, and says so; the pool goes on."""
    child, leash = await escape(pool, "kills keeper", null)

    assert await child.exited == -signal.SIGKILL
    gone = await child.gone
    assert (gone.lost, gone.unkillable) == (True, ())
    assert gone.leftovers >= 1
    assert leash.is_free()
    assert await (await pool.start(launch(("/bin/true",), null, null))).exited == 0


async def test_a_killed_helper_ends_the_agents(pool: KeeperPool, null: int) -> None:
    """Its keepers end their agents; the next start has a new helper."""
    bystander = await pool.start(launch(SLEEP, null, null))
    child, leash = await escape(pool, "kills helper", null)

    assert (await child.gone).lost
    assert (await bystander.gone).lost
    assert pool._idle == []
    assert leash.is_free()
    assert await (await pool.start(launch(("/bin/true",), null, null))).exited == 0


@pytest.mark.parametrize("attack", ["stops keeper", "stops helper", "stops both"])
async def test_the_stopped_are_overcome(
    pool: KeeperPool, null: int, attack: str
) -> None:
    """The stop ladder ends in time though nobody in the middle answers."""
    loop = asyncio.get_running_loop()
    child, leash = await escape(pool, attack, null)
    before = loop.time()

    child.stop(GRACE)
    await child.gone

    assert leash.is_free()
    assert loop.time() - before < GRACE + 4 * presets.KILL_BOUND
    assert await (await pool.start(launch(("/bin/true",), null, null))).exited == 0


async def test_a_keeper_that_was_given_up_does_not_serve_again(
    pool: KeeperPool, null: int
) -> None:
    """Its end is ordered: the news that its child ended well must not make it idle."""
    child = await pool.start(launch(("/bin/sleep", "0.1"), null, null))
    child.keeper.given_up = True
    await child.gone

    assert pool._idle == []


async def test_a_keeper_serves_again(pool: KeeperPool, null: int) -> None:
    """One keeper for one agent at a time, however many there are."""
    for _ in range(5):
        child = await pool.start(launch(("/bin/true",), null, null))
        await child.gone

    assert len(keepers(pool)) == 1


async def test_an_idle_keeper_holds_no_folder(
    pool: KeeperPool, null: int, tmp_path: Path
) -> None:
    child = await pool.start(launch(("/bin/true",), null, null, cwd=str(tmp_path)))
    await child.gone

    assert Path(f"/proc/{child.keeper.pid}/cwd").readlink() == Path("/")  # noqa: ASYNC240


async def test_an_idle_keeper_that_was_killed_is_replaced(
    pool: KeeperPool, null: int
) -> None:
    child = await pool.start(launch(("/bin/true",), null, null))
    await child.gone
    os.kill(child.keeper.pid, signal.SIGKILL)
    while processes.alive(child.keeper.pid):  # and the loop has not heard of it
        pass

    assert await (await pool.start(launch(("/bin/true",), null, null))).exited == 0


async def test_a_helper_that_was_killed_is_replaced_at_once(
    pool: KeeperPool, null: int
) -> None:
    """Even where its end was not heard of before the next start."""
    await pool.start(launch(SLEEP, null, null))
    assert pool._helper is not None
    helper = pool._helper._process.pid
    os.kill(helper, signal.SIGKILL)
    while processes.alive(helper):
        pass

    assert await (await pool.start(launch(("/bin/true",), null, null))).exited == 0


@pytest.mark.parametrize("steps", range(6))
async def test_a_cancelled_start_leaves_nothing(
    pool: KeeperPool, null: int, steps: int
) -> None:
    """Cancelled after any number of rounds of the loop: no process, no descriptor."""
    await (await pool.start(launch(("/bin/true",), null, null))).gone
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    leash = Leash()

    async with asyncio.TaskGroup() as group:
        start = launch(command("bare daemon"), leash.end, null)
        task = group.create_task(pool.start(start))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
    if not task.cancelled():
        task.result().kill()
        await task.result().gone

    leash.let_go()
    assert leash.is_free_within(0.2)
    leash.close()
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert len(keepers(pool)) == 1


@pytest.mark.parametrize("without", DEGRADED)
async def test_degraded_keepers(without: str) -> None:
    """What is told to be missing is missed by the worst escapes only."""
    pool = KeeperPool(without=without.split(","))
    wrongs: dict[tuple[str, str], str] = {}

    async def one(name: str, way: str) -> None:
        wrongs[name, way] = await trial(pool, name, way, patience=3.0)

    async with asyncio.TaskGroup() as group:
        for name in ("background", "setsid", "deaf", "deaf daemon", "family tree"):
            for way in ("stop", "normal end"):
                group.create_task(one(name, way))
        hoppers = () if without == "subreaper" else ("session hopper", "re-forker")
        for name in ("bare daemon", *hoppers):
            group.create_task(one(name, "kill"))
    await pool.aclose()

    survived = {name for (name, _), wrong in wrongs.items() if wrong}
    assert survived <= DEGRADED[without]


async def test_the_group_dies_at_once_with_fast_forkers(
    pool: KeeperPool, null: int
) -> None:
    """Chains of processes that live for less than a look at /proc takes."""
    chains = """
        import os
        for _ in range(40):
            if os.fork() == 0:
                while True:
                    os.fork() and os._exit(0)
        os.write(0, b"r")
        while True:
            os.wait()
    """
    leash = Leash()
    argv = (sys.executable, "-I", "-S", "-c", textwrap.dedent(chains))
    child = await pool.start(launch(argv, leash.end, null))
    leash.let_go()
    await leash.signs()

    child.kill()

    assert (await child.gone).unkillable == ()
    assert leash.is_free()
    leash.close()


async def test_no_descriptors_left(pool: KeeperPool, null: int) -> None:
    """EMFILE is the error of that start, and passes."""
    await (await pool.start(launch(("/bin/true",), null, null))).gone
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sleeper = await pool.start(launch(SLEEP, null, null))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(LaunchError) as caught:
            await pool.start(launch(SLEEP, null, null))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert (caught.value.errno, caught.value.stage) == (errno.EMFILE, "fork")
    assert await (await pool.start(launch(("/bin/true",), null, null))).exited == 0
    sleeper.kill()


async def test_a_helper_that_can_not_run() -> None:
    """No interpreter, or one that ends at once: an error, not a hang."""
    null = os.open(os.devnull, os.O_RDWR)
    for python, code in (("/nowhere/python", errno.ENOENT), ("/bin/false", None)):
        pool = KeeperPool(python=python)
        with pytest.raises(LaunchError) as caught:
            await pool.start(launch(SLEEP, null, null))
        assert caught.value.stage == "fork"
        assert code is None or caught.value.errno == code
        await pool.aclose()


def in_odd_host(source: str) -> str:
    """What a host of its own prints."""
    program = f"""
        import asyncio, os, signal, sys, threading
        sys.path[:0] = {sys.path!r}
        from muster.infrastructure.adapters.local_process.containment import choose
        from tests.support.endings import launch
        null = os.open(os.devnull, os.O_RDWR)
        async def code(kind="keeper"):
            pool = choose(kind)
            shell = ("/bin/sh", "-c", "sleep 0.05; exit 3")
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(pool.start(launch(shell, null, null))) for _ in "abc"]
            codes = [await task.result().exited for task in tasks]
            await pool.aclose()
            return codes
    """
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-c",
            textwrap.dedent(program) + textwrap.dedent(source),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return (done.stdout + done.stderr).strip()


@pytest.mark.parametrize(
    "source",
    [
        "print(asyncio.run(code()))",
        # A host that ignores SIGCHLD has its children reaped by the kernel.
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(asyncio.run(code()))",
        "signal.pthread_sigmask(0, signal.valid_signals()); print(asyncio.run(code()))",
        "asyncio.run(code()); print(asyncio.run(code()))",
        "asyncio.run(code('group')); print(asyncio.run(code('group'), debug=True))",
        "print(asyncio.run(code(), debug=True))",
        # Descriptors 0 and 1 are then free for our own sockets and pipes.
        "os.close(0); os.close(1); os.write(2, str(asyncio.run(code())).encode())",
    ],
)
def test_odd_hosts(source: str) -> None:
    """Codes are right whatever the host does with signals, loops and files."""
    assert in_odd_host(source) == "[3, 3, 3]"


def test_two_loops_in_two_threads() -> None:
    """Each has its own pool; neither hears of the other's children."""
    found: list[list[int]] = []

    async def run(null: int) -> list[int]:
        pool = KeeperPool()
        children = [
            await pool.start(launch(("/bin/sh", "-c", f"exit {n}"), null, null))
            for n in range(20)
        ]
        codes = [await child.exited for child in children]
        await pool.aclose()
        return codes

    def thread() -> None:
        with open(os.devnull, "r+b") as null:  # noqa: PTH123
            found.append(asyncio.run(run(null.fileno())))

    threads = [threading.Thread(target=thread) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert found == [[*range(20)], [*range(20)]]


async def test_a_forked_copy_of_the_host_keeps_nobody_alive() -> None:
    """The sockets of a dead host may live on in its forks; its pidfd does not."""
    leash = Leash()
    source = f"""
        pool = choose("keeper")
        async def main():
            await pool.start(launch(("/bin/sleep", "100"), {leash.end}, null))
            if os.fork() == 0:
                os.close({leash.end})
                import time; time.sleep(30); os._exit(0)
            os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    program = f"""
        import asyncio, os, sys
        sys.path[:0] = {sys.path!r}
        from muster.infrastructure.adapters.local_process.containment import choose
        from tests.support.endings import launch
        null = os.open(os.devnull, os.O_RDWR)
    """
    host = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", textwrap.dedent(program) + textwrap.dedent(source)],
        pass_fds=(leash.end,),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    leash.let_go()
    host.wait()

    free = leash.is_free_within(presets.HOST_DEATH_GRACE + 1.5)

    os.killpg(host.pid, signal.SIGKILL)
    assert free
