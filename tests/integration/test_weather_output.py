"""Agents that print, read and end in odd ways, as a whole fleet sees them."""

import asyncio
import os
import re
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from muster import SpawnPolicy, SpawnTask, TerminationPolicy, TimeoutPolicy, ToolSpec
from muster.infrastructure.adapters.local_process.oom_kills import OomKills
from tests.support.weather import causes, fleet, fresh_mark, python, running, sh

MIB = 1 << 20


@pytest.mark.parametrize(
    ("script", "output"),
    [
        (":", ""),
        ("printf 'no newline'", "no newline"),
        (r"printf 'a\r\nb\rc'", None),
        (
            r"printf '\033[31mred\033[0m \033]0;title\007\033]52;c;ZXZpbA==\007x'",
            "red x",
        ),
        (r"printf '\033]8;;http://e.vil\033\\link\033]8;;\033\\'", "link"),
        (r"printf '\302\23331mred'", "red"),  # C1: one character that is CSI
        (r"printf '\377\376bad'", "��bad"),
        (r"printf 'a\000b'", None),
        ("exec 2>&-; sleep 0.1; echo on", "on\n"),
        ("exec >&-; sleep 0.1; echo on >&2", ""),
        ("exec <&- >&- 2>&-; sleep 0.1", ""),
        ("exec 1>&2; echo elsewhere", ""),
        ("echo first; sleep 0.1; echo second", "first\nsecond\n"),
        ("echo 'Error: 429 rate limit exceeded'", "Error: 429 rate limit exceeded\n"),
        ("echo 'forbidden words list loaded' >&2; sleep 0.5; echo ok", "ok\n"),
        ("echo 'got 429, retrying in 1s' >&2; sleep 0.6; echo ok", "ok\n"),
        ("echo 'file.py:429: 401 records, forbidden import: 0' >&2; sleep 0.5", ""),
        ("cat >/dev/null; echo read", "read\n"),
        ('read x; echo "$x"', "the prompt\n"),
    ],
)
async def test_healthy_agents_that_look_odd(
    tmp_path: Path, script: str, output: str | None
) -> None:
    """Each is a success, and what people are shown obeys no terminal command."""
    async with fleet(tmp_path) as opened:
        result = await opened.spawn(
            SpawnTask("the prompt\n"), tool=sh(script), policy="test"
        )

    assert result.success
    if output is not None:
        assert result.output == output
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", result.output.replace("\r", "")
    )


@pytest.mark.parametrize(
    ("script", "cause", "words"),
    [
        ("exit 3", "crash", "exit code 3"),
        ("exit 127", "tool_not_found", "not found"),
        ("no-such-command-x", "tool_not_found", "no-such-command-x"),
        ("/etc/passwd", "tool_not_found", "can't be executed"),
        ("kill -TERM $$", "killed", "SIGTERM"),
        ("kill -HUP $$", "killed", "SIGHUP"),
        ("sh -c 'kill -9 $$'; exit 137", "killed", "inside a shell"),
        ("kill -SEGV $$", "crash", "SIGSEGV"),
        ("sh -c 'kill -TERM $$'; exit $?", "killed", "inside a shell"),
        ("exit 143", "killed", "SIGTERM"),
        ("echo 'Invalid API key'; exit 1", "auth", "Invalid API key"),
        ("echo 'No space left on device' >&2; exit 1", "disk_full", "No space left"),
    ],
)
async def test_bad_ends_are_named(
    tmp_path: Path, script: str, cause: str, words: str
) -> None:
    """By cause, with what was printed before it kept."""
    async with fleet(tmp_path) as opened:
        result = await opened.spawn(SpawnTask(""), tool=sh(f"echo partial; {script}"))

    assert causes([result]) == [cause]
    assert words in str(result.error)
    assert result.output.startswith("partial\n")
    assert result.exit_code not in {0, None}


@pytest.mark.parametrize("needs", [True, False])
async def test_no_answer_at_all(tmp_path: Path, *, needs: bool) -> None:
    """A failure only where the tool must answer; a text in any case."""
    async with fleet(tmp_path) as opened:
        result = await opened.spawn(
            SpawnTask(""), tool=sh("true", requires_output=needs)
        )

    assert (result.success, result.output) == (not needs, "")


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (signal.SIGTERM, "killed"),
        (signal.SIGSEGV, "crash"),
        # Nobody was killed for want of memory meanwhile: this kernel says so.
        (signal.SIGKILL, "killed"),
    ],
)
async def test_killed_by_a_stranger(tmp_path: Path, number: int, kept: str) -> None:
    """The signal is named, the partial output kept, and the others go on."""

    def kill(line: str) -> None:
        if line.isdigit():
            os.kill(int(line), number)

    async with fleet(tmp_path) as opened:
        killed, fine = await opened.spawn_parallel(
            [SpawnTask("echo $$; sleep 100"), SpawnTask("sleep 0.5; echo ok")],
            tool="sh",
            on_output=kill,
        )

    assert causes([killed, fine]) == [kept, None]
    assert killed.output.strip().isdigit()
    assert (killed.exit_code, fine.output) == (-number, "ok\n")


