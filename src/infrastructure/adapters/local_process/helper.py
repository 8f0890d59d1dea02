"""The host's side of the helper process: its start, its end, and what it is asked."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from muster.domain import presets
from muster.infrastructure.adapters.local_process import station
from muster.infrastructure.adapters.local_process.launch_message import send_with

SCRIPT: Final = str(Path(__file__).with_name("keeper.py"))
# What a Python of odd build needs to find its own libraries.
LIBRARY_PATHS: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

Swept = Callable[[int, int, tuple[int, ...]], None]


class Helper:
    """A running helper. `on_death` is called once, unless it was closed by us."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        python: str,
        without: str,
        on_swept: Swept,
        on_death: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_swept = on_swept
        self._on_death = on_death
        self._ended = loop.create_future()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with other:
                self._process = launch(python, other.fileno(), without)
        except BaseException:
            self._socket.close()
            raise
        self._socket.setblocking(False)  # noqa: FBT003
        loop.add_reader(self._socket.fileno(), self._hear)

    def fork(self, name: int, fd: int) -> int:
        """Have a keeper forked that talks over `fd`; our pid. Raises `OSError`."""
        self._wake()
        send_with(self._socket, station.encode(station.FORK, name), [fd])
        return self._process.pid

    def sweep(self, name: int) -> None:
        """Have a keeper killed, and its family with it."""
        self._wake()
        with contextlib.suppress(OSError):
            self._socket.send(station.encode(station.SWEEP, name))

    def _wake(self) -> None:
        # An agent may have stopped it. The process is not reaped before `end`, so that
        # its number is no stranger's.
        with contextlib.suppress(OSError):
            os.kill(self._process.pid, signal.SIGCONT)

    async def aclose(self) -> None:
        """Hang up, and wait until it has gone; kill it if that takes too long."""
        if not self._ended.done():
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            bound = presets.HOST_DEATH_GRACE + presets.KILL_BOUND
            await asyncio.wait([self._ended], timeout=bound)
        self._on_death = lambda: None
        self.end()

    def _hear(self) -> None:
        try:
            data = self._socket.recv(station.MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end()
            return
        kind, *news = station.decode(data)
        if kind == station.SWEPT:
            self._on_swept(*news)

    def end(self) -> None:
        """Reap it; its death is told if it was not told yet."""
        if self._ended.done():
            return
        self._ended.set_result(None)
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._process.kill()  # at its end already, unless it hung
        self._process.wait()
        self._on_death()


def launch(python: str, fd: int, without: str) -> "subprocess.Popen[bytes]":
    """Start the program, out of reach of our terminal, folder and environment."""
    limits = (
        presets.DRAIN,
        presets.HOST_DEATH_GRACE,
        presets.LEFTOVER_GRACE,
        presets.KILL_BOUND,
    )
    return subprocess.Popen(  # noqa: S603
        [
            *(python, "-I", "-S", SCRIPT, str(fd), str(os.getpid())),
            ":".join(map(str, limits)),
            without,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={name: os.environ[name] for name in LIBRARY_PATHS if name in os.environ},
        pass_fds=(fd,),
        start_new_session=True,
    )
