"""How figures are compared and shown: ratios inside one run, medians over rounds."""

import statistics
from collections.abc import Sequence

from attrs import define, field


@define
class Report:
    """Collects lines with their verdicts; a missed target makes the exit code 1."""

    title: str
    missed: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        print(f"\n{self.title}")

    def figure(self, name: str, value: float, target: float, unit: str = "x") -> None:
        """Prints one figure beside the most that it may be."""
        good = value <= target
        self.missed += not good
        verdict = "ok" if good else "MISSED"
        print(f"  {name:<58} {value:8.3f} {unit:<3} (at most {target:g})  {verdict}")

    def note(self, name: str, value: float, unit: str) -> None:
        """Prints a figure that has no target."""
        print(f"  {name:<58} {value:8.3f} {unit}")


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios: each round meets the same weather."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
