"""What an attempt cost: the tool's word, a price list's, or unknown."""

import pytest
from attrs import evolve

from muster.application.pricing import Pricing
from muster.domain.outcome import Usage
from muster.domain.tool import ToolSpec

CLAUDE = ToolSpec("claude", ("claude",), provider="anthropic")


class Listed:
    """A list of two prices per token."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def cost_usd(self, usage: Usage, model: str, spec: ToolSpec) -> float | None:
        """By model; nobody knows others."""
        self.asked.append(model)
        each = {"small": 1.0, "big": 10.0}.get(model)
        return None if each is None or usage.tokens is None else each * usage.tokens


@pytest.mark.parametrize(
    ("usage", "requested", "served", "cost"),
    [
        (Usage(1, 2), "small", (), 3.0),
        (Usage(1, None), "small", (), 1.0),
        (Usage(1, 2), "small", ("big",), 30.0),
        (Usage(1, 2), None, ("small", "big"), 30.0),
        (Usage(1, 2), None, ("small", "odd"), None),
        (Usage(1, 2), "odd", (), None),
        (Usage(1, 2), None, (), None),
        (Usage(None, None, 5), "small", (), None),
        (Usage(), "small", (), None),
    ],
)
def test_what_the_list_says(
    usage: Usage, requested: str | None, served: tuple[str, ...], cost: float | None
) -> None:
    """The served model's price, of several the dearest; unknown stays unknown."""
    priced = Pricing(Listed(), CLAUDE, requested)(usage, served)

    expected = evolve(usage, cost_usd=cost, cost_estimated=cost is not None)
    assert priced == expected


def test_the_tools_own_figure_wins_and_nothing_is_asked_twice() -> None:
    """A cost of 0 is a figure, too."""
    listed = Listed()
    pricing = Pricing(listed, CLAUDE, "small")
    told = Usage(1, 2, cost_usd=0.0)

    assert pricing(told, ()) is told
    assert listed.asked == []
    assert pricing(Usage(1, 2), ()) == pricing(Usage(1, 2), ())
    assert listed.asked == ["small"]
