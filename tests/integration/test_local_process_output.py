"""Output is read for ever, kept within bounds, and shown as text."""

# ruff: noqa: ASYNC240 - a test may block its own loop

import asyncio
import resource
import stat
from pathlib import Path

import pytest

from muster.domain import presets
from muster.domain.task import AgentRequest
from muster.infrastructure.adapters.local_process import following, running
from tests.integration.agents import (
    Story,
    containment,
    invoke,
    orchestrator,
    python,
    run,
    shell,
)

__all__ = ["containment"]  # a fixture: used by being here

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (r'os.write(1, b"ok \xff\xfe end")', "ok \ufffd\ufffd end"),
        (
            r'[(os.write(1, bytes([b])), time.sleep(.02)) for b in "a😀b".encode()]',
            "a😀b",
        ),
        (r'os.write(1, b"x" * 200_000)', "x" * 200_000),
        (r'[os.write(1, b"\r%d%%" % n) for n in range(101)]', "100%"),
        (r'os.write(1, b"\x1b[31mred\x1b[0m\x1b]0;title\x07")', "red"),
        (r'os.write(1, b"a\r\nb\n")', "a\nb\n"),
        (r'os.write(1, b"a\0b")', "ab"),
        (r'os.close(2); os.write(1, b"still here")', "still here"),
        (r'os.write(1, b"early"); os.close(1); time.sleep(.2)', "early"),
        (r"pass", ""),
    ],
    ids=[
        "invalid-utf8",
        "bytewise-emoji",
        "long-line",
        "progress",
        "ansi",
        "crlf",
        "nul",
        "stderr-closed",
        "stdout-closed-early",
        "nothing",
    ],
)
async def test_output_becomes_text(code: str, text: str) -> None:
    """Characters stay whole, what a terminal would obey is gone."""
    story = await run(python(f"import os, time\n{code}"))

    assert story.answer is not None
    assert story.answer.content == text
    assert not story.ended.truncated


async def test_raw_bytes_are_reported_in_order() -> None:
    """What the terminal would obey too; both streams."""
    story = await run(shell(r"printf '\033[31mred'; printf 'err\033[0m' >&2"))

    assert (story.stdout, story.stderr) == (b"\x1b[31mred", b"err\x1b[0m")
    assert story.started.pid
    assert story.ended.stderr == "err"


async def test_what_outgrows_memory_is_whole_in_a_file(tmp_path: Path) -> None:
    """Head and tail in memory, the rest where the run keeps it, for its user alone."""
    base = tmp_path / "new" / "output" / "task-1"
    code = """
        import sys
        for n in range(1_000_000):
            sys.stdout.write("%09d\\n" % n)
    """

    story = await run(python(code), output_path=str(base))

    file = Path(f"{base}.out")
    assert story.ended.output_path == str(file)
    assert story.ended.truncated
    assert story.counted == file.stat().st_size == 10_000_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    lines = file.read_text().splitlines()
    assert lines == [f"{n:09d}" for n in range(1_000_000)]
    assert story.ended.output.startswith("000000000\n")
    assert story.ended.output.endswith("000999999\n")
    missing = 10_000_000 - presets.CAPTURE_BYTES
    assert f"[... {missing} bytes are missing here" in story.ended.output
    assert story.stdout == file.read_bytes()


async def test_what_fits_leaves_no_file(tmp_path: Path) -> None:
    """A small answer is in the result alone."""
    story = await run(shell("echo hi"), output_path=str(tmp_path / "task"))

    assert story.ended.output_path is None
    assert list(tmp_path.iterdir()) == []


async def test_without_a_run_the_file_lives_until_aclose() -> None:
    """In a private folder."""
    async with orchestrator() as opened:
        story = await invoke(opened, shell("head -c 3000000 /dev/zero >&2"))
        assert story.ended.output_path
        file = Path(story.ended.output_path)
        assert file.stat().st_size == 3_000_000
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    assert not file.exists()


