"""The cost of an attempt: the tool's own figure, else an estimate by a list of prices."""

from collections.abc import Sequence

from attrs import define, evolve, field

from muster.application.ports.prices import Prices
from muster.domain.outcome import Usage
from muster.domain.tool import ToolSpec


@define(eq=False)
class Pricing:
    """Prices what the attempts of one tool and model used."""

    prices: Prices
    spec: ToolSpec
    requested: str | None
    _last: tuple[Usage, Sequence[str], Usage] | None = field(default=None, init=False)

    def __call__(self, usage: Usage, served: Sequence[str]) -> Usage:
        """``usage`` with its cost, which stays None where nobody knows it.

        Of several models that answered the dearest counts: which of them used how much
        is not told, and a budget must not be overrun for that.
        """
        if usage.cost_usd is not None or usage.tokens is None:
            return usage
        if self._last is not None and self._last[:2] == (usage, served):
            return self._last[2]
        models = tuple(served) or ((self.requested,) if self.requested else ())
        costs = [self.prices.cost_usd(usage, each, self.spec) for each in models]
        known = [cost for cost in costs if cost is not None]
        priced = usage
        if known and len(known) == len(costs):
            priced = evolve(usage, cost_usd=max(known), cost_estimated=True)
        self._last = usage, served, priced
        return priced
