"""Host applications that import, call, cancel, block, fork and die in odd ways."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster import (
    Fleet,
    OrchestratorError,
    SpawnPolicy,
    SpawnResult,
    SpawnTask,
    TerminationPolicy,
    TimeoutPolicy,
)
from tests.support.weather import (
    QUICK,
    causes,
    fleet,
    fresh_mark,
    host,
    host_command,
    host_environment,
    run_host,
    running,
    sh,
)

IMPORT = """
import logging, os, signal, sys, threading, time
events = []
def hook(name, args):
    if name == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
        events.append((name, args[0]))
    elif name.split(".")[0] in {"socket", "subprocess", "signal"} or name in {
        "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.putenv", "os.mkdir"}:
        events.append((name, args))
sys.addaudithook(hook)
before = ({n: signal.getsignal(n) for n in signal.valid_signals()}, dict(os.environ),
          threading.active_count(), logging.root.handlers[:], logging.root.level,
          sys.excepthook, sys.stdout, os.listdir("/proc/self/fd"))
start = time.process_time()
import muster
took = time.process_time() - start
for name in muster.__all__:
    getattr(muster, name)
after = ({n: signal.getsignal(n) for n in signal.valid_signals()}, dict(os.environ),
         threading.active_count(), logging.root.handlers[:], logging.root.level,
         sys.excepthook, sys.stdout, os.listdir("/proc/self/fd"))
heavy = {"structlog", "dependency_injector", "rich", "cyclopts", "crewai"}
print(after == before, events, sorted(heavy & set(sys.modules)), logging.getLogger("muster").handlers)
print(took)
"""


def test_the_import() -> None:
    """No thread, no file, no signal, no logging, no heavy package; and quick."""
    took = []
    for _ in range(3):
        told = subprocess.run(
            [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
        )
        checks, seconds = told.stdout.splitlines()
        assert checks == "True [] [] []"
        assert told.stderr == ""
        took.append(float(seconds))

    # A name of it is loaded when it is first asked for.
    assert min(took) < 0.15


@pytest.mark.parametrize("order", ["one after another", "threads", "debug", "eager"])
def test_loops(order: str) -> None:
    """Two in turn, two in two threads, a debugging one, one with eager tasks."""
    if order == "eager" and sys.version_info < (3, 12):
        pytest.skip("tasks can be eager from Python 3.12 on")
    told = host(f"""
        import threading, warnings
        warnings.simplefilter("error")
        async def batch():
            # Slow rounds of the loop are reported while debugging, and are no error.
            asyncio.get_running_loop().slow_callback_duration = 60
            if {order!r} == "eager":
                asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            tasks = [SpawnTask(f"echo {{n}}; exit {{n % 2}}", f"a{{n}}") for n in range(8)]
            async with Fleet.open({{}}) as fleet:
                a, _ = await fleet.spawn_parallel_tracked(
                    tasks, tool="sh", max_concurrent=3, recovery_policy=QUICK)
                b = await fleet.spawn_parallel(tasks, tool="sh")
                c = [r async for r in fleet.spawn_stream(tasks, tool="sh")]
                try:
                    async with asyncio.timeout(0.2):
                        await fleet.spawn(SpawnTask("sleep 100"), tool="sh")
                except TimeoutError:
                    pass
            return [sum(r.success for r in each) for each in (a, b, c)]
        def run():
            told.append(asyncio.run(batch(), debug={order == "debug"}))
        told = []
        if {order!r} == "threads":
            threads = [threading.Thread(target=run) for _ in range(2)]
            for each in threads: each.start()
            for each in threads: each.join()
        else:
            run(); run()
        print(told)
    """)

    assert told == f"{[[4, 4, 4], [4, 4, 4]]}\n"


async def test_another_loop_than_the_fleets(tmp_path: Path) -> None:
    """A sentence that says so, and not an error from inside."""
    async with fleet(tmp_path) as opened:
        problems: list[BaseException] = []

        def elsewhere() -> None:
            try:
                asyncio.run(opened.spawn(SpawnTask("x"), tool="cat"))
            except OrchestratorError as error:
                problems.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        await asyncio.get_running_loop().shutdown_default_executor()
        assert (await opened.spawn(SpawnTask("x"), tool="cat")).success

    assert "another event loop" in str(problems[0])


async def test_two_fleets_of_one_process(tmp_path: Path) -> None:
    """What one learns, stops or loses is no matter of the other's."""
    async with (
        fleet(tmp_path) as one,
        Fleet.open({}, environ=dict(os.environ)) as other,
    ):
        async with asyncio.TaskGroup() as group:
            long = group.create_task(
                other.spawn(SpawnTask("sleep 0.8; echo ok"), tool="sh")
            )
            for _ in range(3):
                await one.spawn(
                    SpawnTask("echo Invalid API key >&2; exit 1", "bob"), tool="sh"
                )
            await one.aclose()
        assert long.result().output == "ok\n"
        assert one.health_status("bob")["state"] == "open"
        assert other.health_status("bob")["state"] == "closed"
        assert (one.metrics.attempts, other.metrics.attempts) == (3, 1)


