"""What must survive: the results of a run, as each task ends."""

from collections.abc import Mapping
from typing import Any, Protocol

from muster.domain.outcome import SpawnResult


class Journal(Protocol):
    """The memory of one run. A result that was recorded outlives a SIGKILL."""

    run_id: str

    async def record(self, result: SpawnResult) -> None:
        """Returns when the result is durable. Raises `JournalError` if it can't be."""
        ...

    async def complete(self, summary: Mapping[str, Any]) -> None:
        """Returns when the run's summary is durable. Raises `JournalError`."""
        ...

    def output_path(self, task_id: str) -> str | None:
        """Where a big output of that task belongs (without suffix), or None."""
        ...
