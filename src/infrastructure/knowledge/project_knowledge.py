"""The project's knowledge: an index that is brought up to date before it answers."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from attrs import define, field

from muster.domain import presets
from muster.domain.errors import OrchestratorError
from muster.domain.knowledge import Chunk
from muster.infrastructure.knowledge.index import Index
from muster.infrastructure.knowledge.listing import Listing
from muster.infrastructure.knowledge.reading import Named, Reader, digest_of_all
from muster.infrastructure.knowledge.upkeep import IndexLostError, Upkeep
from muster.infrastructure.secrets import Redactor

_TRIES: Final = 3  # damaged, made anew, and replaced by another process meanwhile
_T = TypeVar("_T")


@define(eq=False)
class ProjectKnowledge:
    """See `Knowledge`. Files are named as this process would open them.

    All work is done in a thread of its own, in slices: the loop goes on, and a call
    that is cancelled returns at once and leaves an index that is whole. Several
    processes may share one index. Where it can't be kept on the disk, it is kept in
    memory.
    """

    project: Path
    home: Path
    environ: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)
    redactor: Redactor = field(factory=Redactor)
    _upkeep: Upkeep = field(init=False)
    _fresh_until: float = field(default=0.0, init=False)
    _thread: ThreadPoolExecutor | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        listing = Listing(self.project, (self.home,), self.environ)
        self._upkeep = Upkeep(self.home, listing, Reader(self.project, self.redactor))

    async def retrieve(
        self, query: str, *, limit: int, files: Sequence[str] = ()
    ) -> Sequence[Chunk]:
        """See `Knowledge`. Files of the project are looked at every two seconds."""
        if limit < 1:
            return []

        def search(index: Index, named: Sequence[Named]) -> list[Chunk]:
            return index.search(query, limit, [each.source.path for each in named])

        is_fresh = time.monotonic() < self._fresh_until
        return await self._answer(search, files, is_fresh=is_fresh)

    async def fingerprint(self, *, files: Sequence[str] = ()) -> str:
        """See `Knowledge`. Files are looked at each time."""

        def digest(index: Index, named: Sequence[Named]) -> str:
            asked = {each.source.path for each in named}
            return digest_of_all(
                source
                for source in index.known().values()
                if not source.left_out and (not source.is_named or source.path in asked)
            )

        return await self._answer(digest, files, is_fresh=False)

    async def left_out(self) -> Mapping[str, int]:
        """How many files of the project agents are not shown, by reason."""
        return await self._answer(lambda index, _: index.left_out(), (), is_fresh=False)

    async def aclose(self) -> None:
        """Waits for the slice that is under way, then closes the index. May be repeated."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        loop = asyncio.get_running_loop()
        try:
            await asyncio.shield(loop.run_in_executor(thread, self._upkeep.close))
        finally:
            thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _answer(
        self,
        question: Callable[[Index, Sequence[Named]], _T],
        files: Sequence[str],
        *,
        is_fresh: bool,
    ) -> _T:
        named = await self._call(self._upkeep.reader.named, tuple(files))
        for _ in range(_TRIES - 1):
            with suppress(IndexLostError):
                return await self._tried(question, named, is_fresh=is_fresh)
            is_fresh = False
        try:
            return await self._tried(question, named, is_fresh=False)
        except IndexLostError as exc:
            problem = f"{self.home}: the project's index breaks each time: {exc}"
            raise OrchestratorError(problem) from exc

    async def _tried(
        self,
        question: Callable[[Index, Sequence[Named]], _T],
        named: Sequence[Named],
        *,
        is_fresh: bool,
    ) -> _T:
        if not is_fresh:
            await self._refresh(named)
        return await self._call(self._upkeep.ask, question, named)

    async def _refresh(self, named: Sequence[Named]) -> None:
        pending = await self._call(self._upkeep.changes, named)
        while pending:
            await self._call(self._upkeep.write, pending)
        self._fresh_until = time.monotonic() + presets.INDEX_FRESH

    async def _call(self, function: Callable[..., _T], *arguments: object) -> _T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="muster-knowledge")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)
