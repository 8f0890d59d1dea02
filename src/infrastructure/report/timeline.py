"""What a report shows of a run: bars on a time line, the critical path, the sums.

Pure: from results and dependencies to numbers. Shares are percent of the chart.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

from attrs import frozen

from muster.domain import graph
from muster.domain.outcome import Attempt, SpawnResult
from muster.infrastructure.report.axis import Axis
from muster.infrastructure.report.interruptions import CutAttempt

THINNEST: Final = 0.4  # percent: what took no time can still be pointed at
MAX_BARS: Final = 3_000  # a page with more of them is slow to open, and no clearer
CUT: Final = "cut"


@frozen
class Bar:
    """One attempt on the time line."""

    left: float
    width: float
    kind: str
    task_id: str
    title: str
    is_critical: bool = False


@frozen
class Group:
    """The attempts of one agent, in as many lanes as ran side by side."""

    agent: str
    lanes: tuple[tuple[Bar, ...], ...]


@frozen
class Timeline:
    """All attempts between the first start and the last end. Seconds."""

    groups: tuple[Group, ...]
    seconds: float
    paused: float
    critical_path: tuple[str, ...]
    critical_seconds: float
    ticks: tuple[tuple[float, str], ...]
    breaks: tuple[tuple[float, float], ...]
    left_out: int = 0


@frozen
class _Span:
    agent: str
    start: float
    duration: float
    kind: str
    task_id: str
    title: str

    @property
    def end(self) -> float:
        return self.start + self.duration


def timeline(
    results: Mapping[str, SpawnResult],
    dependencies: Mapping[str, Sequence[str]] | None = None,
    cut: Iterable[CutAttempt] = (),
    *,
    took: Mapping[str, float] | None = None,
    unseen: Sequence[tuple[float, float]] = (),
) -> Timeline:
    """The time line of a run; without ``dependencies`` there is no critical path.

    ``cut`` are attempts that ended with a muster that died; they have no result. Where
    ``results`` are but a part, ``took`` are the seconds of all, and ``unseen`` the
    times of the others: they are on the axis and have no bar.
    """
    if took is None:
        took = {name: each.execution_time for name, each in results.items()}
    spans = [_of_cut(each) for each in cut]
    spans += [
        _of(task_id, result, attempt)
        for task_id, result in results.items()
        for attempt in result.attempts
    ]
    path = critical_path(took, dependencies or {})
    axis = Axis.of([*((each.start, each.end) for each in spans), *unseen])
    shown = _most_telling(spans, frozenset(path))
    return Timeline(
        tuple(_groups(shown, axis, frozenset(path))),
        axis.seconds,
        axis.paused,
        path,
        sum(took[each] for each in path),
        tuple(axis.ticks()),
        axis.breaks(),
        len(spans) - len(shown) + len(unseen),
    )


def critical_path(
    took: Mapping[str, float], dependencies: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The chain of tasks, each waiting for the one before, that took longest."""
    known = {
        task_id: [each for each in dependencies.get(task_id, ()) if each in took]
        for task_id in took
    }
    if not any(known.values()):
        return ()
    longest: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for task_id in graph.topological(known):
        last = max(known[task_id], key=longest.__getitem__, default=None)
        longest[task_id] = took[task_id] + (longest[last] if last is not None else 0.0)
        before[task_id] = last
    node: str | None = max(longest, key=longest.__getitem__)
    path: list[str] = []
    while node is not None:
        path.append(node)
        node = before[node]
    return tuple(reversed(path))


def who(result: SpawnResult) -> str:
    """The agent; of a program, what it is."""
    return result.original_agent or result.agent or result.tool or "no agent"


def _of(task_id: str, result: SpawnResult, attempt: Attempt) -> _Span:
    kind = "fallback" if attempt.fallback else "good"
    if attempt.failure is not None:
        kind = attempt.failure.category.value
    words = f"{task_id}: attempt {attempt.number}, {attempt.duration:.1f} s"
    if attempt.failure is not None:
        words += f", {attempt.failure.message}"
    duration = max(attempt.duration, 0.0)
    return _Span(who(result), attempt.started_at, duration, kind, task_id, words)


def _of_cut(cut: CutAttempt) -> _Span:
    words = f"{cut.task_id}: attempt {cut.attempt}, cut off when muster died"
    duration = max(cut.last_sign - cut.started_at, 0.0)
    return _Span(cut.who, cut.started_at, duration, CUT, cut.task_id, words)


def _most_telling(spans: Sequence[_Span], critical: frozenset[str]) -> list[_Span]:
    """What failed and what the run waited for, then what took longest."""
    if len(spans) <= MAX_BARS:
        return list(spans)

    def weight(span: _Span) -> tuple[bool, bool, float]:
        return span.task_id in critical, span.kind != "good", span.duration

    return sorted(spans, key=weight, reverse=True)[:MAX_BARS]


def _groups(
    spans: Iterable[_Span], axis: Axis, critical: frozenset[str]
) -> Iterable[Group]:
    of_agent: dict[str, list[_Span]] = {}
    for span in sorted(spans, key=lambda each: each.start):
        of_agent.setdefault(span.agent, []).append(span)
    for agent, some in of_agent.items():
        bars = [_bar(each, axis, critical) for each in some]
        yield Group(agent, tuple(map(tuple, _lanes(bars))))


def _bar(span: _Span, axis: Axis, critical: frozenset[str]) -> Bar:
    left = min(axis.place(span.start), 100.0 - THINNEST)
    width = max(axis.place(span.end) - left, THINNEST)
    is_critical = span.task_id in critical
    return Bar(left, width, span.kind, span.task_id, span.title, is_critical)


def _lanes(bars: Iterable[Bar]) -> list[list[Bar]]:
    """As few lanes as it takes for no two bars to overlap; ``bars`` by their left."""
    lanes: list[list[Bar]] = []
    free: list[tuple[float, int]] = []
    for bar in bars:
        if free and free[0][0] <= bar.left:
            _, lane = heappop(free)
        else:
            lane = len(lanes)
            lanes.append([])
        lanes[lane].append(bar)
        heappush(free, (bar.left + bar.width, lane))
    return lanes
