"""What a journal knows of agents that run: what was in flight when muster died."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class AttemptLog(Protocol):
    """A journal that can be resumed from.

    ``identities`` by task id; None until they are known, which is before `started`.
    """

    identities: Mapping[str, str] | None

    async def started(self, task_id: str, attempt: int) -> None:
        """Returns when it is durable that the attempt is about to start.

        Raises `JournalError`; then it must not start.
        """
        ...

    def session(self, task_id: str, session_id: str) -> None:
        """Keeps by which name the tool can continue the conversation. Does not wait."""
        ...
