"""Chance behind the port: jitter from a generator of its own, names from the kernel."""

import os
import random
from typing import Final

from attrs import define, field

_SEED_BYTES: Final = 16
_TOKEN_BYTES: Final = 6


def _seeded(seed: int | None) -> random.Random:
    # Jitter hides nothing: it needs no cryptography, but no shared state either.
    source = int.from_bytes(os.urandom(_SEED_BYTES)) if seed is None else seed
    return random.Random(source)  # noqa: S311


@define
class SystemRandomness:
    """Draws of one fleet; the same ``seed`` gives the same draws.

    Tokens always come from the kernel: seeded ones would collide between runs.
    """

    generator: random.Random = field(default=None, converter=_seeded, alias="seed")

    def draw(self) -> float:
        """Uniform in [0, 1)."""
        return self.generator.random()

    def token(self) -> str:
        """Twelve hexadecimal digits that nobody else has."""
        return os.urandom(_TOKEN_BYTES).hex()
