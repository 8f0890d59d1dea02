"""How much longer than the least possible a plan takes: dataflow, and waves beside it.

    python -m benchmarks.makespan [--quick] [--full]

Random plans of three shapes run through the real scheduler, with simulated agents and
simulated time. The bound is the longer of the critical path and the work per slot: no
schedule is shorter, and most plans have none that reaches it. Many pairs of a plan and a
number of slots are easy, so the hard ones, where both bounds are near each other, are
shown apart.
"""

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, Final

from attrs import frozen

from benchmarks.figures import Report, percentile
from muster import AgentOrchestratorStub, Fleet, Plan, PlanTask
from muster.domain import graph
from muster.testing import replies, run_in_virtual_time

Random = random.Random
Order = dict[str, tuple[str, ...]]
# Plans of each kind by their number of tasks.
FEW: Final = {20: 3, 100: 3}
USUAL: Final = {20: 2, 100: 2, 1_000: 1}
MANY: Final = dict.fromkeys(USUAL, 10)
SLOTS: Final = (4, 8, 72)
KNOWN, UNKNOWN = 1.05, 1.15
HARD: Final = (0.5, 2.0)  # critical path over work per slot


def sparse(chance: Random, count: int) -> Order:
    """Up to three dependencies on any tasks before."""
    names = [f"t{number}" for number in range(count)]
    return {
        name: tuple(chance.sample(names[:at], min(at, chance.choice((0, 1, 1, 2, 3)))))
        for at, name in enumerate(names)
    }


def layered(chance: Random, count: int) -> Order:
    """Layers of any width; each task waits for some of the layer before."""
    order: Order = {}
    before: list[str] = []
    while len(order) < count:
        width = chance.randint(1, max(2, round(2 * count**0.5)))
        layer = [f"t{len(order) + n}" for n in range(min(width, count - len(order)))]
        for name in layer:
            needs = min(len(before), chance.randint(1, 3))
            order[name] = tuple(chance.sample(before, needs))
        before = layer
    return order


def chains(chance: Random, count: int) -> Order:
    """Chains of any length side by side."""
    order: Order = {}
    while len(order) < count:
        before: tuple[str, ...] = ()
        for _ in range(min(chance.randint(1, 20), count - len(order))):
            name = f"t{len(order)}"
            order[name] = before
            before = (name,)
    return order


SHAPES: Final[Mapping[str, Callable[[Random, int], Order]]] = {
    "sparse": sparse,
    "layered": layered,
    "chains": chains,
}
DURATIONS: Final[Mapping[str, Callable[[Random], float]]] = {
    "constant": lambda _: 1.0,
    "uniform": lambda chance: chance.uniform(0.1, 2.0),
    "log-normal": lambda chance: chance.lognormvariate(-0.5, 1.0),
}


@frozen
class Outcome:
    """One plan on so many slots: makespans over the lower bound."""

    shape: str
    balance: float  # critical path over work per slot
    known: float
    unknown: float
    waves: float


async def makespan(
    order: Order, lasts: Mapping[str, float], slots: int, **options: Any
) -> float:
    """Simulated seconds of one run."""
    stub = AgentOrchestratorStub(record=False)
    for name, seconds in lasts.items():
        stub.on(name, replies("done", after=seconds))
    plan = Plan(
        [PlanTask(name, "x", agent=name, depends=order[name]) for name in order]
    )
    async with Fleet.open({}, orchestrator=stub) as fleet:
        report = await fleet.run_plan(plan, max_concurrent=slots, **options)
    assert report.summary["succeeded"] == len(order)
    assert stub.peak_active <= slots
    return float(report.summary["duration_s"])


def outcome(shape: str, count: int, slots: int, kind: str, seed: int) -> Outcome:
    """A plan and its durations by their seed, run three times."""
    chance = Random(f"{shape} {count} {kind} {seed}")
    order = SHAPES[shape](chance, count)
    lasts = {name: DURATIONS[kind](chance) for name in order}
    path = max(graph.priorities(order, lasts).values())
    work = sum(lasts.values()) / slots

    def run(**options: Any) -> float:
        spent = run_in_virtual_time(makespan(order, lasts, slots, **options))
        return spent / max(path, work)

    return Outcome(
        shape,
        path / work,
        known=run(estimates=lasts),
        unknown=run(),
        waves=run(waves=True, estimates=lasts),
    )


def outcomes(plans: Mapping[int, int]) -> Iterator[Outcome]:
    """All shapes, sizes, numbers of slots and kinds of durations."""
    for shape, slots, kind in product(SHAPES, SLOTS, DURATIONS):
        for count, seeds in plans.items():
            for seed in range(seeds):
                yield outcome(shape, count, slots, kind, seed)


def show(report: Report, name: str, found: list[Outcome]) -> None:
    """Medians of some of the runs, with their targets."""
    known, unknown = [each.known for each in found], [each.unknown for each in found]
    report.figure(f"{name}: known durations", statistics.median(known), KNOWN)
    report.note(f"{name}: known durations, 95 %", percentile(known, 0.95), "x")
    report.figure(f"{name}: unknown durations", statistics.median(unknown), UNKNOWN)
    report.note(f"{name}: unknown durations, 95 %", percentile(unknown, 0.95), "x")
    waves = [each.waves for each in found]
    report.note(f"{name}: waves", statistics.median(waves), "x")
    report.note(f"{name}: waves, 95 %", percentile(waves, 0.95), "x")


def main() -> int:
    """Prints the figures; 1 when one was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less, and less exact")
    parser.add_argument("--full", action="store_true", help="ten plans of each kind")
    options = parser.parse_args()
    plans = FEW if options.quick else MANY if options.full else USUAL
    found = list(outcomes(plans))
    report = Report(f"makespan: {len(found)} random plans, over the lower bound")
    for shape in SHAPES:
        show(report, shape, [each for each in found if each.shape == shape])
    show(report, "all", found)
    low, high = HARD
    hard = [each for each in found if low < each.balance < high]
    show(report, f"the {len(hard)} hard ones", hard)
    return int(report.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
