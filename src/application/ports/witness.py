"""Who remembers what agents have said, before anybody may see it."""

from typing import Protocol

from muster.domain.witness import Statement, WitnessRecord


class Witness(Protocol):
    """An append-only, hash-chained memory of one run."""

    run_id: str

    async def commit(self, statement: Statement) -> WitnessRecord:
        """Its record, when that is durable. Raises `JournalError` if it can't be."""
        ...
