"""Programs that can't be started, and what those that can get to see."""

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from muster.domain import presets
from muster.domain.outcome import FailureCategory, FailureCause
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from tests.integration.agents import (
    Story,
    containment,
    invoke,
    open_descriptors,
    orchestrator,
    python,
    run,
    shell,
)

__all__ = ["containment"]  # a fixture: used by being here


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "does not exist"),
        ("#!/bin/sh\n", 0o644, "is not executable"),
        ("#!/no/such/interp\n", 0o755, "interpreter not found: /no/such/interp"),
        ("echo pwned\n", 0o755, "#! line"),
        ("\x7fELF\x02", 0o755, "another machine"),
    ],
    ids=["missing", "mode", "shebang", "no-shebang", "elf"],
)
async def test_a_program_that_can_not_start_is_explained(
    tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    """A permanent failure in one sentence; nothing is handed to a shell instead."""
    file = tmp_path / "tool"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)

    story = await run(ToolSpec("mytool", (str(file),)))

    assert story.failure is not None
    assert story.failure.cause is FailureCause.TOOL_NOT_FOUND
    assert story.failure.category is FailureCategory.PERMANENT
    assert words in story.failure.message
    assert story.ended.output == ""


async def test_a_missing_name_says_so() -> None:
    """With the way to get it, where the tool's spec knows one."""
    story = await run(ToolSpec("x", ("no-such-tool-xyz",), install_hint="get it"))

    assert story.failure is not None
    assert "'no-such-tool-xyz' was not found on PATH; get it" in story.failure.message


async def test_a_directory_is_no_program(tmp_path: Path) -> None:
    """Said as it is."""
    story = await run(ToolSpec("t", (str(tmp_path),)))

    assert story.failure is not None
    assert "is a directory" in story.failure.message


@pytest.mark.parametrize("cwd", ["/no/such/folder", "/dev/null"])
async def test_a_bad_folder_is_the_requests_fault(cwd: str) -> None:
    """Named, and never taken for a missing tool."""
    story = await run(ToolSpec("t", ("cat",)), cwd=cwd)

    assert story.failure is not None
    assert story.failure.cause is FailureCause.INVALID_REQUEST
    assert cwd in story.failure.message


async def test_arguments_beyond_the_kernels_limit_are_measured() -> None:
    """E2BIG: the sizes are in the message."""
    story = await run(ToolSpec("t", ("printf", "x" * 200_000)))

    assert story.failure is not None
    assert story.failure.cause is FailureCause.INVALID_REQUEST
    assert "200001" in story.failure.message


async def test_metacharacters_are_just_characters(tmp_path: Path) -> None:
    """Agent, model and folder reach the program as they are; no shell is involved."""
    pwned = tmp_path / "pwned"
    evil = f"a'; touch {pwned}; $(touch {pwned}) `touch {pwned}`\nx"
    folder = tmp_path / "a; b $(x) 'c'"
    folder.mkdir()
    tool = python(
        "import os, sys; print(sys.argv[1:]); print(os.getcwd())",
        agent_args=("{agent}",),
        model_args=("{model}",),
    )

    story = await run(tool, agent=evil, model=evil, cwd=str(folder))

    assert story.ended.output == f"{[evil, evil]}\n{folder}\n"
    assert not pwned.exists()


async def test_a_shell_tool_gets_its_line_and_nothing_filled_in() -> None:
    """A slot in a shell line stays a slot: nobody's name is ever shell code."""
    tool = ToolSpec("t", ("echo one | tr o 0; echo '{agent}'",), shell=True)  # noqa: S604 - what is tested

    story = await run(tool, agent="$(id)")

    assert story.ended.output == "0ne\n{agent}\n"


async def test_the_environment_is_an_allow_list() -> None:
    """A secret of the host, and what makes interpreters load things, stay behind."""
    spec = ToolSpec("env", ("env",), env={"TOOL_KEY": None})
    async with orchestrator(
        **dict.fromkeys(("FOO_SECRET", "NODE_OPTIONS", "TOOL_KEY"), "k"), LD_PRELOAD=""
    ) as opened:
        story = await invoke(opened, spec, agent="planner", task_id="1")

    env = dict(line.split("=", 1) for line in story.ended.output.splitlines())
    assert env["TOOL_KEY"] == "k"
    assert env["MUSTER_AGENT"] == "planner"
    assert env["MUSTER_TASK_ID"] == "1"
    assert env["MUSTER_HOST"].startswith(f"{os.getpid()}:")
    assert {"FOO_SECRET", "LD_PRELOAD", "NODE_OPTIONS", "PYTHONPATH"}.isdisjoint(env)


async def test_a_secret_prompt_is_in_nobodys_arguments() -> None:
    """The whole family's command lines are read by a stranger meanwhile."""
    canary = "canary-7e3f"
    story, found = Story(), []
    scan = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null"
    tool = ToolSpec("sh", ("/bin/sh", "-c", f"cat >/dev/null; {scan}; ( {scan} )"))

    async with orchestrator() as opened:
        request = AgentRequest("a", tool=tool, prompt=canary, env={"API_KEY": canary})
        answer = await opened.invoke(request, story.report)
    found = [line for line in answer.content.splitlines() if canary in line]

    assert "/bin/sh -c" in answer.content
    assert found == []