@pytest.mark.parametrize("where", ["on_progress", "on_output"])
async def test_a_callback_that_blocks_the_loop(tmp_path: Path, where: str) -> None:
    """A second of ours is not charged to the agents, who were talking meanwhile."""
    timeout = TimeoutPolicy(
        mode="fixed", timeout=60, first_output_timeout=0.7, no_activity_timeout=0.7
    )
    blocked: list[str] = []

    def block(*said: object) -> None:
        if len(blocked) < 3 and "Starting" not in str(said):
            blocked.append("x")
            # Not asyncio.sleep: the point is to hold the loop.
            threading.Event().wait(1.0)

    options = {where: block}
    talk = "for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 0.2; done"
    async with fleet(tmp_path) as opened:
        results = await opened.spawn_parallel(
            [SpawnTask("echo short"), *[SpawnTask(talk)] * 4],
            tool="sh",
            policy=SpawnPolicy("t", timeout=timeout),
            **options,  # type: ignore[arg-type]
        )

    assert blocked
    assert causes(results) == [None] * 5


async def test_a_callback_that_calls_again(tmp_path: Path) -> None:
    """The same fleet, from within a callback: another batch beside the first."""
    more: list[asyncio.Task[SpawnResult]] = []

    async with fleet(tmp_path) as opened, asyncio.TaskGroup() as group:

        def again(index: int, total: int, agent: str, status: str) -> None:
            if status.startswith("Completed"):
                call = opened.spawn(SpawnTask(f"echo again {index}", agent), tool="sh")
                more.append(group.create_task(call))

        first = await opened.spawn_parallel(
            [SpawnTask("echo first", "bob")] * 4, tool="sh", on_progress=again
        )

    assert [each.output for each in first] == ["first\n"] * 4
    assert sorted(each.result().output for each in more) == [
        f"again {n}\n" for n in range(1, 5)
    ]


@pytest.mark.parametrize("deed", ["stop", "drain", "cancel", "close"])
async def test_a_callback_that_ends_its_own_batch(tmp_path: Path, deed: str) -> None:
    """No deadlock, nobody left, one result each unless the caller was cancelled."""
    results: list[SpawnResult] = []
    closing: list[asyncio.Task[None]] = []

    async with fleet(tmp_path) as opened, asyncio.TaskGroup() as group:

        def end(index: int, total: int, agent: str, status: str) -> None:
            if not status.startswith("Completed"):
                return
            if deed == "cancel":
                batch.cancel()
            elif deed == "close":
                closing.append(group.create_task(opened.aclose()))
            else:
                getattr(opened, deed)("enough")

        async def call() -> None:
            results.extend(
                await opened.spawn_parallel(
                    [SpawnTask("echo ok"), *[SpawnTask("sleep 1; echo ok")] * 5],
                    tool="sh",
                    max_concurrent=3,
                    on_progress=end,
                )
            )

        batch = group.create_task(call())

    assert running("sleep 1;") == []
    expected = {
        "stop": [None, *["cancelled"] * 5],
        "drain": [None, None, None, *["cancelled"] * 3],
        "cancel": [],
        "close": [None, *["cancelled"] * 5],
    }
    assert causes(results) == expected[deed]