@pytest.mark.parametrize(
    ("counts", "cause"),
    [([5, 6], "out_of_memory"), ([5, 5], "killed"), ([None, None], "out_of_memory")],
)
async def test_killed_by_the_kernel(
    tmp_path: Path, counts: list[int | None], cause: str
) -> None:
    """What the kernel counts decides; where it does not count, it is the likely one."""
    async with fleet(tmp_path) as opened:
        adapter: Any = opened.context.orchestrator_of(ToolSpec("sh", ("sh",)))
        adapter._oom_kills = OomKills(iter(counts).__next__)
        result = await opened.spawn(SpawnTask("echo partial; kill -9 $$"), tool="sh")

    assert causes([result]) == [cause]
    assert result.output == "partial\n"


async def test_stopped_by_a_stranger(tmp_path: Path) -> None:
    """A stopped agent is silent, and SIGKILL works on it."""
    timeout = TimeoutPolicy(mode="fixed", timeout=60, no_activity_timeout=0.5)
    policy = SpawnPolicy("t", timeout=timeout, termination=TerminationPolicy(grace=0.2))

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(
            SpawnTask("echo up; kill -STOP $$"), tool="sh", policy=policy
        )

    assert causes([result]) == ["no_activity"]
    assert result.output == "up\n"


async def test_an_agent_that_only_computes_and_ignores_signals(tmp_path: Path) -> None:
    """TERM, grace, KILL; the loop goes on meanwhile."""
    policy = SpawnPolicy(
        "t",
        timeout=TimeoutPolicy(mode="fixed", timeout=0.5),
        termination=TerminationPolicy(grace=0.3),
    )
    loop = asyncio.get_running_loop()
    started = loop.time()

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(
            SpawnTask("trap '' TERM INT HUP; while :; do :; done"),
            tool="sh",
            policy=policy,
        )

    assert causes([result]) == ["timeout"]
    assert loop.time() - started < 8


@pytest.mark.parametrize(
    "question", ["read -p 'continue? [y/N] ' x </dev/tty", "stty raw"]
)
async def test_who_asks_a_person_gets_no_terminal(
    tmp_path: Path, question: str
) -> None:
    """There is none to ask at, none to spoil; the agent ends by itself."""
    tool = ToolSpec("bash", ("bash", "-c", f"{question} || exit 9"))

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(SpawnTask("y\n"), tool=tool, policy="test")

    assert result.exit_code == 9


async def test_who_waits_for_an_answer_is_ended(tmp_path: Path) -> None:
    """An interactive question without end: silence, found in time."""
    timeout = TimeoutPolicy(mode="fixed", timeout=60, no_activity_timeout=0.4)
    policy = SpawnPolicy("t", timeout=timeout)

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(
            SpawnTask(""), tool=sh("echo 'Continue? [y/N]'; sleep 100"), policy=policy
        )

    assert causes([result]) == ["no_activity"]
    assert "Continue?" in result.output


@pytest.mark.parametrize("prompt", ["stdin", "argv", "file"])
async def test_stdin_is_never_left_open(tmp_path: Path, prompt: Any) -> None:
    """Whatever way the prompt took, reading to the end of stdin comes to an end."""
    tool = sh('cat; echo "$# done"', prompt=prompt)

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(SpawnTask("p\n"), tool=tool, policy="test")

    assert result.success
    assert result.output.endswith("done\n")


async def test_a_child_that_talks_before_it_listens(tmp_path: Path) -> None:
    """1 MB out, then 400 kB in, while nobody waits for the other; many at once."""
    tool = python("""
        import sys
        sys.stdout.write("o" * 1000000); sys.stdout.flush()
        sys.stderr.write("e" * 300000); sys.stderr.flush()
        print(len(sys.stdin.read()))
    """)

    async with fleet(tmp_path) as opened:
        results = await opened.spawn_parallel(
            [SpawnTask("p" * 400_000)] * 8, tool=tool, max_concurrent=8
        )

    assert [each.output[-7:] for each in results] == ["400000\n"] * 8
    assert [len(each.output) for each in results] == [1_000_007] * 8


async def test_prompts_that_nobody_reads(tmp_path: Path) -> None:
    """Fifty that exit with 200 kB unread are fifty successes."""
    async with fleet(tmp_path) as opened:
        results = await opened.spawn_parallel(
            [SpawnTask("p" * 200_000)] * 50, tool=sh("echo answer"), max_concurrent=10
        )

    assert {each.output for each in results} == {"answer\n"}


