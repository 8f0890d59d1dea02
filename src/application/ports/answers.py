"""What is remembered of questions: their answers, and how they were come by."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Answers(Protocol):
    """JSON-ready documents that outlive their runs. All raise `JournalError`."""

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """What was kept under that key, or None."""
        ...

    async def keep(
        self,
        key: str,
        answer: Mapping[str, Any],
        pattern: Mapping[str, Any] | None = None,
    ) -> None:
        """Keeps an answer, and with it the pattern that led there, if it is one."""
        ...

    async def patterns(self) -> Sequence[Mapping[str, Any]]:
        """The patterns kept, the newest first."""
        ...

    async def log(self, run_id: str, text: str) -> str:
        """Writes a conversation down; where it is."""
        ...