@pytest.mark.parametrize("signal", ["SystemExit(7)", "KeyboardInterrupt()"])
@pytest.mark.parametrize("where", ["on_progress", "on_output"])
def test_a_callback_that_ends_the_host(signal: str, where: str) -> None:
    """It passes; every agent ends; the exit code is the host's."""
    mark = fresh_mark()
    done = run_host(f"""
        def end(*said):
            if "up" in said or "Completed" in str(said):
                raise {signal}
        async def main():
            async with Fleet.open({{}}) as fleet:
                tasks = [SpawnTask("echo up; setsid sleep {mark} & sleep {mark}")] * 3
                tasks.append(SpawnTask("sleep 0.5; echo up"))
                await fleet.spawn_parallel(tasks, tool="sh", {where}=end)
        asyncio.run(main())
    """)

    assert done.returncode == (7 if "Exit" in signal else -2)
    assert running(mark) == []


async def test_callbacks_that_raise(tmp_path: Path) -> None:
    """All of them, each time: every result is kept."""

    def bad(*said: object) -> None:
        raise RuntimeError(said)

    async with fleet(tmp_path) as opened:
        results, metadata = await opened.spawn_parallel_tracked(
            [SpawnTask("echo ok", "a"), SpawnTask("echo bad; exit 1", "b")],
            tool="sh",
            on_progress=bad,
            on_output=bad,
            on_recovery=bad,
            recovery_policy=QUICK,
        )

    assert causes(results) == [None, "crash"]
    assert metadata["retried_tasks"] == [
        {"agent_id": "b", "task_index": 1, "retries": 2}
    ]


async def test_a_consumer_that_is_slow(tmp_path: Path) -> None:
    """Starting pauses until results are taken; none is lost, in bounded memory."""
    asked = 0

    def many() -> Iterator[SpawnTask]:
        nonlocal asked
        for n in range(300):
            asked = n + 1
            yield SpawnTask(str(n))

    seen: list[str] = []
    async with fleet(tmp_path) as opened:
        async for result in opened.spawn_stream(many(), tool="cat", max_concurrent=4):
            seen.append(result.output)
            if len(seen) == 1:
                await asyncio.sleep(1.0)
                assert asked < 100

    assert sorted(map(int, seen)) == list(range(300))


