"""A child's stdout as a file that is followed, where no pipe is wide enough.

A file loses nothing when its writer exits in a hurry, however slow the reader.
It costs a file per agent, so it is the second choice.
"""

import asyncio
import ctypes
import os
from pathlib import Path

from muster.domain import presets
from muster.infrastructure.adapters.local_process.capture import Capture
from muster.infrastructure.adapters.local_process.spool import (
    create_private,
    read_tail,
)
from muster.infrastructure.adapters.local_process.streams import Listener, Scratch

_IN_MODIFY = 0x00000002
_EVENT_BYTES = 4096


class FollowedFile:
    """A spool that its writer fills by itself. The file stays only if it is needed.

    ``whole`` turns False when somebody has cut it.
    """

    __slots__ = ("fd", "path", "size", "whole", "writer")

    def __init__(self, path: str) -> None:
        self.fd = create_private(path)
        try:
            # O_APPEND: the child's children may open /dev/stdout anew, at offset 0.
            self.writer = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            os.close(self.fd)
            raise
        self.path = path
        self.size = 0
        self.whole = True

    def append(self, data: bytes | bytearray | memoryview) -> bool:
        """What was read from the file is in it."""
        self.size += len(data)
        return True

    def tail(self, count: int) -> bytes:
        """See `Spool`."""
        return read_tail(self.fd, self.size, count)

    def close(self) -> None:
        """Keeps the file. Our descriptor belongs to the follower."""

    def discard(self) -> None:
        """Removes the file's name."""
        Path(self.path).unlink(missing_ok=True)


class FileFollower:
    """Reads a file while it grows; woken by inotify, or by a timer without it."""

    __slots__ = (
        "_file",
        "_finishing",
        "_listener",
        "_loop",
        "_offset",
        "_scratch",
        "_timer",
        "_watch",
        "at_end",
        "capture",
    )

    def __init__(
        self, file: FollowedFile, listener: Listener, scratch: Scratch
    ) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._scratch = scratch
        self._offset = 0
        self._finishing = False
        self._watch: int | None = None
        self._timer: asyncio.Handle | None = None
        self.capture = Capture(lambda: file if file.whole else None)
        self.at_end = False

    def start(self) -> None:
        """See `Source`."""
        self._watch = watch(self._file.path)
        if self._watch is not None:
            self._loop.add_reader(self._watch, self._woken)
        # What was written before the watch stood gives no event.
        self._read()

    def drain(self) -> None:
        """See `Source`. The rest is read in slices, so `at_end` may come later."""
        self._finishing = True
        if not self.at_end:
            self._read()

    def close(self) -> None:
        """See `Source`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            self._loop.remove_reader(self._watch)
            os.close(self._watch)
            self._watch = None
        self.at_end = True

    def release(self) -> None:
        """After the capture is finished: the file goes unless it holds the whole."""
        os.close(self._file.fd)
        if self.capture.spool is None:
            self._file.discard()

    def _woken(self) -> None:
        assert self._watch is not None  # noqa: S101 - it has just woken us
        os.read(self._watch, _EVENT_BYTES)
        self._read()

    def _read(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        budget = presets.WAKE_UP_BYTES
        while budget > 0:
            count = os.preadv(self._file.fd, self._scratch.buffers, self._offset)
            if not count:
                self._caught_up()
                return
            self._offset += count
            budget -= count
            chunk = self._scratch.view[:count]
            self.capture.add(chunk)
            self._listener.heard("stdout", chunk)
        self._timer = self._loop.call_soon(self._read)

    def _caught_up(self) -> None:
        if os.fstat(self._file.fd).st_size < self._offset:
            self._start_over()
        elif self._finishing:
            self.close()
            self._listener.ended()
        elif self._watch is None:
            self._timer = self._loop.call_later(presets.FOLLOW_INTERVAL, self._read)

    def _start_over(self) -> None:
        # `echo x > /dev/stdout` empties the file. What was read is kept in memory.
        self._file.whole = False
        self.capture.give_up()
        self._offset = 0
        self._timer = self._loop.call_soon(self._read)


def watch(path: str) -> int | None:
    """A non-blocking inotify descriptor for changes of ``path``, or None without one."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return None
    if fd < 0:
        return None
    if libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY) < 0:
        os.close(fd)
        return None
    return int(fd)
