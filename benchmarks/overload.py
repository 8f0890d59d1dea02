"""Does a fleet survive a sick backend, and does the backend survive the fleet?

Simulates at least 100,000 calls per line of its table; `--quick` runs a tenth.

    python -m benchmarks.overload [--quick]
"""

import math
import sys
from collections.abc import Iterator
from time import process_time

from attrs import evolve, frozen

from benchmarks.figures import Report, script
from benchmarks.overload_world import (
    BUCKET,
    Call,
    Flaky,
    Fleet,
    RateLimited,
    Server,
    Strategy,
    World,
)
from muster.domain import presets
from muster.domain.spawn_policy import RetryPolicy

PLAIN = RetryPolicy(max_attempts=3, strategy="fixed", base_delay=2.0, jitter="none")
FIXED = Strategy("fixed 2 s", PLAIN)
JITTER = Strategy("full jitter")
OBEY = Strategy("obey Retry-After", PLAIN, obeys_retry_after=True)
BUDGET = Strategy("retry budget alone", budget=True)
MUSTER = Strategy("muster", budget=True, lane=True, breaker=True)


@frozen
class Figures:
    """What a run came to. Rates per call or per success; seconds."""

    strategy: str
    calls: int
    served: float
    failed: float
    attempts: float
    attempts_in_fault: float
    refusals: float
    back_after: (
        float  # from the fault's end until 90 % of the demand is served for good
    )
    makespan: float  # over the ideal, or nan
    cpu_us: float  # of this process per attempt, backend and all


def arrivals(fleet: Fleet, calls: int, per_second: float) -> None:
    """Calls that come whether or not the earlier ones were answered."""

    def arrive(number: int) -> None:
        if number + 1 < calls:
            gap = fleet.world.chance.expovariate(per_second)
            fleet.world.after(gap, arrive, number + 1)
        fleet.arrive(Call(f"agent-{number % 10}"))

    arrive(0)


def measure(fleet: Fleet, calls: int, demand: float, began: float) -> Figures:
    """After the run: counts, and when goodput was back."""
    return Figures(
        fleet.strategy.name,
        calls,
        fleet.served / calls,
        fleet.failed / calls,
        fleet.attempts / calls,
        fleet.attempts_in_fault / (fleet.arrived_in_fault or math.nan),
        fleet.limited / max(1, fleet.served),
        back_after(fleet, demand, fleet.fault[1], calls / demand),
        math.nan,
        (process_time() - began) / fleet.attempts * 1e6,
    )


