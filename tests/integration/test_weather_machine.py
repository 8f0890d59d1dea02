"""Odd machines: locales, folders, limits, missing files and mechanisms."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster import SpawnPolicy, SpawnTask, TimeoutPolicy, ToolSpec
from tests.support.weather import (
    QUICK,
    causes,
    fleet,
    host,
    host_environment,
    python,
    sh,
)

HELLO = """
    async def main():
        async with Fleet.open({}) as fleet:
            done = await fleet.spawn_parallel(
                [SpawnTask("h\\u00e9 \\U0001f600", task_id=f"{n}") for n in range(3)],
                tool="/bin/cat", max_concurrent=2)
            failed = await fleet.spawn(SpawnTask("echo F\\u00e4iled >&2; exit 1"), tool="/bin/sh")
        print([r.output == "h\\u00e9 \\U0001f600" for r in done], ascii(failed.error))
    asyncio.run(main())
"""
SAID = "[True, True, True] 'ended with exit code 1: F\\xe4iled'\n"
PATH = os.environ["PATH"]


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "no_SUCH.locale", "LANG": "x"},
        {"TZ": "Nowhere/City"},
        {"HOME": "/no/such/home"},
        {"HOME": ""},
        {"HOME": "/dev/null"},
        {"HOME": "relative"},
        {"PATH": ""},
        {"PATH": ":::/no/such:relative"},
        {"TMPDIR": "/no/such/tmp"},
        {"TMPDIR": "/proc"},
        {"XDG_CACHE_HOME": "/proc", "XDG_CONFIG_HOME": "/proc/1/none"},
        {"XDG_CACHE_HOME": "/dev/full"},
        {"TERM": "nonsense", "COLUMNS": "-1", "NO_COLOR": "x"},
        {"MUSTER_DEPTH": "many"},
        {"PYTHONOPTIMIZE": "2"},
        {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"},
        {"PYTHONHASHSEED": "0", "PYTHONWARNINGS": "default"},
        {"BASH_ENV": "/evil.sh", "ENV": "/evil.sh"},
        {"A" * 1000: "b" * 100_000},
        {"NODE_OPTIONS": "--require /evil.js"},
    ],
    ids=lambda env: " ".join(name[:20] for name in env),
)
def test_odd_environments(env: dict[str, str]) -> None:
    """None is a reason to fail, to warn or to mangle a text."""
    assert host(HELLO, env=host_environment(**env)) == SAID


def test_an_empty_environment() -> None:
    """Not even a PATH."""
    assert host(HELLO, env={}) == SAID


@pytest.mark.parametrize("containment", ["keeper", "group"])
@pytest.mark.parametrize(
    "before",
    [
        "os.close(0)",
        "os.close(0); os.dup(2) and None",
        "os.umask(0o777)",
        "os.nice(5)",
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)",
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.pthread_sigmask(0, signal.valid_signals())",
        "os.chdir('/proc')",
        "os.chdir('/')",
        "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
        "import resource; resource.setrlimit(resource.RLIMIT_STACK, (2**20, 2**20))",
        "import resource; [os.dup2(2, fd) for fd in range(100, 900)]",
        "os.setsid() if os.getpid() != os.getpgid(0) else None",
        "import gc; gc.disable()",
        "sys.setrecursionlimit(300)",
        "import threading; threading.stack_size(65536)",
    ],
)
def test_odd_hosts(before: str, containment: str) -> None:
    """What an application does to its process first."""
    if (containment, "SIGCHLD" in before) == ("group", True):
        pytest.xfail("the kernel reaps the children before the group can")
    source = HELLO.replace(
        "Fleet.open({})", f"Fleet.open({{'containment': '{containment}'}})"
    )

    assert host(f"    {before}\n{source}") == SAID


@pytest.mark.parametrize("containment", ["keeper", "group"])
def test_a_folder_that_was_deleted_under_the_host(
    tmp_path: Path, containment: str
) -> None:
    """Agents run in it all the same, and nobody else's folder takes its place."""
    told = host(f"""
        folder = Path({str(tmp_path)!r}) / "gone"
        folder.mkdir(); os.chdir(folder); folder.rmdir()
        async def main():
            async with Fleet.open({{"containment": {containment!r}}}) as fleet:
                done = await fleet.spawn(SpawnTask("hello"), tool="cat")
                where = await fleet.spawn(SpawnTask(""), tool=sh("readlink /proc/self/cwd"))
            print(done.output, where.output, end="")
            print(Settings.from_value({{}}).home)
        from muster.infrastructure.settings import Settings
        asyncio.run(main())
    """)

    gone = f"{tmp_path}/gone (deleted)"
    assert told == f"hello {gone}\n{gone}/.muster\n"


