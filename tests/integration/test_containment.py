"""Families of processes end: real programs, real escapes, both containments."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.infrastructure.adapters.local_process import processes
from muster.infrastructure.adapters.local_process.containment import (
    Child,
    Containment,
    Gone,
    LaunchError,
    choose,
    degradations,
)
from tests.support.endings import WAYS, all_ways, host_death, launch, trial
from tests.support.escapes import ALL

SHELL = "/bin/sh"
MOMENTS = [0.0, 0.004, 0.015]
IN_GROUP = ("plain", "background", "nohup", "deaf", "fork race")


class Bench:
    """A containment and the files that its children get."""

    def __init__(self, containment: Containment) -> None:
        self.containment = containment
        self.null = os.open(os.devnull, os.O_RDWR)

    async def start(self, *argv: str, **changes: Any) -> Child:
        return await self.containment.start(
            launch(argv, self.null, changes.pop("out", self.null), **changes)
        )

    async def shell(self, script: str, **changes: Any) -> Child:
        return await self.start(SHELL, "-c", script, **changes)

    async def output(self, *argv: str, **changes: Any) -> str:
        """Everything that a program prints."""
        read_end, write_end = os.pipe()
        try:
            child = await self.start(*argv, out=write_end, **changes)
        finally:
            os.close(write_end)
        await child.gone
        with os.fdopen(read_end) as pipe:
            return pipe.read()


def count(of: str) -> int:
    """How many descriptors (fd) or threads (task) this process has."""
    return sum(1 for _ in Path(f"/proc/self/{of}").iterdir())


@pytest.fixture(params=["keeper", "group"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(choose(request.param))
    yield bench
    await bench.containment.aclose()
    os.close(bench.null)


@pytest.fixture
async def kept() -> AsyncIterator[Bench]:
    bench = Bench(choose("keeper"))
    yield bench
    await bench.containment.aclose()
    os.close(bench.null)


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_survives(way: str) -> None:
    """Whatever a program does to escape, nobody is left when `gone` is set."""
    assert await all_ways(way, tuple(ALL), MOMENTS) == []


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.1, 0.2, 0.35])
async def test_nobody_survives_the_host(moment: float) -> None:
    """A host that is killed takes everybody along within two seconds."""
    names = [name for name in ALL if not name.endswith("both")]

    assert await host_death(names, moment) == ""


@pytest.mark.parametrize("name", IN_GROUP)
async def test_a_group_ends_together(name: str) -> None:
    """Without keepers, what stays in the agent's group still ends with it."""
    containment = choose("group")

    assert await trial(containment, name, "stop") == ""
    assert await trial(containment, name, "normal end") == ""


async def test_survivors_are_seen() -> None:
    """The leash sees what a group lets escape: these tests can fail."""
    assert "survived by" in await trial(choose("group"), "bare daemon", "stop")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -9 $$", -signal.SIGKILL),
        ("kill -15 $$", -signal.SIGTERM),
    ],
)
async def test_exit_codes(bench: Bench, script: str, code: int) -> None:
    child = await bench.shell(script)

    assert await child.exited == code
    assert await child.gone == Gone()


@pytest.mark.parametrize(
    ("argv", "cwd", "code", "stage"),
    [
        (("/nowhere/agent",), "/", errno.ENOENT, "exec"),
        (("/etc/passwd",), "/", errno.EACCES, "exec"),
        (("/",), "/", errno.EACCES, "exec"),
        (("/bin/true",), "/nowhere", errno.ENOENT, "cwd"),
        (("/bin/true",), "/bin/true", errno.ENOTDIR, "cwd"),
        (("/bin/true", "x" * 3_000_000), "/", errno.E2BIG, "exec"),
        (("/bin/true", "a\0b"), "/", errno.EINVAL, "exec"),
    ],
)
async def test_what_can_not_be_started(
    bench: Bench, argv: tuple[str, ...], cwd: str, code: int, stage: str
) -> None:
    """The error names its number, the file it is about, and the stage."""
    with pytest.raises(LaunchError) as caught:
        await bench.start(*argv, cwd=cwd)

    about = cwd if stage == "cwd" else argv[0]
    assert (caught.value.errno, caught.value.filename) == (code, about)
    assert caught.value.stage == stage


