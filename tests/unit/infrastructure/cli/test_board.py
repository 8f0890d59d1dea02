"""The board behind the live table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.fleet_events import LaneParked
from muster.domain.outcome import Failure, FailureCause
from muster.infrastructure.cli.board import Board, State, names_of
from muster.infrastructure.cli.words import local_time
from tests.unit.infrastructure.cli import story


def board(count: int = 4, at_once: int = 2) -> Board:
    """A board of waiting tasks t0, t1, ..."""
    tasks = [(index, f"t{index}", None) for index in range(count)]
    return Board.of(names_of(tasks), at_once, 100.0)


def test_a_task_s_way() -> None:
    """Waiting, running, retry, running, done; age and silence of the attempt."""
    it = board(1)
    row = it.rows[0]
    assert (row.state, row.age(100.0)) == (State.WAITING, None)

    it.take(story.started(0, "ann"), 101.0)
    it.take(story.said(0, "hello"), 103.0)
    assert (row.state, row.agent, row.last_line) == (State.RUNNING, "ann", "hello")
    assert (row.age(105.0), row.idle(105.0)) == (4.0, 2.0)

    it.take(story.retry(0, 3.0), 106.0)
    assert (row.state, row.due_at, row.idle(107.0)) == (State.RETRY, 109.0, None)

    it.take(story.started(0, attempt=2), 109.0)
    it.take(story.ended(0), 111.0)
    assert (row.state, row.attempt, row.age(999.0)) == (State.DONE, 2, 2.0)


@pytest.mark.parametrize(
    ("failure", "attempts", "state"),
    [
        (story.CRASH, None, State.FAILED),
        (Failure(FailureCause.TOOL_NOT_FOUND, "x"), (), State.FAILED),
        (Failure(FailureCause.CANCELLED, "x"), (), State.LEFT_OUT),
        (Failure(FailureCause.CANCELLED, "x"), None, State.LEFT_OUT),
        (Failure(FailureCause.PARKED, "x"), (), State.LEFT_OUT),
        (Failure(FailureCause.DEPENDENCY_FAILED, "x"), (), State.LEFT_OUT),
    ],
)
def test_what_failed_and_what_was_not_done(
    failure: Failure, attempts: tuple[()] | None, state: State
) -> None:
    """Nothing is wrong with a task that was not run."""
    it = board(1)
    fields = {} if attempts is None else {"attempts": attempts}

    it.take(story.ended(0, failure, **fields), 100.0)

    assert it.rows[0].state is state


def test_progress_counts_what_there_is() -> None:
    """And names nothing that there is not."""
    it = board(5)
    it.take(story.started(0), 100.0)
    it.take(story.ended(1), 100.0)
    it.take(story.ended(2, story.CRASH), 100.0)
    it.take(story.retry(3), 100.0)

    assert (
        it.progress(107.0) == "1/5 done, 1 failed, 1 running, 1 retry, 1 waiting | 0:07"
    )


def test_the_estimate_follows_what_tasks_took() -> None:
    """Two seconds each: of four that are left, two run side by side."""
    it = board(6, at_once=2)
    assert it.seconds_left(100.0) is None
    for index in (0, 1):
        it.take(story.ended(index), 102.0)
    it.take(story.started(2), 102.0)
    it.take(story.started(3), 102.0)

    assert it.seconds_left(102.0) == 4.0
    assert it.seconds_left(103.0) == 3.0
    assert "about 0:04 left" in it.progress(102.0)


def test_an_estimate_ends_at_zero() -> None:
    """When nothing runs and nothing waits."""
    it = board(2)
    for index in (0, 1):
        it.take(story.ended(index), 102.0)

    assert it.seconds_left(102.0) == 0.0


def test_a_long_table_keeps_what_matters() -> None:
    """Finished rows leave first, then those that wait; running ones stay."""
    it = board(72)
    for index in range(20):
        it.take(story.ended(index), 100.0)
    for index in range(20, 30):
        it.take(story.started(index), 100.0)
    it.take(story.ended(30, story.CRASH), 100.0)

    shown = [row.index for row in it.shown(15)]

    assert shown == [*range(20, 30), *range(31, 36)]


@given(st.integers(1, 40), st.data())
def test_never_more_rows_than_fit(room: int, data: st.DataObject) -> None:
    """In the order of the plan, whatever states there are."""
    it = board(20)
    for index in range(20):
        event = data.draw(
            st.sampled_from([None, story.started(index), story.ended(index)])
        )
        if event is not None:
            it.take(event, 100.0)

    shown = [row.index for row in it.shown(room)]

    assert len(shown) == min(room, 20)
    assert shown == sorted(shown)


def test_an_unknown_task_gets_a_row() -> None:
    """Events of tasks that nobody announced are shown all the same."""
    it = board(1)

    it.take(story.started(7), 100.0)

    assert it.rows[7].name == "#8"


def test_usage_adds_up() -> None:
    """Unknown is not zero."""
    it = board(2)
    assert it.total_usage() is None
    it.take(story.ended(0, usage=story.COSTS), 100.0)
    it.take(story.ended(1, usage=story.COSTS), 100.0)

    total = it.total_usage()
    assert total is not None
    assert total.cost_usd == 1.0


def test_a_countdown_says_who_waits_until_when() -> None:
    """By the watch of this machine; it is gone when it is over."""
    it = board(1)
    resets_at = 1_760_000_000.0
    it.take(LaneParked("claude/\x1b[1mopus", "limit", resets_at, wait=3700.0), 100.0)
    it.take(LaneParked("codex", "limit", resets_at), 100.0)

    until = local_time(resets_at)
    assert it.progress(160.0).endswith(f"claude/opus waits until {until} (1:00:40)")
    assert "waits" not in it.progress(3800.0)
