"""Where chance comes from."""

from typing import Protocol


class Randomness(Protocol):
    """Draws for jitter, and names that never collide."""

    def draw(self) -> float:
        """Uniform in [0, 1)."""
        ...

    def token(self) -> str:
        """A short name that nobody else has."""
        ...
