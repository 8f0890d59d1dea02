"""How the helper, its keepers and the host talk, and how they notice deaths.

Standard library only, and few of it: `keeper` is forked. See there.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import _socket as socket
import marshal
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

if TYPE_CHECKING or __package__:
    from muster.infrastructure.adapters.local_process import processes
else:
    import processes

CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
MAX_MESSAGE = 64 * 1024  # above it a request travels in a file
LOOK = 0.1  # how often the degraded ways look, where nothing wakes them
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
FOREVER = float("inf")

# What the host says, to the helper (fork, sweep) and to a keeper.
FORK, SWEEP, RUN, IN_FILE, STOP, KILL = "fork", "sweep", "run", "file", "stop", "kill"
# What they answer; `swept` is the helper's.
STARTED, FAILED, EXITED, GONE, CLEAN = "started", "failed", "exited", "gone", "clean"
SWEPT = "swept"


def encode(*message: Any) -> bytes:
    """A message as it travels. Both ends are one interpreter, so marshal is safe."""
    return marshal.dumps(message)


def decode(data: bytes) -> tuple[Any, ...]:
    """The message that `encode` was given."""
    message: tuple[Any, ...] = marshal.loads(data)  # noqa: S302 (from our own socket)
    return message


class Ways:
    """How long things may take, and which mechanisms this machine has."""

    MECHANISMS = ("subreaper", "children", "pidfd", "posix_spawn")

    def __init__(self, limits: str, without: str) -> None:
        self.drain, self.host_death_grace, self.leftover_grace, self.kill_bound = map(
            float, limits.split(":")
        )
        missing = without.split(",")
        for name, function in (("pidfd", "pidfd_open"), ("posix_spawn",) * 2):
            if name in missing and hasattr(os, function):
                delattr(os, function)
        self.prctl = None if "subreaper" in missing else find_prctl()
        self.subreaper = self.become_subreaper()
        self.listed = "children" not in missing and processes.has_children_files()

    def become_subreaper(self) -> bool:
        """Adopt orphans from now on, and wake when orphaned. Forks don't inherit it."""
        if self.prctl is None:
            return False
        # If an agent has stopped us, our parent's death must wake us. (It is sent at
        # the end of the parent's *thread* as well, where it does nothing.)
        self.prctl(PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)
        return self.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    def offspring(self) -> Callable[[int], Iterable[int]]:
        """What tells the children of a process, as of now."""
        if self.listed:
            return processes.children
        table = processes.scan()
        return lambda pid: table.get(pid, ())

    def present(self) -> list[str]:
        found = (
            self.subreaper,
            self.listed,
            hasattr(os, "pidfd_open"),
            hasattr(os, "posix_spawn"),
        )
        return [name for name, has in zip(self.MECHANISMS, found, strict=True) if has]


def find_prctl() -> Callable[..., int] | None:
    """The system call, loaded once: doing it in every keeper would cost it 1 ms."""
    try:
        import ctypes  # noqa: PLC0415 (a Python may be built without it)

        prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return prctl


class Station:
    """A socket to the host, news of children, and of the deaths that cut us off."""

    def __init__(self, fd: int, watched: dict[int, str], ways: Ways) -> None:
        self.socket = socket.socket(fileno=fd)
        self.parent = os.getppid()
        self.cut = ""  # who died or hung up: we are on our own
        self.watched = watched
        self.ways = ways
        self.wake, self.wake_end = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self.wake_end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_end, warn_on_full_buffer=False)
        self.poller = select.poll()
        for watch in (fd, self.wake, *watched):
            self.poller.register(watch, select.POLLIN)

    def close(self) -> None:
        """Give up our own, in a fork that becomes another station."""
        signal.set_wakeup_fd(-1)
        self.socket.close()
        os.close(self.wake)
        os.close(self.wake_end)

    def say(self, *message: Any) -> None:
        """Tell the host; that it is gone must not stop us."""
        try:
            self.socket.send(encode(*message), socket.MSG_DONTWAIT)
        except OSError:
            return

    def wait(self, seconds: float) -> list[tuple[tuple[Any, ...], list[int]]]:
        """Sleep until something happens; what the host says, with descriptors."""
        heard = []
        if not hasattr(os, "pidfd_open"):
            seconds = min(seconds, LOOK)
            if os.getppid() != self.parent:
                self.cut = self.cut or "helper"
        for fd, _ in self.poller.poll(None if seconds == FOREVER else seconds * 1000):
            if fd == self.wake:
                os.read(fd, 512)
                continue
            message = () if fd in self.watched else self.hear()
            if message:
                heard.append(message)
            else:
                self.poller.unregister(fd)
                self.cut = self.cut or self.watched.get(fd, "host")
        return heard

    def hear(self) -> tuple[()] | tuple[tuple[Any, ...], list[int]]:
        try:
            data, extra, _, _ = self.socket.recvmsg(
                MAX_MESSAGE * 2, socket.CMSG_SPACE(16), CLOEXEC
            )
        except OSError:
            return ()
        if not data:
            return ()
        return decode(data), [
            int.from_bytes(packed[at : at + 4], sys.byteorder)
            for _, _, packed in extra
            for at in range(0, len(packed), 4)
        ]

    def is_alone(self) -> bool:
        """Whether the host hung up, or somebody died, behind what was last said."""
        gone = select.POLLHUP | select.POLLERR
        return any(
            fd in self.watched or (fd != self.wake and event & gone)
            for fd, event in self.poller.poll(0)
        )


def watch(pid: int, name: str) -> dict[int, str]:
    """A descriptor that becomes readable when `pid` ends, where there are such."""
    try:
        return {os.pidfd_open(pid): name}
    except (AttributeError, OSError):
        return {}


def read_all(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    parts = []
    while chunk := os.read(fd, 1 << 20):
        parts.append(chunk)
    return b"".join(parts)


def answer(fd: int, *message: Any) -> None:
    """Say one thing on a socket and close it."""
    sock = socket.socket(fileno=fd)
    try:
        sock.send(encode(*message), socket.MSG_DONTWAIT)
    except OSError:
        return
    finally:
        sock.close()
