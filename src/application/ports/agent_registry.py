"""Which agents are known by name."""

from collections.abc import Sequence
from typing import Protocol

from muster.domain.agent_profile import AgentProfile


class AgentRegistry(Protocol):
    """The agent profiles of this project and user."""

    def find(self, name: str) -> AgentProfile | None:
        """The profile of that name, or None."""
        ...

    def names(self) -> Sequence[str]:
        """All names, sorted."""
        ...
