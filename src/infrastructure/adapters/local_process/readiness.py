"""Readable descriptors by the thousand, as one reader of the event loop.

Each reader of the loop's own costs 0.4 KB for as long as it waits, and a context
switch of Python per call.
"""

import asyncio
import select
from typing import Final, Protocol

AT_ONCE: Final = 32  # per turn of the loop, which others share


class Waiter(Protocol):
    """Who waits for a descriptor."""

    def ready(self) -> None:
        """There is something to read, or the end. Called again until it is read."""


class Readiness:
    """Tells waiters that their descriptor is readable. Bound to the loop of first use.

    Where the platform has no epoll, the loop's own readers do it.
    """

    def __init__(self, *, epoll: bool = hasattr(select, "epoll")) -> None:
        self._has_epoll = epoll
        self._waiters: dict[int, Waiter] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoll: select.epoll | None = None

    def add(self, fd: int, waiter: Waiter) -> None:
        """Calls ``waiter.ready`` from now on. Raises OSError."""
        if self._loop is None:
            self._open()
        if self._epoll is not None:
            self._epoll.register(fd, select.EPOLLIN)
        elif self._loop is not None:
            self._loop.add_reader(fd, waiter.ready)
        self._waiters[fd] = waiter

    def remove(self, fd: int) -> None:
        """Never again; before the descriptor is closed. Unknown ones are fine."""
        if self._waiters.pop(fd, None) is None:
            return
        if self._epoll is not None:
            self._epoll.unregister(fd)
        elif self._loop is not None:
            self._loop.remove_reader(fd)

    def close(self) -> None:
        """Lets go of all. Calling again is fine."""
        for fd in tuple(self._waiters):
            self.remove(fd)
        if self._loop is not None and self._epoll is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
        self._loop = self._epoll = None

    def _open(self) -> None:
        loop = asyncio.get_running_loop()
        if self._has_epoll:
            self._epoll = select.epoll()
            loop.add_reader(self._epoll.fileno(), self._tell)
        self._loop = loop

    def _tell(self) -> None:
        if self._epoll is None:
            return
        for fd, _ in self._epoll.poll(0, AT_ONCE):
            # One that was told before may have closed it.
            waiter = self._waiters.get(fd)
            if waiter is not None:
                waiter.ready()
