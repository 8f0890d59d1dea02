"""Which tools are known, and what a name or a path stands for."""

from typing import Protocol

from muster.domain.tool import ToolSpec


class ToolRegistry(Protocol):
    """Turns what a user wrote into a tool that can be started."""

    def resolve(self, tool: str | ToolSpec | None) -> ToolSpec:
        """The spec for a name, a path or a spec; None asks for the default tool.

        Raises `ToolNotFoundError` when it can't be started here.
        """
        ...
