"""The prompt goes in on stdin, then EOF; writing never blocks reading."""

# ruff: noqa: ASYNC240 - a test may block its own loop

import asyncio
import os
from pathlib import Path

import pytest

from muster.domain.outcome import FailureCause
from muster.domain.tool import ToolSpec
from tests.integration.agents import (
    containment,
    invoke,
    orchestrator,
    python,
    run,
    shell,
)

__all__ = ["containment"]  # a fixture: used by being here

CAT = ToolSpec("cat", ("cat",))
MIB = 1024 * 1024


@pytest.mark.parametrize(
    "prompt",
    [
        "hello",
        "",
        "--version of the file please",
        "a\0b",
        "emoji 😀 and ümlaut\nsecond line",
        "x" * 70_000,
    ],
    ids=["plain", "empty", "dash", "nul", "unicode", "beyond-the-pipe"],
)
async def test_any_prompt_arrives_byte_for_byte(prompt: str) -> None:
    """Whatever it holds; an empty one is an immediate EOF."""
    story = await run(CAT, prompt)

    assert story.stdout == prompt.encode()
    assert story.answer is not None


async def test_eight_mebibytes_arrive() -> None:
    """There is no limit of length."""
    story = await run(
        python("import sys; print(len(sys.stdin.buffer.read()))"), "x" * 8 * MIB
    )

    assert story.answer is not None
    assert story.answer.content.strip() == str(8 * MIB)


async def test_a_lone_surrogate_is_rejected_with_its_place() -> None:
    """Before anything starts, and never as a traceback of an encoder."""
    story = await run(CAT, "abc\ud800def")

    assert story.failure is not None
    assert story.failure.cause is FailureCause.INVALID_REQUEST
    assert "U+D800 at character 3" in story.failure.message
    assert len(story.events) == 1


async def test_a_child_may_write_before_it_reads() -> None:
    """1 MB of output comes while 400 kB of prompt wait: no deadlock."""
    story = await run(
        python("""
            import sys
            sys.stdout.write("o" * 1_000_000); sys.stdout.flush()
            sys.stderr.write(str(len(sys.stdin.read())))
        """),
        "p" * 400_000,
    )

    assert len(story.stdout) == 1_000_000
    assert story.stderr == b"400000"


async def test_a_child_need_not_read() -> None:
    """Fifty that exit at once with 200 kB unread are fifty successes."""
    async with orchestrator() as opened:
        stories = [
            await invoke(opened, shell("echo answer"), "p" * 200_000) for _ in range(50)
        ]

    assert {story.ended.output for story in stories} == {"answer\n"}
    assert all(story.answer for story in stories)


async def test_a_child_may_close_stdin_and_go_on() -> None:
    """The rest of the prompt is dropped."""
    story = await run(
        python("""
            import os, time
            os.close(0); time.sleep(0.2); print("done")
        """),
        "p" * 200_000,
    )

    assert story.answer is not None
    assert story.answer.content == "done\n"


async def test_a_child_that_never_reads_can_be_cancelled() -> None:
    """The writer waits for room for ever; the cancellation does not."""
    async with orchestrator() as opened, asyncio.timeout(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await invoke(opened, shell("exec sleep 60"), "p" * 200_000)


async def test_an_argv_tool_gets_its_prompt_as_one_word() -> None:
    """Nothing interprets it, and stdin is at its end."""
    tool = ToolSpec("t", ("printf", "%s|", "{prompt}"), prompt="argv")

    story = await run(tool, "two words; $(id) `id` 'x'")

    assert story.stdout == b"two words; $(id) `id` 'x'|"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("x" * 65_537, ["65537", "65536"]),
        ("ü" * 32_769, ["65538", "65536"]),
        ("a\0b", ["NUL byte at character 1"]),
        ("--help", ['put "--" before {prompt}']),
    ],
    ids=["long", "long-in-bytes", "nul", "option"],
)
async def test_what_argv_can_not_carry_is_refused(
    prompt: str, words: list[str]
) -> None:
    """Before the start, with the sizes; never cut, never an option."""
    story = await run(ToolSpec("t", ("printf", "%s"), prompt="argv"), prompt)

    assert story.failure is not None
    assert story.failure.cause is FailureCause.INVALID_REQUEST
    for each in words:
        assert each in story.failure.message


@pytest.mark.parametrize(
    "command", [("printf", "%s", "--", "{prompt}"), ("printf", "%s{prompt}")]
)
async def test_a_tool_can_take_a_dash(command: tuple[str, ...]) -> None:
    """Behind "--", or as a part of a word."""
    story = await run(ToolSpec("t", command, prompt="argv"), "-x")

    assert story.stdout.endswith(b"-x")


@pytest.mark.parametrize("in_run", [True, False])
async def test_a_file_tool_reads_a_private_file_that_goes_away(
    tmp_path: Path, *, in_run: bool
) -> None:
    """0600, in the run's folder where there is one, removed when the agent is gone."""
    tool = shell('stat -c %a "$1"; echo "$1"; cat "$1"').command
    spec = ToolSpec("t", (*tool, "sh"), prompt="file")

    story = await run(
        spec, "p\0q", output_path=str(tmp_path / "task") if in_run else None
    )

    mode, path, content = story.stdout.split(b"\n")
    assert (mode, content) == (b"600", b"p\0q")
    assert (Path(os.fsdecode(path)).parent == tmp_path) == in_run
    assert not Path(os.fsdecode(path)).exists()


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        ({"agent": "a\0b"}, "agent holds a NUL"),
        ({"model": "--evil"}, "would be read as an option"),
        ({"cwd": "/srv\0/x"}, "cwd holds a NUL"),
        ({"env": {"A": "b\0"}}, "environment variable A holds a NUL"),
        ({"env": {"A=B": "c"}}, "no name of an environment variable"),
        ({"env": {"": "c"}}, "no name of an environment variable"),
        ({"model": "m\ud800"}, "lone surrogate"),
    ],
)
async def test_a_bad_request_names_its_field(
    request_of: dict[str, object], words: str
) -> None:
    """Before the start."""
    story = await run(
        ToolSpec("t", ("cat",), model_args=("{model}",), agent_args=("{agent}",)),
        **request_of,
    )

    assert story.failure is not None
    assert story.failure.cause is FailureCause.INVALID_REQUEST
    assert words in story.failure.message