@pytest.mark.parametrize("content", [b"garbage", b"#!/nowhere/interpreter\n"])
async def test_broken_programs(bench: Bench, tmp_path: Path, content: bytes) -> None:
    """No shell takes over what the kernel can't execute."""
    program = tmp_path / "agent"
    program.write_bytes(content)
    program.chmod(0o755)

    with pytest.raises(LaunchError) as caught:
        await bench.start(str(program))

    assert caught.value.errno in {errno.ENOEXEC, errno.ENOENT}
    assert (await bench.output("/bin/echo", "next")) == "next\n"


async def test_a_child_gets_what_it_was_given(bench: Bench, tmp_path: Path) -> None:
    """Argv, environment and folder arrive, long ones and odd ones too."""
    long, odd = "y" * 100_000, "\udcff-ü"
    script = 'printf %s "$1" | wc -c; printf %s "$ODD" | od -An -tx1; pwd; env | wc -l'

    said = await bench.output(
        SHELL, "-c", script, "sh", long, cwd=str(tmp_path), ODD=odd, EMPTY=""
    )

    size, octets, folder, variables = said.split("\n")[:4]
    assert (size.strip(), folder) == ("100000", str(tmp_path))
    assert bytes.fromhex(octets.replace(" ", "")) == os.fsencode(odd)
    assert int(variables) <= 6  # PATH ODD EMPTY, and what the shell adds


