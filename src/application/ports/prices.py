"""What tokens cost by a list of prices, where a tool tells of tokens and of no money."""

from typing import Protocol

from muster.domain.outcome import Usage
from muster.domain.tool import ToolSpec


class Prices(Protocol):
    """A list of prices."""

    def cost_usd(self, usage: Usage, model: str, spec: ToolSpec) -> float | None:
        """What ``usage`` costs, or None where the list doesn't know. Never raises."""
        ...