async def test_a_second_attempt_replaces_the_file_and_follows_no_link(
    tmp_path: Path,
) -> None:
    """A link that somebody planted is not written through."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "task.out").symlink_to(victim)

    story = await run(
        shell("head -c 2000000 /dev/zero"), output_path=str(tmp_path / "task")
    )

    assert victim.read_text() == "precious"
    assert story.ended.output_path == str(tmp_path / "task.out")
    assert not (tmp_path / "task.out").is_symlink()


async def test_a_full_disk_loses_the_middle_and_nothing_else(tmp_path: Path) -> None:
    """The file can't take more (a size limit stands in for the disk): agent unharmed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    code = """
        import resource, sys
        sys.stdout.write("head" + "x" * 9_000_000 + "tail")
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, hard))
    try:
        story = await run(python(code), output_path=str(tmp_path / "t"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert story.answer is not None
    assert story.ended.truncated
    assert story.ended.output_path is None
    assert story.counted == 9_000_008
    assert story.ended.output.startswith("headx")
    assert story.ended.output.endswith("xtail")
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_can_not_be_written_is_no_failure() -> None:
    """No file, head and tail."""
    story = await run(
        shell("head -c 2000000 /dev/zero | tr '\\0' x"),
        output_path="/proc/no/such/task",
    )

    assert story.answer is not None
    assert story.ended.truncated
    assert story.ended.output_path is None


@pytest.mark.parametrize("narrow", [True, False])
async def test_a_slow_reader_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, *, narrow: bool
) -> None:
    """72 print 1 MB and exit, as CLIs do that never wait for a full pipe.

    With the wide pipe, and with the file that is followed where it is not granted.
    """
    if narrow:
        monkeypatch.setattr(running, "widen", lambda _: False)
    # Writes what fits and exits: what a full pipe refuses is lost.
    code = """
        import os
        os.set_blocking(1, False)
        left = memoryview(b"x" * 1_000_000)
        try:
            while left:
                left = left[os.write(1, left):]
        except BlockingIOError:
            pass
    """
    tool = python(code)
    async with orchestrator() as opened:
        stories = [Story() for _ in range(72)]

        def slow(story: Story) -> None:
            def report(event: object) -> None:
                story.report(event)  # type: ignore[arg-type]

            return report

        async with asyncio.TaskGroup() as group:
            for story in stories:
                request = AgentRequest("a", tool=tool, prompt="")
                group.create_task(opened.invoke(request, slow(story)))

    assert {len(story.stdout) for story in stories} == {1_000_000}
    assert {len(story.ended.output) for story in stories} == {1_000_000}


@pytest.mark.parametrize("watched", [True, False])
async def test_a_followed_file_is_reported_as_it_grows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, watched: bool
) -> None:
    """By inotify or by the timer; and it goes away when it was not needed."""
    monkeypatch.setattr(running, "widen", lambda _: False)
    if not watched:
        monkeypatch.setattr(following, "watch", lambda _: None)
    loop = asyncio.get_running_loop()
    seen: list[float] = []
    story = Story()

    def report(event: object) -> None:
        if getattr(event, "stream", "") == "stdout":
            seen.append(loop.time())
        story.report(event)  # type: ignore[arg-type]

    async with orchestrator() as opened:
        request = AgentRequest(
            "a",
            tool=shell(
                "echo one; sleep 0.5; echo two; sleep 0.5; (echo three >/dev/stdout)"
            ),
            prompt="",
            output_path=str(tmp_path / "t"),
        )
        answer = await opened.invoke(request, report)

    assert answer.content == "one\ntwo\nthree\n"
    assert seen[-1] - seen[0] > 0.3
    assert list(tmp_path.iterdir()) == []


async def test_a_followed_file_that_grows_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the spool."""
    monkeypatch.setattr(running, "widen", lambda _: False)

    story = await run(
        python("import sys; sys.stdout.write('x' * 5_000_000 + 'end')"),
        output_path=str(tmp_path / "t"),
    )

    assert story.ended.truncated
    assert story.ended.output.endswith("end")
    assert story.ended.output_path == str(tmp_path / "t.out")
    assert (tmp_path / "t.out").stat().st_size == story.counted == 5_000_003