STRANGER = """
    import muster.infrastructure.container, resource
    os.chdir({folder!r})
    os.setresuid(54321, 54321, 54321)
"""


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that a stranger may enter, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="becomes somebody else")
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_folders_that_can_not_be_written(
    tmp_path: Path, everybodys: Path, mode: int
) -> None:
    """Nobody's home and nobody's project are no reason to fail.

    Only where it can't be seen whether somebody has halted, nothing starts.
    """
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    source = HELLO.replace("Fleet.open({})", "Fleet.open({'containment': 'group'})")
    source = STRANGER.format(folder=str(folder)) + source
    env = host_environment(HOME=str(folder), TMPDIR=str(folder))

    told = host(source, env={**env, "MUSTER_HOME": str(everybodys)})
    halted = host(source, env=env)

    assert told == SAID
    assert halted.startswith("[False, False, False]")
    assert "can't be read (Permission denied), which counts as a halt" in halted


async def test_no_path_finds_no_name(tmp_path: Path) -> None:
    """A name is not found; a path is; nobody looks into the present folder."""
    (tmp_path / "cat").write_text("#!/bin/sh\ntouch pwned\n")
    (tmp_path / "cat").chmod(0o755)

    for path in ("", ":", "."):
        async with fleet(tmp_path, {"PATH": path}) as opened:
            task = SpawnTask("x", cwd=str(tmp_path))
            name = await opened.spawn(task, tool=ToolSpec("cat", ("cat",)))
            file = await opened.spawn(task, tool="/bin/cat")
        assert file.output == "x"
        if path != ".":
            assert causes([name]) == ["tool_not_found"]
            assert not (tmp_path / "pwned").exists()


async def test_a_wall_clock_that_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits, delays and durations follow the monotonic clock; records hold UTC."""
    # A fake by hand would stand in for the very thing that is tried here.
    import time  # noqa: PLC0415

    really, jumps = time.time, [0.0]  # noqa: TID251 - the clock that jumps
    monkeypatch.setattr(time, "time", lambda: really() + jumps[0])
    policy = SpawnPolicy("t", timeout=TimeoutPolicy(mode="fixed", timeout=0.6))

    def jump(line: str) -> None:
        jumps[0] += -3600.0 if line == "back" else 10**9

    async with fleet(tmp_path) as opened:
        back = await opened.spawn(
            SpawnTask("echo back; sleep 100"), tool="sh", policy=policy, on_output=jump
        )
        ahead = await opened.spawn(
            SpawnTask("echo ahead; sleep 0.2; echo ok"), tool="sh", on_output=jump
        )
        (retried,) = await opened.spawn_parallel_with_recovery(
            [SpawnTask("echo back; exit 1", "bob")],
            tool="sh",
            recovery_policy=QUICK,
            on_output=jump,
        )

    assert causes([back, ahead, retried]) == ["timeout", None, "crash"]
    assert 0.6 <= back.execution_time < 10
    assert 0.2 <= ahead.execution_time < 10
    assert retried.retry_count == 2


async def test_memory_that_an_agent_may_not_have(tmp_path: Path) -> None:
    """An agent in the limits that its tool sets itself dies alone."""
    greedy = sh('ulimit -v 200000; exec "$0" -c "x = bytearray(10**10)"')
    greedy = ToolSpec("greedy", (*greedy.command, sys.executable))

    async with fleet(tmp_path) as opened:
        failed, fine = await opened.spawn_parallel(
            [SpawnTask("", tool=greedy), SpawnTask("ok", tool="cat")]
        )

    assert causes([failed, fine]) == ["out_of_memory", None]


async def test_a_small_fork_bomb(tmp_path: Path) -> None:
    """What forks as fast as it may until its limit is ended with all its children."""
    bomb = python("""
        import os, resource, time
        n = 0
        while n < 9:
            n += 1
            os.fork()
        time.sleep(1000)
    """)
    policy = SpawnPolicy("t", timeout=TimeoutPolicy(mode="fixed", timeout=1.5))

    async with fleet(tmp_path) as opened:
        bombed, fine = await opened.spawn_parallel(
            [SpawnTask("", tool=bomb), SpawnTask("echo ok", tool="sh")], policy=policy
        )

    assert causes([bombed, fine]) == ["timeout", None]


def test_runs_in_any_zone() -> None:
    """A zone that changes while an agent runs changes no duration, and epochs are UTC."""
    told = host("""
        async def main():
            async with Fleet.open({}) as fleet:
                def move(line):
                    os.environ["TZ"] = "Pacific/Kiritimati"; time.tzset()
                before = time.time()
                result = await fleet.spawn(
                    SpawnTask("echo; sleep 0.2"), tool="sh", on_output=move)
                started = result.attempts[0].started_at
                print(before <= started <= before + 60, 0.2 <= result.execution_time < 60)
        asyncio.run(main())
    """)

    assert told == "True True\n"
