"""From results to bars, ticks and the critical path."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.outcome import Attempt, Failure, FailureCause, SpawnResult
from muster.infrastructure.report import timeline as timelines
from muster.infrastructure.report.interruptions import CutAttempt
from muster.infrastructure.report.timeline import (
    Bar,
    Timeline,
    critical_path,
    timeline,
)


def bars(line: Timeline) -> Iterator[Bar]:
    """All bars of a time line."""
    for group in line.groups:
        for lane in group.lanes:
            yield from lane


def done(start: float, took: float, failure: Failure | None = None) -> SpawnResult:
    """A task of one attempt."""
    attempt = Attempt(1, "a", "sh", start, took, failure=failure)
    return SpawnResult(
        success=failure is None,
        failure=failure,
        attempts=(attempt,),
        execution_time=took,
    )


@pytest.mark.parametrize(
    ("results", "dependencies", "path"),
    [
        ({}, {}, ()),
        ({"a": done(0, 5)}, {}, ()),
        ({"a": done(0, 1), "b": done(1, 2)}, {"b": ("a",)}, ("a", "b")),
        (
            {"a": done(0, 1), "b": done(0, 3), "c": done(3, 1)},
            {"c": ("a", "b")},
            ("b", "c"),
        ),
        (
            {"a": done(0, 9), "b": done(0, 1), "c": done(1, 1)},
            {"c": ("b",)},
            ("a",),
        ),
        ({"a": done(0, 1), "b": done(1, 2)}, {"b": ("gone",)}, ()),
    ],
)
def test_critical_path(
    results: dict[str, SpawnResult],
    dependencies: dict[str, tuple[str, ...]],
    path: tuple[str, ...],
) -> None:
    """The chain of waiting tasks that took longest."""
    took = {name: each.execution_time for name, each in results.items()}

    assert critical_path(took, dependencies) == path


def test_failures_colour_their_bars() -> None:
    """A bar is named after the category of what ended it."""
    limited = Failure(FailureCause.RATE_LIMIT, "429")

    line = timeline({"a": done(0, 1, limited), "b": done(0, 1)})

    found = {bar.task_id: bar for bar in bars(line)}
    assert (found["a"].kind, found["b"].kind) == ("transient", "good")
    assert "429" in found["a"].title


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e5)), min_size=1, max_size=40)
)
def test_bars_stay_on_the_page(spans: list[tuple[float, float]]) -> None:
    """Whatever ran when, bars lie within the line and ticks are few."""
    line = timeline({str(n): done(*span) for n, span in enumerate(spans)})

    for bar in bars(line):
        assert bar.left >= -1e-6
        assert bar.width > 0
        assert bar.left + bar.width <= 100 + 1e-6
    assert len(list(bars(line))) == len(spans)
    for group in line.groups:
        for lane in group.lanes:
            for one, other in pairwise(lane):
                assert one.left + one.width <= other.left + 1e-6
    assert all(0 <= at <= 100 for at, _ in line.ticks)


def test_agents_stand_together_and_side_by_side() -> None:
    """One group for each agent, with as few lanes as keep its bars apart."""
    line = timeline({"a": done(0, 10), "b": done(5, 10), "c": done(11, 5)})

    (group,) = line.groups
    assert [[bar.task_id for bar in lane] for lane in group.lanes] == [
        ["a", "c"],
        ["b"],
    ]


def test_a_night_between_is_folded() -> None:
    """Eight hours in which nothing ran don't hide the minutes in which something did."""
    line = timeline({"a": done(0, 60), "b": done(8 * 3600, 60)})

    first, last = sorted(bars(line), key=lambda bar: bar.left)
    assert first.width > 40
    assert last.width > 40
    assert line.paused == 8 * 3600 - 60
    assert line.seconds == 8 * 3600 + 60
    assert [gap for _, gap in line.breaks] == [8 * 3600 - 60]


def test_what_was_cut_off_is_shown() -> None:
    """As far as its muster gave a sign of life."""
    cut = CutAttempt("a", "sh", 1, started_at=0.0, last_sign=4.0)

    line = timeline({"a": done(5, 5)}, cut=[cut])

    before, after = sorted(bars(line), key=lambda bar: bar.left)
    assert (before.kind, after.kind) == ("cut", "good")
    assert before.width == pytest.approx(40)


def test_a_crowd_keeps_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures and the critical path are shown, and what is left out is counted."""
    monkeypatch.setattr(timelines, "MAX_BARS", 3)
    results = {f"t{n}": done(n, 1 + n / 100) for n in range(20)}
    results["bad"] = done(3, 0.1, Failure(FailureCause.CRASH, "x"))
    results["path"] = done(99, 50)

    line = timeline(results, {"path": ("t1",)})

    assert {bar.task_id for bar in bars(line)} == {"bad", "path", "t1"}
    assert line.left_out == 19