@pytest.mark.parametrize(
    ("code", "size"),
    [
        ("print('x' * 200000)", 200_001),
        ("print('x' * 100_000_000)", 100_000_001),
        ("print('\\n'.join(['y'] * 5_000_000))", 10_000_000),
        ("sys.stdout.buffer.write(os.urandom(3_000_000))", None),
        ("[print(f'\\r{n} %', end='', flush=True) for n in range(100_000)]", None),
        ("print('\\x1b[31m' * 400_000)", None),
        ("print('[' * 100_000)", 100_001),
        ("print('{\"type\":' * 1000, end='')", None),
    ],
)
async def test_masses(tmp_path: Path, code: str, size: int | None) -> None:
    """Whole where it fits; bounded in memory and whole in a file where it does not."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tool = python(f"import os, sys\n{code}")

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(SpawnTask(""), tool=tool, policy="development")

        assert result.success
        assert len(result.output) <= 3 * MIB
        if size is not None and size > 2 * MIB:
            assert result.truncated
            assert size_of(result.output_path) == size
        elif size is not None:
            assert (len(result.output), result.truncated) == (size, False)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024


async def test_characters_that_come_byte_by_byte(tmp_path: Path) -> None:
    """One byte a write, also to the line callback."""
    lines: list[str] = []
    tool = python("""
        import os, sys
        for byte in "héé 😀 漢\\n".encode() * 20:
            os.write(1, bytes([byte]))
    """)

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(SpawnTask(""), tool=tool, on_output=lines.append)

    assert result.output == "héé 😀 漢\n" * 20
    assert lines == ["héé 😀 漢"] * 20


async def test_a_flood_leaves_the_loop_free(tmp_path: Path) -> None:
    """While 250 MB come, other work of the host goes on."""
    loop = asyncio.get_running_loop()
    lags: list[float] = []

    async def tick() -> None:
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            lags.append(loop.time() - due)

    flood = "head -c 200000000 /dev/zero; head -c 50000000 /dev/zero >&2"
    async with fleet(tmp_path) as opened, asyncio.TaskGroup() as group:
        ticking = group.create_task(tick())
        result = await opened.spawn(SpawnTask(flood), tool="sh", policy="development")
        ticking.cancel()
        assert size_of(result.output_path) == 200_000_000

    assert result.success
    # 50 ms are promised; a machine that does other things as well gets some more.
    assert sorted(lags)[int(len(lags) * 0.99)] < 0.5


def size_of(path: str | None) -> int:
    """Of a file that must be there."""
    return Path(str(path)).stat().st_size


@pytest.mark.parametrize(
    "script",
    [
        "echo hi; sleep {mark} &",
        "echo hi; setsid sleep {mark} &",
        "echo hi; nohup sleep {mark} >/dev/null 2>&1 &",
        "echo hi; (setsid sh -c 'trap \"\" TERM HUP INT; sleep {mark}' &) &",
        "echo hi; env -i setsid sleep {mark} & sleep 0.1",
    ],
)
@pytest.mark.parametrize("end", ["", "\nsleep 100", "\nexit 3"])
async def test_who_stays_behind(tmp_path: Path, script: str, end: str) -> None:
    """Background processes hold no answer back and outlive no agent."""
    mark = fresh_mark()
    policy = SpawnPolicy(
        "t",
        timeout=TimeoutPolicy(mode="fixed", timeout=3.0),
        termination=TerminationPolicy(grace=0.2),
    )
    loop = asyncio.get_running_loop()
    started = loop.time()

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(
            SpawnTask(""), tool=sh(script.format(mark=mark) + end), policy=policy
        )
        assert running(mark) == []

    assert result.output == "hi\n"
    assert result.success is (end == "")
    assert loop.time() - started < 10


async def test_a_limit_that_passes_during_the_drain(tmp_path: Path) -> None:
    """The agent was done in time; that we still waited for its pipes is our affair."""
    policy = SpawnPolicy("t", timeout=TimeoutPolicy(mode="fixed", timeout=0.7))

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(
            SpawnTask(""), tool=sh("echo hi; sleep 100 &"), policy=policy
        )

    assert (result.success, result.output) == (True, "hi\n")


async def test_a_thousand_bytes_a_second_for_long(tmp_path: Path) -> None:
    """A talker is no hang: its limit moves up to the maximum and then ends it."""
    policy = SpawnPolicy(
        "t",
        timeout=TimeoutPolicy(
            initial_timeout=1.0,
            max_timeout=2.5,
            extension_threshold=0.8,
            first_output_timeout=None,
            no_activity_timeout=None,
        ),
        termination=TerminationPolicy(grace=0.2),
    )
    talk = "while :; do echo .; sleep 0.1; done"

    async with fleet(tmp_path) as opened:
        talker, silent = await opened.spawn_parallel(
            [SpawnTask(talk), SpawnTask("sleep 100")], tool="sh", policy=policy
        )

    assert causes([talker, silent]) == ["timeout", "timeout"]
    assert (talker.timeout_extended, silent.timeout_extended) == (True, False)
    assert silent.execution_time < talker.execution_time


async def test_one_environment_variable_says_who_it_is(tmp_path: Path) -> None:
    """By which a person finds what was started through another daemon."""
    task = SpawnTask("echo $MUSTER_HOST $MUSTER_TASK_ID", task_id="t 1")

    async with fleet(tmp_path) as opened:
        result = await opened.spawn(task, tool="sh")

    assert result.output.startswith(f"{os.getpid()}:")
    assert result.output.endswith(" t 1\n")
