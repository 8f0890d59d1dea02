"""How figures are compared and shown: ratios inside one run, medians over rounds."""

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, field

GOOD: Final = "ok"
MISSED: Final = "MISSED"


@define
class Report:
    """Collects lines with their verdicts; a missed target makes the exit code 1."""

    title: str
    missed: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        print(f"\n{self.title}", flush=True)

    def figure(
        self,
        name: str,
        value: float,
        target: float,
        unit: str = "x",
        *,
        at_least: bool = False,
    ) -> None:
        """Prints one figure beside the most (or least) that it may be."""
        good = value >= target if at_least else value <= target
        self.missed += not good
        bound = f"({'at least' if at_least else 'at most'} {target:g})"
        verdict = GOOD if good else MISSED
        print(f"  {name:<58} {value:8.3f} {unit:<4} {bound:<16} {verdict}", flush=True)

    def note(self, name: str, value: float, unit: str) -> None:
        """Prints a figure that has no target."""
        print(f"  {name:<58} {value:8.3f} {unit}", flush=True)


def verdict_of(line: str) -> str:
    """The verdict at the end of a printed line, or an empty string."""
    last = line.split()[-1:]
    return last[0] if last and last[0] in {GOOD, MISSED} else ""


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios: each round meets the same weather."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def script(run: Callable[[bool], int], doc: str | None) -> int:
    """The command line of a benchmark without options of its own: `--quick`."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less, and less exact")
    return int(run(parser.parse_args().quick) > 0)
