"""One thread that writes for all callers: what waits together is committed together."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import define, field

from muster.domain.errors import JournalError

_Failed = tuple[str, str | None]


@define(eq=False)
class Entry:
    """Something to be written; ``written`` is resolved when it is durable."""

    kind: str
    values: Any
    written: "asyncio.Future[None] | None" = None


@define(eq=False)
class GroupWriter:
    """Commits entries in the order in which they came, many at a time.

    ``commit`` makes a batch durable or raises `JournalError`; ``after`` gets the batch
    when its callers know. After a failed commit nothing is ever written again: what
    the disk then holds is not known, and an fsync that failed must not be repeated,
    because the kernel has dropped the pages.
    """

    name: str
    commit: Callable[[Sequence[Entry]], None]
    after: Callable[[Sequence[Entry]], None]
    _waiting: list[Entry] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _is_writing: bool = field(default=False, init=False)
    _broken: _Failed | None = field(default=None, init=False)
    _thread: ThreadPoolExecutor | None = field(default=None, init=False)

    async def write(self, kind: str, values: Any) -> None:
        """Returns when it is durable. Raises `JournalError`; nothing is tried again."""
        loop = asyncio.get_running_loop()
        entry = Entry(kind, values, loop.create_future())
        self._put(entry)
        assert entry.written is not None  # noqa: S101 - made above
        await entry.written

    def note(self, kind: str, values: Any) -> None:
        """Written soon; nobody waits for it, and nobody hears when it fails."""
        try:
            self._put(Entry(kind, values))
        except JournalError:
            return

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls it in the writer's thread, after all that was put before."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor(), function, *arguments)

    async def aclose(self) -> None:
        """Waits until everything is written. Then the thread ends."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        loop = asyncio.get_running_loop()
        try:
            await asyncio.shield(loop.run_in_executor(thread, _nothing))
        finally:
            thread.shutdown(wait=False)

    def fail(self, error: JournalError) -> None:
        """From now on nothing is written."""
        with self._lock:
            if self._broken is None:
                self._broken = (error.problem, error.path)

    def _put(self, entry: Entry) -> None:
        with self._lock:
            if self._broken is not None:
                raise JournalError(*self._broken)
            self._waiting.append(entry)
            if not self._is_writing:
                self._is_writing = True
                self._executor().submit(self._write_all)

    def _executor(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        return self._thread

    def _write_all(self) -> None:
        while True:
            with self._lock:
                batch, self._waiting = self._waiting, []
                if not batch:
                    self._is_writing = False
                    return
            self._write(batch)

    def _write(self, batch: Sequence[Entry]) -> None:
        if self._broken is None:
            try:
                self.commit(batch)
            except JournalError as error:
                self.fail(error)
            except Exception as error:  # noqa: BLE001 - whoever waits must not wait for ever
                text = f"a result could not be written: {type(error).__name__}: {error}"
                self.fail(JournalError(text))
        self._tell(batch, self._broken)
        if self._broken is None:
            self.after(batch)

    def _tell(self, batch: Sequence[Entry], broken: _Failed | None) -> None:
        futures = [each.written for each in batch if each.written is not None]
        if not futures:
            return
        try:
            # One wake-up of the loop for all of them.
            futures[0].get_loop().call_soon_threadsafe(_settle, futures, broken)
        except RuntimeError:
            # The host closed its loop: nobody waits any more.
            return


def _settle(futures: "Sequence[asyncio.Future[None]]", broken: _Failed | None) -> None:
    for future in futures:
        if future.done():
            continue
        if broken is None:
            future.set_result(None)
        else:
            future.set_exception(JournalError(*broken))


def _nothing() -> None:
    return
