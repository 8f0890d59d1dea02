"""Whether somebody pulled the halt."""

from typing import Protocol


class HaltChecker(Protocol):
    """Asked before anything starts, and while things run."""

    async def is_halted(self) -> bool:
        """True when operations are halted, or when that can't be found out."""
        ...

    async def halt_reason(self) -> str | None:
        """Why, in words; None when not halted."""
        ...
