"""The index and the files that it must agree with; all of it in one thread."""

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from muster.domain import presets
from muster.domain.errors import OrchestratorError
from muster.infrastructure.knowledge import database
from muster.infrastructure.knowledge.index import Index, Source
from muster.infrastructure.knowledge.listing import Listing
from muster.infrastructure.knowledge.reading import Named, Reader

Answer = TypeVar("Answer")
Pending = deque[bytes | Source]


class IndexLostError(Exception):
    """The index is another one now; what was known of it is void."""


@define(eq=False)
class Upkeep:
    """Opens the index, brings it up to date in slices, asks it.

    Every method may raise `IndexLostError`: then all is to be done again.
    """

    home: Path
    listing: Listing
    reader: Reader
    is_on_disk: bool = field(default=True, init=False)
    _index: Index | None = field(default=None, init=False)

    def changes(self, named: Sequence[Named]) -> Pending:
        """What has to be written, by a look at every file."""
        names = self.listing.files()
        kept = {each.source.path for each in named}
        return self._do(lambda index: self._changes(index, names, kept))

    def write(self, pending: Pending) -> None:
        """Takes from what is pending for a slice of time, in one transaction."""
        until = time.monotonic() + presets.INDEX_SLICE

        def take(index: Index) -> None:
            while pending and time.monotonic() < until:
                self._apply(index, pending.popleft())

        self._do(take, writes=True)

    def ask(
        self,
        question: Callable[[Index, Sequence[Named]], Answer],
        named: Sequence[Named],
    ) -> Answer:
        """What the index answers, once it holds the files that were named."""
        if named:
            self._do(lambda index: self._take(index, named), writes=True)
        return self._do(lambda index: question(index, named))

    def close(self) -> None:
        """Until it is asked again. Calling it again does nothing."""
        index, self._index = self._index, None
        if index is not None:
            index.connection.close()

    def _changes(self, index: Index, names: Sequence[str], kept: set[bytes]) -> Pending:
        known = index.known()
        changes = self.reader.changes(names, known, kept)
        return deque((*changes.gone, *changes.suspects))

    def _apply(self, index: Index, change: bytes | Source) -> None:
        if isinstance(change, bytes):
            index.remove(change)
        else:
            self.reader.apply(index, change)

    def _take(self, index: Index, named: Sequence[Named]) -> None:
        for each in named:
            self.reader.apply_named(index, each)

    def _do(self, work: Callable[[Index], Answer], *, writes: bool = False) -> Answer:
        try:
            index = self._opened()
            if not writes:
                return work(index)
            return _in_transaction(index, work)
        except (sqlite3.Error, OSError) as exc:
            self._recover(exc)
            raise IndexLostError(str(exc)) from exc

    def _opened(self) -> Index:
        if self._index is None:
            home = self.home if self.is_on_disk else None
            self._index = Index(database.open_index(home))
        return self._index

    def _recover(self, error: sqlite3.Error | OSError) -> None:
        self.close()
        if not self.is_on_disk:
            problem = f"the index of the project failed: {error}"
            raise OrchestratorError(problem) from error
        if isinstance(error, sqlite3.Error) and database.is_moved(error):
            return
        if isinstance(error, sqlite3.Error) and database.is_broken(error):
            try:
                database.discard(self.home)
            except OSError:
                self.is_on_disk = False
            return
        # No room, no right, or held for too long by somebody: this process can do
        # without the file.
        self.is_on_disk = False


def _in_transaction(index: Index, work: Callable[[Index], Answer]) -> Answer:
    index.connection.execute("BEGIN IMMEDIATE")
    try:
        answer = work(index)
        index.connection.execute("COMMIT")
    except BaseException:
        if index.connection.in_transaction:
            index.connection.execute("ROLLBACK")
        raise
    return answer