async def test_a_consumer_that_leaves(tmp_path: Path) -> None:
    """Whoever breaks out of the stream and closes it leaves no agent running."""
    mark = fresh_mark()
    tasks = [SpawnTask("echo ok"), *[SpawnTask(f"sleep {mark}")] * 5]

    async with fleet(tmp_path) as opened:
        stream = opened.spawn_stream(tasks, tool="sh")
        async for result in stream:
            assert result.success
            break
        await stream.aclose()  # type: ignore[attr-defined]
        assert running(mark) == []


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("number", [9, 15])
def test_the_host_is_killed(moment: float, number: int) -> None:
    """In mid-start or later: within two seconds nobody is left, however they hide."""
    mark = fresh_mark()
    source = f"""
        async def main():
            async with Fleet.open({{}}) as fleet:
                hide = "trap '' TERM; (setsid sleep {mark} &) ; env -i setsid sleep {mark} & sleep {mark}"
                await fleet.spawn(SpawnTask(""), tool="cat")
                print("up", flush=True)
                await fleet.spawn_parallel([SpawnTask(hide)] * 20, tool="sh", max_concurrent=20)
        asyncio.run(main())
    """
    with subprocess.Popen(
        host_command(source), stdout=subprocess.PIPE, env=host_environment()
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        threading.Event().wait(moment)
        process.send_signal(number)

    waited = 0.0
    while running(mark) and waited < 2.0:
        threading.Event().wait(0.05)
        waited += 0.05
    assert running(mark) == []


def test_the_machine_sleeps() -> None:
    """A host that stood still for two seconds, agents too: nobody is charged for it."""
    source = """
        async def main():
            policy = SpawnPolicy("t", timeout=TimeoutPolicy(mode="fixed", timeout=60,
                first_output_timeout=1.2, no_activity_timeout=1.2))
            async with Fleet.open({}) as fleet:
                print("up", flush=True)
                result = await fleet.spawn(SpawnTask(
                    "for n in 1 2 3 4 5 6; do echo $n; sleep 0.5; done"), tool="sh", policy=policy)
                print(result.success, result.error)
        asyncio.run(main())
    """
    with subprocess.Popen(
        host_command(source), stdout=subprocess.PIPE, env=host_environment(), text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        threading.Event().wait(1.0)
        process.send_signal(19)
        threading.Event().wait(2.0)
        process.send_signal(18)
        assert process.stdout.read() == "True None\n"


def test_a_host_that_forks() -> None:
    """A forked copy may end as it likes: the agents are the parent's."""
    told = host("""
        async def main():
            async with Fleet.open({}) as fleet:
                async with asyncio.TaskGroup() as group:
                    call = group.create_task(
                        fleet.spawn(SpawnTask("sleep 1; echo ok"), tool="sh"))
                    await asyncio.sleep(0.4)
                    if os.fork() == 0:
                        os._exit(0)
                    os.wait()
                print(call.result().output, end="")
                print((await fleet.spawn(SpawnTask("after"), tool="cat")).output)
        asyncio.run(main())
    """)

    assert told == "ok\nafter\n"


def test_a_host_with_children_of_its_own() -> None:
    """They are neither reaped nor adopted nor signalled by us."""
    told = host("""
        import subprocess
        async def main():
            own = subprocess.Popen(["sh", "-c", "sleep 1; exit 5"])
            theirs = await asyncio.create_subprocess_exec("sh", "-c", "sleep 1; exit 6")
            async with Fleet.open({}) as fleet:
                await fleet.spawn_parallel([SpawnTask("sleep 0.1; exit 3")] * 20, tool="sh")
            print(own.wait(), await theirs.wait())
        asyncio.run(main())
    """)

    assert told == "5 6\n"


async def test_a_limit_for_the_whole_batch(tmp_path: Path) -> None:
    """What is finished is returned in order, the rest has its cause, nothing is raised."""
    policy = SpawnPolicy("t", termination=TerminationPolicy(grace=0.2))
    scripts = ["echo a", "trap '' TERM; sleep 100", "echo c", "sleep 100", "echo e"]

    async with fleet(tmp_path) as opened:
        results, _ = await opened.spawn_parallel_tracked(
            [SpawnTask(each) for each in scripts],
            tool="sh",
            max_concurrent=2,
            global_timeout=1.0,
            policy=policy,
        )

    assert [each.task_index for each in results] == list(range(5))
    assert causes(results) == [
        None,
        "deadline",
        None,
        "deadline",
        "deadline",
    ] or causes(results) == [None, "deadline", None, "deadline", None]


@pytest.mark.parametrize("script", ["true", "exit 1", "kill -9 $$", "sleep 0 & true"])
async def test_two_hundred_leave_no_zombie(tmp_path: Path, script: str) -> None:
    """Nor does the fleet that ran them (looked at when it closes)."""
    async with fleet(tmp_path) as opened:
        results = await opened.spawn_parallel(
            [SpawnTask("x")] * 200, tool=sh(script), max_concurrent=20
        )
        assert zombies_of(os.getpid()) == []

    assert len(results) == 200


def zombies_of(pid: int) -> list[Path]:
    """Those whom this process should have reaped."""
    return [file for file in Path("/proc").glob("[0-9]*/stat") if _is_zombie(file, pid)]


def _is_zombie(file: Path, of: int) -> bool:
    try:
        state, parent = file.read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state == "Z" and int(parent) == of
