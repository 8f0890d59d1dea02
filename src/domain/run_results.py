"""The results of a run, and what they add up to without a look at each of them.

A run that is taken up again may have 100,000 results of before: whoever keeps them can
sum them up in a fraction of the time that it takes to load them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import field, frozen

from muster.domain.outcome import FailureCause, SpawnResult, Usage
from muster.domain.usage_by_agent import joined_usage, usage_by_agent


@frozen
class Totals:
    """Sums over results. ``work`` in seconds; ``usage`` None where nobody told, and of
    each of the ``agents`` that did.
    """

    count: int = 0
    causes: Mapping[FailureCause, int] = field(factory=dict)
    retries: int = 0
    fallbacks: int = 0
    recovered: int = 0
    leftovers: int = 0
    cached: int = 0
    simulated: int = 0
    work: float = 0.0
    usage: Usage | None = None
    agents: Mapping[str, Usage] = field(factory=dict)

    @classmethod
    def of(cls, results: Iterable[SpawnResult]) -> "Totals":
        """The sums over these."""
        results = list(results)
        usage: Usage | None = None
        for each in results:
            usage = _added(usage, each.usage)
        return cls(
            len(results),
            Counter(each.failure.cause for each in results if each.failure),
            sum(each.retry_count for each in results),
            sum(each.fallback for each in results),
            sum(each.success and each.retry_count > 0 for each in results),
            sum(each.leftovers for each in results),
            sum(each.cached for each in results),
            sum(each.simulated for each in results),
            sum(each.execution_time for each in results),
            usage,
            usage_by_agent(results),
        )

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.count + other.count,
            Counter(self.causes) + Counter(other.causes),
            self.retries + other.retries,
            self.fallbacks + other.fallbacks,
            self.recovered + other.recovered,
            self.leftovers + other.leftovers,
            self.cached + other.cached,
            self.simulated + other.simulated,
            self.work + other.work,
            _added(self.usage, other.usage),
            joined_usage(self.agents, other.agents),
        )

    @property
    def succeeded(self) -> int:
        """How many have an answer."""
        return self.count - sum(self.causes.values())


class RunResults(Mapping[str, SpawnResult]):
    """Results by task id. A look at one may load it; these questions load few."""

    def totals(self) -> Totals:
        """What all of them add up to."""
        return Totals.of(self.values())

    def failed(self) -> dict[str, SpawnResult]:
        """Those without an answer."""
        return {name: each for name, each in self.items() if not each.success}

    def seconds(self) -> dict[str, float]:
        """What each took."""
        return {name: each.execution_time for name, each in self.items()}

    def spans(self) -> dict[str, tuple[float, float]]:
        """When the first attempt at each began, and when it was done; epoch seconds."""
        return {name: span_of(each) for name, each in self.items() if each.attempts}


class InPlanOrder(RunResults):
    """Results of this run and of those before it, loaded when somebody looks at them."""

    def __init__(
        self,
        order: Sequence[str],
        own: Mapping[str, SpawnResult],
        known: Mapping[str, SpawnResult],
    ) -> None:
        self._order, self._own, self._known = order, own, known

    def __getitem__(self, task_id: str) -> SpawnResult:
        own = self._own.get(task_id)
        return self._known[task_id] if own is None else own

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._own or task_id in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def totals(self) -> Totals:
        """See `RunResults`."""
        if not self._is_all:
            return super().totals()
        return run_results(self._own).totals() + run_results(self._known).totals()

    def failed(self) -> dict[str, SpawnResult]:
        """See `RunResults`."""
        if not self._is_all:
            return super().failed()
        found = run_results(self._known).failed() | run_results(self._own).failed()
        return {each: found[each] for each in self._order if each in found}

    def seconds(self) -> dict[str, float]:
        """See `RunResults`."""
        if not self._is_all:
            return super().seconds()
        return run_results(self._known).seconds() | run_results(self._own).seconds()

    def spans(self) -> dict[str, tuple[float, float]]:
        """See `RunResults`."""
        if not self._is_all:
            return super().spans()
        return run_results(self._known).spans() | run_results(self._own).spans()

    @property
    def _is_all(self) -> bool:
        # Who calls may know results of more tasks than were asked for.
        return len(self._own) + len(self._known) == len(self._order)


class _Held(RunResults):
    def __init__(self, results: Mapping[str, SpawnResult]) -> None:
        self._results = results

    def __getitem__(self, task_id: str) -> SpawnResult:
        return self._results[task_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)


def run_results(results: Mapping[str, SpawnResult]) -> RunResults:
    """These results, able to tell what they add up to."""
    return results if isinstance(results, RunResults) else _Held(results)


def span_of(result: SpawnResult) -> tuple[float, float]:
    """See `RunResults.spans`; of a result with attempts."""
    start = result.attempts[0].started_at
    return start, start + result.execution_time


def _added(one: Usage | None, other: Usage | None) -> Usage | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
