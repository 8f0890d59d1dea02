"""Two channels, either of which halts: who asks is told, who watches is told at once."""

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from muster import DualChannelHaltChecker
from muster.infrastructure.halt_file import HaltFile
from muster.testing import in_virtual_time

LOOK = 0.1


@pytest.fixture
def file(tmp_path: Path) -> HaltFile:
    """The file channel of a data folder that does not exist yet."""
    return HaltFile(tmp_path / "data" / "halt")


@pytest.fixture
def checker(file: HaltFile) -> DualChannelHaltChecker:
    """Both channels."""
    return DualChannelHaltChecker(file.path)


@asynccontextmanager
async def watching(checker: DualChannelHaltChecker) -> AsyncIterator[list[str]]:
    """What a watch is told."""
    told: list[str] = []
    end = checker.watch(told.append)
    try:
        yield told
    finally:
        end()
        end()


async def test_nobody_halts(checker: DualChannelHaltChecker) -> None:
    """No event, no file, no folder."""
    assert not await checker.is_halted()
    assert await checker.halt_reason() is None


async def test_either_channel_halts(
    checker: DualChannelHaltChecker, file: HaltFile
) -> None:
    """Each with its reason; lifting one leaves the other."""
    checker.halt("event")
    assert await checker.halt_reason() == "event"

    file.pull("file")
    assert await checker.halt_reason() == "event; file"

    checker.resume_operations()
    assert await checker.is_halted()
    assert await checker.halt_reason() == "file"

    assert file.lift() is True
    assert not await checker.is_halted()
    assert file.lift() is False


def test_the_file_is_private(file: HaltFile) -> None:
    """And so is the folder that it makes, which stays out of version control."""
    file.pull("why")

    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert (file.path.parent / ".gitignore").read_text() == "*\n"


def _folder(path: Path) -> None:
    path.mkdir(parents=True)


def _pipe(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("nowhere")


def _loop(path: Path) -> None:
    path.parent.symlink_to(path.parent)


def _no_folder(path: Path) -> None:
    path.parent.write_text("a file")


@pytest.mark.parametrize("obstacle", [_folder, _pipe, _link, _loop, _no_folder])
async def test_a_file_that_can_not_be_read_halts(
    checker: DualChannelHaltChecker, file: HaltFile, obstacle: Callable[[Path], None]
) -> None:
    """And says that it is the file, without waiting for anything."""
    obstacle(file.path)

    reason = await checker.halt_reason()

    assert await checker.is_halted()
    assert str(file.path) in str(reason)
    assert "counts as a halt" in str(reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no reason was given"),
        (b" \n", "no reason was given"),
        (b"fire\nin the hall\n", "fire in the hall"),
        (b"\x1b]0;owned\x07red\x1b[31m", "red"),
        (b"caf\xe9", "caf\ufffd"),
        (b"x" * 100_000, "x" * 4096),
    ],
)
async def test_whatever_stands_in_the_file_halts(
    checker: DualChannelHaltChecker, file: HaltFile, data: bytes, reason: str
) -> None:
    """People write it by hand, too; a terminal is never driven by it."""
    file.path.parent.mkdir()
    file.path.write_bytes(data)

    assert await checker.halt_reason() == reason


@in_virtual_time
async def _watched(checker: DualChannelHaltChecker, act: Callable[[], object]) -> None:
    async with watching(checker) as told:
        await asyncio.sleep(1.0)
        assert told == []
        act()
        await asyncio.sleep(LOOK + 0.01)
        assert len(told) == 1
        await asyncio.sleep(1.0)
        assert len(told) == 1


def test_who_watches_is_told_once(
    checker: DualChannelHaltChecker, file: HaltFile
) -> None:
    """By the event, by the file, and by a halt that was lifted before anybody looked."""

    def flip_event() -> None:
        checker.halt("event")
        checker.resume_operations()

    def flip_file() -> None:
        file.pull("file")
        file.lift()

    _watched(checker, lambda: checker.halt("event"))
    checker.resume_operations()
    _watched(checker, lambda: file.pull("file"))
    file.lift()
    _watched(checker, flip_event)
    _watched(checker, flip_file)
    _watched(checker, flip_file)


@in_virtual_time
async def _told_of_the_past(checker: DualChannelHaltChecker) -> list[str]:
    async with watching(checker) as told:
        await asyncio.sleep(1.0)
        return list(told)


def test_a_halt_that_was_lifted_before_does_not_count(
    checker: DualChannelHaltChecker, file: HaltFile
) -> None:
    """Only what happens while somebody watches; what still holds counts."""
    file.pull("old")
    file.lift()
    checker.halt("old")
    checker.resume_operations()
    assert _told_of_the_past(checker) == []

    file.pull("now")
    assert _told_of_the_past(checker) == ["now"]


@in_virtual_time
async def _told_too_late(
    checker: DualChannelHaltChecker,
) -> tuple[list[str], list[str]]:
    async with watching(checker) as before:
        checker.halt("drill")
        checker.resume_operations()
        async with watching(checker) as after, watching(checker) as last:
            await asyncio.sleep(1.0)
            return before, after + last


def test_who_came_after_the_halt_is_not_meant(checker: DualChannelHaltChecker) -> None:
    """A new batch may start though the one before is just being told."""
    assert _told_too_late(checker) == (["drill"], [])


async def test_the_event_works_from_any_thread(checker: DualChannelHaltChecker) -> None:
    """The watcher hears of it in its own loop."""
    async with watching(checker) as told:
        thread = threading.Thread(target=checker.halt, args=("elsewhere",))
        thread.start()
        while not told:  # noqa: ASYNC110 - the watch is what is tested
            await asyncio.sleep(0.001)
        thread.join()

    assert told == ["elsewhere"]


def test_a_watch_that_ended_leaves_nothing(checker: DualChannelHaltChecker) -> None:
    """No timer, no memory of a loop that is closed."""

    @in_virtual_time
    async def watch_and_leave() -> None:
        async with watching(checker), watching(checker):
            await asyncio.sleep(1.0)

    @in_virtual_time
    async def watch_and_forget() -> None:
        checker.watch([].append)
        await asyncio.sleep(0)

    watch_and_leave()
    assert not checker._lookouts
    watch_and_forget()
    checker.halt("nobody hears that, and nothing breaks")
