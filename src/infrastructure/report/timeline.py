"""What a report shows of a run: bars on a time line, the critical path, the sums.

Pure: from results and dependencies to numbers. Shares are percent of the run.
"""

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from muster.domain.outcome import Attempt, SpawnResult

_WHOLE = 100.0
_THINNEST = 0.4


@frozen
class Bar:
    """One attempt on the time line."""

    left: float
    width: float
    kind: str
    title: str


@frozen
class Row:
    """One task on the time line."""

    task_id: str
    agent: str
    bars: tuple[Bar, ...]
    is_critical: bool


@frozen
class Timeline:
    """All tasks between the first start and the last end. Seconds."""

    rows: tuple[Row, ...]
    seconds: float
    critical_path: tuple[str, ...]
    critical_seconds: float
    ticks: tuple[tuple[float, str], ...]


def timeline(
    results: Mapping[str, SpawnResult],
    dependencies: Mapping[str, Sequence[str]] | None = None,
) -> Timeline:
    """The time line of a run; without ``dependencies`` there is no critical path."""
    attempts = [each for result in results.values() for each in result.attempts]
    start = min((each.started_at for each in attempts), default=0.0)
    end = max((each.started_at + each.duration for each in attempts), default=start)
    span = max(end - start, 1e-9)
    path = critical_path(results, dependencies or {})
    rows = tuple(
        Row(
            task_id,
            result.agent or "llm",
            tuple(_bar(each, start, span) for each in result.attempts),
            task_id in path,
        )
        for task_id, result in results.items()
    )
    busy = sum(results[each].execution_time for each in path)
    return Timeline(rows, end - start, path, busy, tuple(_ticks(end - start)))


def critical_path(
    results: Mapping[str, SpawnResult], dependencies: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The chain of tasks, each waiting for the one before, that took longest."""
    longest: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for task_id in _in_order(results, dependencies):
        needs = [each for each in dependencies.get(task_id, ()) if each in longest]
        last = max(needs, key=longest.__getitem__, default=None)
        took = results[task_id].execution_time
        longest[task_id] = took + (longest[last] if last is not None else 0.0)
        before[task_id] = last
    if not any(before.values()):
        return ()
    node: str | None = max(longest, key=longest.__getitem__)
    path: list[str] = []
    while node is not None:
        path.append(node)
        node = before[node]
    return tuple(reversed(path))


def _in_order(
    results: Mapping[str, SpawnResult], dependencies: Mapping[str, Sequence[str]]
) -> Iterable[str]:
    # A task ends after what it waited for, so the order of the ends is an order
    # of the graph.
    def end(task_id: str) -> tuple[float, int]:
        attempts = results[task_id].attempts
        at = attempts[-1].started_at + attempts[-1].duration if attempts else 0.0
        return at, len(dependencies.get(task_id, ()))

    return sorted(results, key=end)


def _bar(attempt: Attempt, start: float, span: float) -> Bar:
    kind = "fallback" if attempt.fallback else "good"
    if attempt.failure is not None:
        kind = attempt.failure.category.value
    why = f": {attempt.failure.message}" if attempt.failure else ""
    return Bar(
        left=(attempt.started_at - start) / span * _WHOLE,
        width=max(attempt.duration / span * _WHOLE, _THINNEST),
        kind=kind,
        title=f"attempt {attempt.number}, {attempt.duration:.1f} s{why}",
    )


def _ticks(seconds: float) -> Iterable[tuple[float, str]]:
    if seconds <= 0:
        return
    step = 1.0
    for factor in (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400):
        step = float(factor)
        if seconds / step <= 8:  # noqa: PLR2004 - as many labels as a phone has room for
            break
    moment = 0.0
    while moment <= seconds:
        label = f"{moment:.0f} s" if step < 60 else f"{moment / 60:.0f} min"  # noqa: PLR2004
        yield moment / seconds * _WHOLE, label
        moment += step
