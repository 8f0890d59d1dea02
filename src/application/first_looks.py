"""When attempts are looked at for the first time: one timer for all of them."""

import asyncio
from itertools import takewhile
from typing import Protocol

from muster.domain import health
from muster.domain.spawn_policy import SpawnPolicy


class Looked(Protocol):
    """An attempt, as far as a first look goes. Seconds."""

    first_look: float

    def first_look_now(self, planned: float) -> None:
        """Called once, at or after ``planned`` (the loop's time)."""
        ...


class FirstLooks:
    """Keeps attempts until their first look is due.

    Nearly all attempts end before that, and a timer each would be a third of
    what an attempt costs. Attempts with the same ``first_look`` come due in the
    order of their starts.
    """

    def __init__(self) -> None:
        self._rows: dict[float, dict[Looked, float]] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def add(self, attempt: Looked, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """``attempt`` is to be looked at when ``due`` (the loop's time)."""
        after = attempt.first_look
        row = self._rows.get(after)
        if row is None:
            row = self._rows[after] = {}
            self._timers[after] = loop.call_at(due, self._fire, loop, after)
        row[attempt] = due

    def remove(self, attempt: Looked) -> None:
        """It is over."""
        row = self._rows.get(attempt.first_look)
        if row is not None:
            row.pop(attempt, None)

    def close(self) -> None:
        """Looks at nobody any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._rows.clear()

    def _fire(self, loop: asyncio.AbstractEventLoop, after: float) -> None:
        row = self._rows[after]
        # A timer may fire a tick of the clock before its moment.
        now = max(loop.time(), self._timers.pop(after).when())
        due_now = list(takewhile(lambda each: each[1] <= now, row.items()))
        for attempt, _ in due_now:
            del row[attempt]
        if row:
            due = next(iter(row.values()))
            self._timers[after] = loop.call_at(due, self._fire, loop, after)
        else:
            # Every policy of its own has a row of its own: they must not pile up.
            del self._rows[after]
        for attempt, due in due_now:
            attempt.first_look_now(due)


def first_look_after(policy: SpawnPolicy, *, silent_until_done: bool) -> float:
    """Seconds after its start before which an attempt needs no look at all."""
    timeout = policy.timeout
    limit = timeout.timeout if timeout.mode == "fixed" else timeout.initial_timeout
    if policy.termination.enabled and not silent_until_done:
        limit = min(limit, health.first_look_after(timeout, policy.termination.stall))
    return limit
