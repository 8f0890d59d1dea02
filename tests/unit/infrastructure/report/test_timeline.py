"""From results to bars, ticks and the critical path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.outcome import Attempt, Failure, FailureCause, SpawnResult
from muster.infrastructure.report.timeline import critical_path, timeline


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
    assert critical_path(results, dependencies) == path


def test_failures_colour_their_bars() -> None:
    """A bar is named after the category of what ended it."""
    limited = Failure(FailureCause.RATE_LIMIT, "429")

    line = timeline({"a": done(0, 1, limited), "b": done(0, 1)})

    assert [row.bars[0].kind for row in line.rows] == ["transient", "good"]
    assert "429" in line.rows[0].bars[0].title


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e5)), min_size=1, max_size=40)
)
def test_bars_stay_on_the_page(spans: list[tuple[float, float]]) -> None:
    """Whatever ran when, bars lie within the line and ticks are few."""
    line = timeline({str(n): done(*span) for n, span in enumerate(spans)})

    for row in line.rows:
        for bar in row.bars:
            assert -1e-6 <= bar.left <= 100 + 1e-6
            assert 0 < bar.width <= 100 + 1e-6
    assert all(0 <= at <= 100 for at, _ in line.ticks)