def back_after(fleet: Fleet, demand: float, fault_end: float, last: float) -> float:
    """Seconds until goodput is back for good, rounded up to whole buckets."""
    if not math.isfinite(fault_end):
        return math.nan
    back = math.inf
    for bucket in range(math.ceil(fault_end / BUCKET), int(last // BUCKET)):
        if fleet.goodput.get(bucket, 0) < 0.9 * demand * BUCKET:
            back = math.inf
        elif back == math.inf:
            back = (bucket + 1) * BUCKET - fault_end
    return back


def fault_run(strategy: Strategy, fault: str, length: float, size: "Size") -> Figures:
    """Health at 70 % load, a fault, and some time to come back."""
    began, demand, begin = process_time(), 35.0, size.healthy
    world, end = World(), begin + length
    server = Server(world, fault, begin, end)
    fleet = Fleet(world, server, strategy, slots=1000, timeout=10.0)
    fleet.fault = (begin, end)
    calls = int(demand * (end + size.after))
    arrivals(fleet, calls, demand)
    world.run(until=end + size.after)
    return measure(fleet, calls, demand, began)


def random_run(strategy: Strategy, calls: int) -> Figures:
    """A fifth of all calls fails, for ever; 72 agents at once."""
    began, world = process_time(), World()
    fleet = Fleet(world, Flaky(world), strategy, slots=72)
    arrivals(fleet, calls, 50.0)
    world.run()
    return measure(fleet, calls, 50.0, began)


def limited_run(strategy: Strategy, calls: int, **backend: float) -> Figures:
    """72 workers with one pile of work, on a backend that allows 10 calls/s."""
    began, world = process_time(), World()
    limited = RateLimited(world, **backend)
    fleet = Fleet(world, limited, strategy, slots=72, insists=True)
    fleet.queue.extend(Call(f"agent-{number % 10}") for number in range(calls))
    fleet.pump()
    world.run()
    possible = min(limited.rate, fleet.slots / limited.service)
    # The ideal, too, waits for the longest of the last calls (the expected
    # maximum of exponential draws).
    last = limited.service * math.log(1.0 + possible * limited.service)
    figures = measure(fleet, calls, possible, began)
    return evolve(figures, makespan=fleet.last_served_at / (calls / possible + last))


Bounds = dict[str, tuple[float, float]]  # field of Figures -> least, most
Line = tuple[str, Figures, Bounds]
COMES_BACK: Bounds = {"back_after": (0.0, 120.0), "failed": (0.0, 0.02)}
LIMITED: Bounds = {"refusals": (0.0, 0.05), "makespan": (0.0, 1.02)}


@frozen
class Size:
    """How much is simulated, in calls and in seconds of 35 calls each."""

    calls: int = 100_000
    healthy: float = 600.0
    outage: float = 3000.0
    hang: float = 600.0
    brown_out: float = 120.0
    after: float = 2200.0
    others: tuple[Strategy, ...] = (JITTER, FIXED)


QUICK = Size(5000, 60.0, 240.0, 150.0, 60.0, 360.0, (JITTER,))


def runs(size: Size) -> Iterator[Line]:
    """Every scenario with every strategy, and what the figures must be."""
    yield from fault_runs(size)
    calls = size.calls
    for strategy in size.others:
        yield "20 % fail", random_run(strategy, calls), {}
    yield "20 % fail", random_run(MUSTER, calls), {"served": (0.98, 1.0)}
    for strategy in (*size.others, OBEY):
        yield "10 calls/s", limited_run(strategy, calls), {}
    yield "10 calls/s", limited_run(MUSTER, calls), LIMITED
    yield "10/s, quick", limited_run(MUSTER, calls, service=0.05), LIMITED
    yield "10/s, 1 min", limited_run(MUSTER, calls, service=60.0), LIMITED
    # With no burst at all, each probe of the limit costs the whole second of
    # its Retry-After, and the pace runs at 0.95 of the limit on average.
    strict = {"refusals": (0.0, 0.05), "makespan": (0.0, 1.2)}
    yield "10/s, strict", limited_run(MUSTER, calls, burst=1.0), strict


def fault_runs(size: Size) -> Iterator[Line]:
    for fault, length in (
        ("outage", size.outage),
        ("hang", size.hang),
        ("brown-out", size.brown_out),
    ):
        for strategy in size.others:
            yield fault, fault_run(strategy, fault, length, size), {}
        alone, ours = (
            fault_run(strategy, fault, length, size) for strategy in (BUDGET, MUSTER)
        )
        if fault != "outage":
            yield fault, alone, {}
            yield fault, ours, COMES_BACK
            continue
        # One attempt per call, and the retries that a full budget pays for.
        most = 1.005 + presets.RETRY_BUDGET_TOKENS / (35.0 * length)
        yield fault, alone, {"attempts_in_fault": (0.0, most)}
        yield fault, ours, COMES_BACK | {"attempts_in_fault": (0.0, 0.01)}


def missed(figures: Figures, bounds: Bounds) -> list[str]:
    """The figures outside their bounds, in words."""
    return [
        f"{name} is {getattr(figures, name):.4g}, not within {least:g}..{most:g}"
        for name, (least, most) in bounds.items()
        if not least <= getattr(figures, name) <= most
    ]


COLUMNS = (
    ("served", "served"),
    ("failed", "failed"),
    ("attempts", "att/call"),
    ("attempts_in_fault", "in fault"),
    ("refusals", "429/ok"),
    ("back_after", "back s"),
    ("makespan", "x ideal"),
    ("cpu_us", "us/att"),
)


def row(scenario: str, figures: Figures) -> str:
    """One line of the table; a dash is "does not apply"."""
    cells = [f"{scenario:13}{figures.strategy:19}{figures.calls:>7}"]
    for name, _ in COLUMNS:
        value = getattr(figures, name)
        text = "-" if math.isnan(value) else "never" if value == math.inf else ""
        cells.append(f"{text or format(value, '.3g'):>10}")
    return "".join(cells)


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints table and figures; the number of those that were missed."""
    report = Report("overload: real lane, breaker and budget on simulated backends")
    titles = "".join(f"{title:>10}" for _, title in COLUMNS)
    print(f"{'scenario':13}{'strategy':19}{'calls':>7}{titles}")
    for scenario, figures, bounds in runs(QUICK if quick else Size()):
        print(row(scenario, figures), flush=True)
        for name, (least, most) in bounds.items():
            label, value = f"{scenario}: {name}", getattr(figures, name)
            report.figure(label, value, least or most, "", at_least=least > 0)
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