async def test_there_is_no_terminal() -> None:
    """A session of its own: /dev/tty can't be opened, nothing of ours is inherited."""
    story = await run(
        python("""
            import os
            try:
                os.open("/dev/tty", os.O_RDWR)
            except OSError as error:
                print("no tty")
            print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1])
            print([os.isatty(fd) for fd in (0, 1, 2)])
        """)
    )

    assert story.ended.output.startswith("no tty\n")
    assert story.ended.output.endswith("[0, 1, 2]\n[False, False, False]\n")


async def test_a_crowd_that_waits_for_its_turn_holds_nothing() -> None:
    """Of 300 at once only those that are being started have pipes open."""
    async with orchestrator() as opened:
        before = open_descriptors()
        async with asyncio.TaskGroup() as group:
            crowd = [
                group.create_task(invoke(opened, shell("exec sleep 60")))
                for _ in range(300)
            ]
            await asyncio.sleep(0)
            held = open_descriptors() - before
            for task in crowd:
                task.cancel()

    assert held <= presets.STARTS_AT_ONCE * 12


async def test_failed_starts_leak_no_descriptor() -> None:
    """Not for any of the ways in which a start can fail."""
    async with orchestrator() as opened:
        await invoke(opened, shell("true"))
        before = open_descriptors()
        for _ in range(20):
            await invoke(opened, ToolSpec("t", ("no-such-tool-xyz",)), "p" * 200_000)
            await invoke(opened, shell("true"), "p" * 200_000, cwd="/no/such")
            await invoke(opened, ToolSpec("t", ("printf", "x" * 200_000)))
        assert open_descriptors() == before


HOST = """
    import asyncio, os, resource, sys
    sys.path[:0] = {path!r}
    from tests.integration import agents
    from tests.integration.agents import invoke, orchestrator, shell
    agents.KIND = {kind!r}
    taken = []

    def take_all_but(spare):
        top = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (top + 10, 4096))
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            for _ in range(spare):
                os.close(taken.pop())

    async def main():
        async with orchestrator() as opened:
            await invoke(opened, shell("true"))  # everything is imported by now
            {limit}
            story = await invoke(opened, shell("true"), "p" * 200_000)
            failure = story.failure
            print(failure and (failure.category.value, failure.message))
            {lift}
            story = await invoke(opened, shell("echo alive"))
            print(story.answer.content)

    asyncio.run(main())
"""


@pytest.mark.parametrize("spare", range(7))
def test_no_descriptors_left_is_a_resource_that_comes_back(
    spare: int, containment: str
) -> None:
    """Wherever in the start they run out: nothing leaks, and the next start is fine."""
    said = host(
        kind=containment,
        limit=f"take_all_but({spare})",
        lift="resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096)); "
        "[os.close(fd) for fd in taken]",
    )

    # Three pipes are six descriptors; what the containment needs comes on top.
    assert "out of file descriptors" in said or spare == 6
    assert said.endswith("alive\n\n")


@pytest.mark.skipif(os.getuid() != 0, reason="the limit does not bind its own user")
def test_no_processes_left_is_a_resource_that_comes_back() -> None:
    """EAGAIN at fork."""
    said = host(
        # The keepers' helper would have limits of its own.
        kind="group",
        limit="resource.setrlimit(resource.RLIMIT_NPROC, (0, 4096)); "
        "os.setresuid(65534, 65534, 0)",
        lift="os.setresuid(0, 0, 0)",
    )

    assert said.startswith("('resource', ")
    assert "ulimit -u" in said
    assert said.endswith("alive\n\n")


MANY = """
    from muster.infrastructure.adapters.local_process import running
    # Not by 80 agents at once: they end as fast as they are started.
    def hold_nearly_all():
        held = []
        while len(held) < 100:
            held.append(os.pipe())
            if not running.widen(held[-1][1]):
                break
        for ends in held[-3:]:
            os.close(ends[0])
            os.close(ends[1])
    granted = []
    def widen(fd, really=running.widen):
        granted.append(really(fd))
        return granted[-1]
    running.widen = widen

    async def main():
        hold_nearly_all()
        tool = shell("exec dd if=/dev/zero bs=1000000 count=1 oflag=nonblock status=none")
        stories = []
        async def one():
            stories.append(await invoke(opened, tool))
        async with orchestrator() as opened:
            async with asyncio.TaskGroup() as group:
                for _ in range(80):
                    group.create_task(one())
        print({len(story.stdout) for story in stories}, set(granted))

    os.setresuid(65534, 65534, 0)
    asyncio.run(main())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becomes somebody else")
def test_beyond_the_users_share_of_pipe_memory_nothing_is_lost() -> None:
    """The kernel grants an ordinary user 64 wide pipes; others get files, unnoticed."""
    limit = int(Path("/proc/sys/fs/pipe-user-pages-soft").read_text())
    granted = {False, True} if 0 < limit < 80 * 256 else {True}
    before = HOST.partition("    async def main")[0]

    said = python_process(before + MANY, kind="group")

    assert said == f"{{1000000}} {granted}\n"


def host(*, kind: str, limit: str, lift: str) -> str:
    """What a host of its own prints that runs into a limit, and then not."""
    return python_process(HOST, kind=kind, limit=limit, lift=lift)


def python_process(template: str, **slots: str) -> str:
    """What a program prints that may ruin its own process."""
    code = textwrap.dedent(template).replace("{path!r}", repr(sys.path))
    for name, value in slots.items():
        code = code.replace(f"{{{name}!r}}", repr(value)).replace(f"{{{name}}}", value)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stderr == ""
    return done.stdout
