"""What the project and the files that were named with a question have to say."""

from collections.abc import Sequence
from typing import Protocol

from muster.domain.knowledge import Chunk


class Knowledge(Protocol):
    """Chunks of code and documents, found by words, at most moments old."""

    async def retrieve(
        self, query: str, *, limit: int, files: Sequence[str] = ()
    ) -> Sequence[Chunk]:
        """The best chunks, at most ``limit``, best first; `[]` where nothing fits.

        ``files`` are searched beside the project wherever they are, and each has a
        say while there is room. Raises `ConfigError` for one that can't be read, and
        `OrchestratorError` when nothing can be searched at all.
        """
        ...

    async def fingerprint(self, *, files: Sequence[str] = ()) -> str:
        """A digest of all that answers can come from: equal means nothing changed.

        ``files`` are those that belong to the question. Raises as `retrieve` does.
        """
        ...
