"""How a run stands: what the live table shows. Fed with events, asked for rows."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import define, field

from muster.domain import fleet_events as events
from muster.domain.fleet_events import FleetEvent
from muster.domain.outcome import Usage
from muster.infrastructure.cli.words import (
    clock,
    is_left_out,
    local_time,
    one_line,
    plural,
)

ENOUGH: Final = 2  # finished tasks from which an estimate is more than a guess


class State(StrEnum):
    """Where a task is on its way."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRY = "retry"
    DONE = "done"
    FAILED = "failed"
    LEFT_OUT = "not done"


_ACTIVE: Final = (State.RUNNING, State.RETRY)
# Who leaves the table first when it is too long: failures were printed above it.
_LEAVES: Final = (State.DONE, State.LEFT_OUT, State.FAILED, State.WAITING)


@define
class Row:
    """One task. Times are monotonic seconds; ``due_at`` is when the retry starts."""

    index: int
    name: str
    agent: str = ""
    title: str = ""
    state: State = State.WAITING
    attempt: int = 0
    started_at: float = 0.0
    heard_at: float = 0.0
    due_at: float = 0.0
    last_line: str = ""
    took: float = 0.0
    usage: Usage | None = None

    def age(self, now: float) -> float | None:
        """Seconds since the attempt's start; of a finished task, what it took."""
        if self.state is State.RUNNING:
            return now - self.started_at
        return self.took if self.state in (State.DONE, State.FAILED) else None

    def idle(self, now: float) -> float | None:
        """Seconds since the agent was last heard of."""
        return now - self.heard_at if self.state is State.RUNNING else None


@define(eq=False)
class Board:
    """All tasks of a run. ``at_once`` is how many may run side by side."""

    at_once: int
    began: float
    rows: dict[int, Row] = field(factory=dict)
    version: int = 0
    waits: dict[str, tuple[str, float]] = field(factory=dict)

    @classmethod
    def of(
        cls, names: Mapping[int, tuple[str, str, str]], at_once: int, now: float
    ) -> "Board":
        """A board of waiting tasks: by index, the name, agent and title of each."""
        rows = {index: Row(index, *words) for index, words in names.items()}
        return cls(at_once, now, rows)

    def take(self, event: FleetEvent, now: float) -> None:
        """Takes note of an event; costs the same however many tasks there are."""
        self.version += 1
        if isinstance(event, events.TaskEnded):
            result = event.result
            row = self._row(result.task_index)
            row.took, row.usage = result.execution_time, result.usage
            row.state = State.DONE if result.success else State.FAILED
            if is_left_out(result):
                row.state = State.LEFT_OUT
            if result.error:
                row.last_line = result.error
            return
        if isinstance(event, events.LaneParked) and event.wait is not None:
            until = local_time(event.resets_at or 0.0)
            self.waits[event.lane] = (until, now + event.wait)
            return
        apply = _APPLY.get(type(event))
        if apply is not None:
            apply(self._row(event.task_index), event, now)  # type: ignore[union-attr]

    def count(self, *states: State) -> int:
        """How many tasks are in one of these states."""
        return sum(row.state in states for row in self._all())

    def shown(self, room: int) -> list[Row]:
        """The rows that matter most, in the order of the plan, as many as fit."""
        rows = self._all()
        for state in _LEAVES:
            if len(rows) <= room:
                break
            surplus = len(rows) - room
            leaving = [row.index for row in rows if row.state is state]
            # Of those that wait, the ones far behind; of the others, the oldest.
            cut = leaving[-surplus:] if state is State.WAITING else leaving[:surplus]
            gone = frozenset(cut)
            rows = [row for row in rows if row.index not in gone]
        return rows[:room]

    def seconds_left(self, now: float) -> float | None:
        """An estimate from what finished tasks took, or None while there are few."""
        times = [row.took for row in self._all() if row.state is State.DONE]
        if len(times) < ENOUGH:
            return None
        mean = sum(times) / len(times)
        running = [row for row in self._all() if row.state in _ACTIVE]
        rest = [max(mean - (row.age(now) or 0.0), 0.0) for row in running]
        waiting = self.count(State.WAITING)
        if not running and not waiting:
            return 0.0
        lanes = max(1, min(self.at_once, len(running) + waiting))
        return max((sum(rest) + mean * waiting) / lanes, max(rest, default=0.0))

    def progress(self, now: float) -> str:
        """``4/12 done, 2 failed, 3 running, 3 waiting | 0:12, about 0:30 left``."""
        total = len(self.rows)
        parts = [f"{self.count(State.DONE)}/{total} done"]
        for state in (
            State.FAILED,
            State.LEFT_OUT,
            State.RUNNING,
            State.RETRY,
            State.WAITING,
        ):
            number = self.count(state)
            if number:
                words = (
                    plural(number, state.value)
                    if state is State.RETRY
                    else f"{number} {state.value}"
                )
                parts.append(words)
        left = self.seconds_left(now)
        time = clock(now - self.began)
        time += f", about {clock(left + 0.5)} left" if left is not None else ""
        return " | ".join((", ".join(parts), time, *self._countdowns(now)))

    def _countdowns(self, now: float) -> list[str]:
        """``claude waits until 15:04 (1:02:33)`` for each lane that has to."""
        return [
            f"{one_line(lane)} waits until {until} ({clock(due - now)})"
            for lane, (until, due) in list(self.waits.items())
            if due > now
        ]

    def total_usage(self) -> Usage | None:
        """What all finished tasks cost together, as far as they say."""
        total: Usage | None = None
        for row in self._all():
            if row.usage is not None:
                total = row.usage if total is None else total + row.usage
        return total

    def _all(self) -> list[Row]:
        # A copy: the table is drawn by another thread than the one that takes events.
        return list(self.rows.values())

    def _row(self, index: int) -> Row:
        row = self.rows.get(index)
        if row is None:
            row = self.rows[index] = Row(index, f"#{index + 1}")
        return row


def _started(row: Row, event: events.AttemptStarted, now: float) -> None:
    row.state, row.attempt = State.RUNNING, event.attempt
    row.agent = event.tool if event.agent == "llm" else event.agent
    row.started_at = row.heard_at = now
    row.last_line = ""


def _progressed(row: Row, event: events.AttemptProgressed, now: float) -> None:
    row.last_line, row.heard_at = event.last_line, now


def _retry(row: Row, event: events.RetryScheduled, now: float) -> None:
    row.state, row.due_at = State.RETRY, now + event.delay
    row.last_line = event.failure.message


def _fallback(row: Row, event: events.FallbackStarted, now: float) -> None:
    row.state, row.due_at, row.last_line = State.RETRY, now, event.reason


def _blocked(row: Row, event: events.CircuitBlocked, now: float) -> None:
    row.last_line = event.reason


_APPLY: Final[Mapping[type[Any], Callable[[Row, Any, float], None]]] = {
    events.AttemptStarted: _started,
    events.AttemptProgressed: _progressed,
    events.RetryScheduled: _retry,
    events.FallbackStarted: _fallback,
    events.CircuitBlocked: _blocked,
}


def names_of(
    tasks: Iterable[tuple[int, str, str | None]],
    titles: Mapping[int, str] | None = None,
) -> dict[int, tuple[str, str, str]]:
    """What `Board.of` takes, from (index, name, agent); titles by index."""
    titles = titles or {}
    return {
        index: (name, agent or "", titles.get(index, ""))
        for index, name, agent in tasks
    }
