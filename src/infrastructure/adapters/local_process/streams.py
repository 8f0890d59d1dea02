"""Pipes to and from a child: fed and read by the event loop's readiness, no transports.

A transport and a StreamReader cost 31 KB a child and two thirds of the CPU of a
spawn; a reader here is one callback that fills one buffer shared by all.
"""

import asyncio
import fcntl
import os
from typing import Protocol

from muster.domain import presets
from muster.infrastructure.adapters.local_process.capture import Capture
from muster.infrastructure.adapters.local_process.readiness import Readiness
from muster.infrastructure.adapters.local_process.spool import Spool


class Scratch:
    """What all streams share. One buffer: a callback fills it, hands it on, is done."""

    __slots__ = ("buffers", "readiness", "view")

    def __init__(self, size: int = presets.READ_BYTES) -> None:
        self.readiness = Readiness()
        self.view = memoryview(bytearray(size))
        self.buffers = [self.view]  # as `os.readv` wants it


class Listener(Protocol):
    """Whose streams these are."""

    def heard(self, stream: str, chunk: memoryview) -> None:
        """Gets a chunk, valid during the call."""
        ...

    def open_spool(self, stream: str) -> Spool | None:
        """A file for a stream that outgrows memory; None when there is none."""
        ...

    def ended(self) -> None:
        """A stream is at its end."""
        ...


class Source(Protocol):
    """One output stream of a child, on our side."""

    at_end: bool

    @property
    def capture(self) -> Capture:
        """What was heard so far."""
        ...

    def start(self) -> None:
        """Reads from now on, whenever there is something."""
        ...

    def drain(self) -> None:
        """Nobody writes any more, it seems: reads what is there, without waiting."""
        ...

    def close(self) -> None:
        """Lets go of the stream. What is still in it is lost; calling again is fine."""
        ...


class PipeReader:
    """Reads a pipe. The loop is held for `presets.WAKE_UP_BYTES` at most."""

    # Thousands of these wait at a time: nothing is made before it is needed.
    __slots__ = (
        "_capture",
        "_fd",
        "_listener",
        "_scratch",
        "_stream",
        "_wide",
        "at_end",
    )

    def __init__(
        self,
        fd: int,
        stream: str,
        listener: Listener,
        scratch: Scratch,
        *,
        wide: bool = False,
        capture: Capture | None = None,
    ) -> None:
        os.set_blocking(fd, False)
        self._wide = wide
        self._fd = fd
        self._stream = stream
        self._listener = listener
        self._scratch = scratch
        self._capture = capture
        self.at_end = False

    @property
    def capture(self) -> Capture:
        """See `Source`."""
        if self._capture is None:
            listener, stream = self._listener, self._stream
            self._capture = Capture(lambda: listener.open_spool(stream))
        return self._capture

    def start(self) -> None:
        """See `Source`."""
        self._scratch.readiness.add(self._fd, self)

    def drain(self) -> None:
        """See `Source`. An escaped writer is not waited for: two wake-ups' worth."""
        if not self.at_end:
            self.ready()
        if not self.at_end:
            self.ready()

    def close(self) -> None:
        """See `Source`."""
        if self._fd >= 0:
            self._scratch.readiness.remove(self._fd)
            os.close(self._fd)
            self._fd = -1
        self.at_end = True

    def ready(self) -> None:
        """See `Waiter`."""
        # Moving the bytes to the spool with splice(2), unseen, was measured: it costs
        # the same CPU, since the file's pages have to be filled anyway.
        budget = presets.WAKE_UP_BYTES
        view = self._scratch.view
        while budget > 0:
            try:
                count = os.readv(self._fd, self._scratch.buffers)
            except BlockingIOError:
                return
            if not count:
                self.close()
                self._listener.ended()
                return
            chunk = view[:count]
            capture = self.capture
            capture.add(chunk)
            self._listener.heard(self._stream, chunk)
            if self._wide and capture.total > presets.FLOOD_BYTES:
                # A third less CPU, and the user's share of pipe memory is given back.
                # Refused (EBUSY) while the pipe holds more: then after the next chunk.
                self._wide = not resize(self._fd, presets.FLOOD_PIPE_BYTES)
            if count < len(view):
                # The pipe is empty, or nearly: the loop calls again if not. Going on
                # would hold it for as long as a writer of single bytes pleases.
                return
            budget -= count


class PromptFeeder:
    """Writes what did not fit into the pipe, as fast as the child takes it.

    A child that closes its stdin, or exits without reading, is fine: the rest of
    the prompt is dropped.
    """

    __slots__ = ("_fd", "_loop", "_rest")

    def __init__(self, fd: int, rest: memoryview) -> None:
        self._fd = fd
        self._rest = rest
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Writes from now on, whenever there is room; EOF when all is written."""
        self._loop.add_writer(self._fd, self._write)

    def close(self) -> None:
        """Gives EOF now. Calling again is fine."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _write(self) -> None:
        try:
            self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            # EPIPE and ECONNRESET: nobody wants the rest.
            self.close()
            return
        if not self._rest:
            self.close()


def prompt_pipe(prompt: bytes) -> tuple[int, PromptFeeder | None]:
    """The child's end of stdin, and who writes the rest of the prompt, if any is left.

    A prompt that fits into the pipe is in it, with EOF behind, before the child
    starts: it costs no callback.
    """
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    written = os.write(ours, prompt) if prompt else 0
    if written < len(prompt):
        return theirs, PromptFeeder(ours, memoryview(prompt)[written:])
    os.close(ours)
    return theirs, None


def widen(fd: int) -> bool:
    """Gives a pipe room for a whole answer; False where the kernel does not grant it.

    Many CLIs exit before a full pipe is drained and lose the rest. The kernel
    says no (EPERM) when the user's pipes hold more than pipe-user-pages-soft.
    """
    return resize(fd, presets.STDOUT_PIPE_BYTES)


def resize(fd: int, size: int) -> bool:
    """Whether the pipe now has exactly this room."""
    command = getattr(fcntl, "F_SETPIPE_SZ", None)
    if command is None:
        return False
    try:
        return fcntl.fcntl(fd, command, size) == size
    except OSError:
        return False
