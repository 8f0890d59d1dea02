"""Who looks at the world to see whether an answer did what was expected."""

from collections.abc import Mapping
from typing import Protocol

from muster.domain.task import Expectation


class Inspector(Protocol):
    """Checks the files, schemas and commands of an `Expectation`."""

    def obstacle(self, expect: Expectation) -> str | None:
        """Why that can't be checked here; asked before anything is started."""
        ...

    async def complaint(
        self,
        expect: Expectation,
        output: str,
        *,
        cwd: str | None,
        env: Mapping[str, str] | None,
    ) -> str | None:
        """What is wrong, in words for the agent, or None. May be cancelled."""
        ...