async def test_the_hosts_folder_is_the_default(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the host has moved since the first start."""
    await (await bench.start("/bin/true")).gone
    monkeypatch.chdir(tmp_path)

    assert await bench.output("/bin/pwd", cwd=None) == f"{tmp_path}\n"


@pytest.fixture
def heeded() -> Iterator[None]:
    """Who runs the tests in the background ignores Ctrl-C, and so would the child."""
    signals = (signal.SIGINT, signal.SIGQUIT)
    before = [signal.signal(each, signal.SIG_DFL) for each in signals]
    yield
    for each, handler in zip(signals, before, strict=True):
        signal.signal(each, handler)


@pytest.mark.usefixtures("heeded")
async def test_a_child_inherits_nothing_else(bench: Bench) -> None:
    """Three files, default signals, none blocked, a session of its own."""
    stray = os.dup(bench.null)
    os.set_inheritable(stray, True)  # noqa: FBT003
    signals = "grep -E 'Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f5,6 /proc/$$/stat"

    files = await bench.output("/bin/ls", "/proc/self/fd")
    said = (await bench.output(SHELL, "-c", signals)).split()

    os.close(stray)
    assert files.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls lists
    of_the_c_library = 3 << 31  # glibc's posix_spawn ignores its two inner signals
    assert int(said[1], 16) == 0
    assert int(said[3], 16) & ~of_the_c_library == 0
    assert said[4] == said[5]


async def test_leftovers_are_ended_and_counted(bench: Bench) -> None:
    """A leader that ends well leaves two: they get a second, then are ended."""
    child = await bench.shell("sleep 100 & sleep 100 & exit 0")
    before = asyncio.get_running_loop().time()

    assert await child.exited == 0
    assert not child.gone.done()
    assert await child.gone == Gone(leftovers=2)
    assert asyncio.get_running_loop().time() - before >= presets.DRAIN * 0.9


async def test_those_that_end_by_themselves_are_no_leftovers(bench: Bench) -> None:
    child = await bench.shell("sleep 0.2 & exit 0")

    assert await child.gone == Gone()


async def test_stop_is_polite(bench: Bench) -> None:
    """The stop signal comes first, and the answer to it counts."""
    script = "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done"
    read_end, write_end = os.pipe()
    child = await bench.shell(script, out=write_end)
    os.read(read_end, 3)

    child.stop(20.0)
    child.stop(20.0)

    assert await child.exited == 7
    await child.gone
    child.stop(1.0)
    child.kill()
    os.close(read_end)
    os.close(write_end)


async def test_a_later_stop_shortens_the_grace(bench: Bench) -> None:
    child = await bench.shell("trap '' TERM; while :; do sleep 1; done")
    await asyncio.sleep(0.1)
    child.stop(600.0)

    child.stop(0.1)

    async with asyncio.timeout(5):
        assert await child.exited == -signal.SIGKILL
        assert not (await child.gone).unkillable


async def test_vitals_count_work(bench: Bench) -> None:
    """CPU time of the family grows while it works, and is unknown afterwards."""
    child = await bench.shell("(while :; do :; done) & while :; do :; done")
    used = [child.vitals() or 0.0]
    await asyncio.sleep(0.5)
    used.append(child.vitals() or 0.0)
    child.kill()
    await child.gone

    assert used[0] < used[1] < 10
    assert child.vitals() is None


async def test_vitals_are_of_this_child_alone(kept: Bench) -> None:
    """A keeper that has served a busy child starts from zero with the next."""
    busy = await kept.shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    await busy.gone
    child = await kept.start("/bin/sleep", "100")

    assert child.vitals() == pytest.approx(0.0, abs=0.03)
    child.kill()


async def test_a_thousand_leave_no_trace(bench: Bench) -> None:
    """No zombie, no descriptor, no thread, no keeper too many after 1,000 runs."""
    slots = asyncio.Semaphore(16)

    async def one() -> None:
        async with slots:
            child = await bench.start("/bin/true")
            await child.gone

    await one()
    before, threads = count("fd"), count("task")
    async with asyncio.TaskGroup() as group:
        for _ in range(1000):
            group.create_task(one())

    family = processes.descent(os.getpid())
    assert [pid for pid in family if not processes.alive(pid)] == []
    assert len(family) <= 1 + 16
    assert count("fd") <= before + 16 + 1
    assert count("task") <= threads
    await bench.containment.aclose()
    assert count("fd") <= before
    assert [p for p in processes.descent(os.getpid()) if p in family] == []


async def test_many_starts_do_not_stall_the_loop(bench: Bench) -> None:
    """200 starts at once: the loop's longest round stays short."""
    loop = asyncio.get_running_loop()
    longest, running = 0.0, True

    async def watch() -> None:
        nonlocal longest
        while running:
            last = loop.time()
            await asyncio.sleep(0)
            longest = max(longest, loop.time() - last)

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        async with asyncio.TaskGroup() as starts:
            tasks = [
                starts.create_task(bench.start("/bin/sleep", "100")) for _ in range(200)
            ]
        running = False
    for task in tasks:
        task.result().kill()

    assert longest < 0.5


@pytest.mark.parametrize("kind", ["keeper", "group"])
async def test_a_closed_containment_starts_nothing(kind: str) -> None:
    bench = Bench(choose(kind))
    child = await bench.start("/bin/sleep", "100")

    await bench.containment.aclose()
    await bench.containment.aclose()

    assert child.gone.done()
    assert await child.exited == -signal.SIGKILL
    with pytest.raises(LaunchError):
        await bench.start("/bin/true")
    os.close(bench.null)


def test_the_choice_is_named() -> None:
    with pytest.raises(ConfigError, match="keeper, group"):
        choose("cage")


@pytest.mark.parametrize(
    ("kind", "without", "count"),
    [("keeper", "", 0), ("keeper", "subreaper", 1), ("keeper", "pidfd,children", 2)],
)
def test_degradations_are_told(kind: str, without: str, count: int) -> None:
    assert len(degradations(kind, without=without)) == count
    assert len(degradations("group")) == 2
