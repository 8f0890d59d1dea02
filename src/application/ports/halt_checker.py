"""Whether somebody pulled the halt."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable


class HaltChecker(Protocol):
    """Asked before anything starts, and while things run."""

    async def is_halted(self) -> bool:
        """True when operations are halted, or when that can't be found out."""
        ...

    async def halt_reason(self) -> str | None:
        """Why, in words; None when not halted."""
        ...


@runtime_checkable
class HaltNotifier(Protocol):
    """A halt checker that tells; any other is asked again and again."""

    def watch(self, on_halt: Callable[[str], object]) -> Callable[[], None]:
        """Calls ``on_halt(reason)`` once, soon after a halt, in the running loop.

        Also when the halt was lifted meanwhile, and when it holds already. What is
        returned ends the watch; calling it again does nothing.
        """
        ...
