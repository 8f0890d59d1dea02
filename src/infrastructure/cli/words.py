"""What people read: durations, failures and events in a line each."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from muster.domain import fleet_events as events
from muster.domain.fleet_events import FleetEvent
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.terminal_text import strip_terminal

MAX_LINE: Final = 300
_MINUTE: Final = 60
_HOUR: Final = 3600
_LEFT_OUT: Final = frozenset(
    {
        FailureCause.CANCELLED,
        FailureCause.PARKED,
        FailureCause.BUDGET,
        FailureCause.DEPENDENCY_FAILED,
    }
)


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """The text in one line that no terminal obeys, cut to ``limit`` characters."""
    # Cut first: nobody should wait for a megabyte of which a line is shown.
    line = " ".join(strip_terminal(text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def clock(seconds: float) -> str:
    """``0:07``, ``12:03``, ``1:02:03``."""
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, _MINUTE)
    if whole < _HOUR:
        return f"{minutes}:{rest:02}"
    return f"{whole // _HOUR}:{minutes % _MINUTE:02}:{rest:02}"


def took(seconds: float) -> str:
    """``0.25 s``, ``7.3 s``, ``12:03``."""
    if seconds >= _MINUTE:
        return clock(seconds)
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def local_time(epoch: float) -> str:
    """``15:04``, with the day where it is not today; in the zone of this machine."""
    try:
        moment, today = time.localtime(epoch), time.localtime()
    except (OverflowError, OSError, ValueError):
        return "?"
    is_today = moment[:3] == today[:3]
    return time.strftime("%H:%M" if is_today else "%a %d %b %H:%M", moment)


def plural(count: int, noun: str) -> str:
    """``1 task``, ``2 tasks``, ``2 retries``."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{count} {noun[:-1]}ies"
    return f"{count} {noun}es" if noun.endswith("s") else f"{count} {noun}s"


def failure_words(failure: Failure) -> str:
    """Cause and message, and the evidence where the message does not hold it."""
    message = one_line(failure.message)
    words = f"{failure.cause.value}: {message}"
    evidence = failure.evidence
    if evidence is not None:
        text = one_line(evidence.text)
        if text and text not in message and message not in text:
            words += f" ({evidence.stream}: {text})"
    return words


def noticed(failure: Failure) -> str:
    """How early it was seen, or nothing."""
    late = failure.detection_time_ms
    # A limit is seen when it is reached; what it says of itself is enough.
    is_limit = failure.cause in (FailureCause.DEADLINE, FailureCause.TIMEOUT)
    return "" if late is None or is_limit else f"seen after {took(late / 1000)}"


def tried(result: SpawnResult) -> str:
    """``2 retries and a direct call``, or nothing."""
    parts = [plural(result.retry_count, "retry")] if result.retry_count else []
    parts += ["a direct call"] if result.fallback else []
    return " and ".join(parts)


def name_of(task_id: str | None, index: int) -> str:
    """What a task is called."""
    return one_line(task_id) if task_id else f"#{index + 1}"


def event_words(event: FleetEvent) -> str | None:
    """A line about the event, or None for what would only scroll."""
    words = _WORDS.get(type(event))
    return None if words is None else words(event)


def is_left_out(result: SpawnResult) -> bool:
    """Whether the task was not done though nothing is wrong with it."""
    failure = result.failure
    if failure is None or failure.cause not in _LEFT_OUT:
        return False
    return not result.attempts or failure.cause is FailureCause.CANCELLED


def ended_words(result: SpawnResult) -> str:
    """A line about a result."""
    name = name_of(result.task_id, result.task_index)
    time = took(result.execution_time)
    if result.agent:
        name += f" ({one_line(result.agent)})"
    recovered = tried(result)
    tail = f" after {recovered}" if recovered else ""
    mark = " [simulated]" if result.simulated else ""
    if result.failure is None:
        return f"{name}: done in {time}{tail}{mark}"
    if is_left_out(result):
        return f"{name}: {one_line(result.failure.message)}"
    early = noticed(result.failure)
    early = f" ({early})" if early else ""
    return f"{name}: failed{tail}: {failure_words(result.failure)}{early}{mark}"


def _task(event: Any) -> str:
    name = name_of(event.task_id, event.task_index)
    agent = one_line(event.agent)
    return name if agent == "llm" else f"{name} ({agent})"


def _started(event: events.AttemptStarted) -> str:
    which = f", attempt {event.attempt}" if event.attempt > 1 else ""
    which += ", fallback" if event.fallback else ""
    return f"{_task(event)}: started with {one_line(event.tool)}{which}"


def _silent(event: events.SilenceWarned) -> str:
    return (
        f"{_task(event)}: silent for {took(event.silent_for)}; "
        f"ended at {took(event.limit)}"
    )


def _attempt_ended(event: events.AttemptEnded) -> str | None:
    if event.leftovers:
        return f"{_task(event)}: ended {event.leftovers} of its processes left behind"
    return None


def _retry(event: events.RetryScheduled) -> str:
    # Who met a limit waits for its lane and not for a delay of its own.
    when = f"retry {event.retry} in {took(event.delay)}" if event.delay else "waits"
    if event.free and event.delay:
        when = f"starts again in {took(event.delay)}, which costs no retry,"
    return f"{_task(event)}: {when} after {failure_words(event.failure)}"


def _parked(event: events.LaneParked) -> str:
    lane, reason = one_line(event.lane), one_line(event.reason)
    until = "" if event.resets_at is None else f" until {local_time(event.resets_at)}"
    if event.wait is None:
        return f"{lane}: nothing more is started{until}: {reason}"
    left = clock(event.wait)
    return f"{lane}: waits{until} (in {left}): {reason}; Ctrl-C leaves it to resume"


_WORDS: Final[Mapping[type[Any], Callable[[Any], str | None]]] = {
    events.AttemptStarted: _started,
    events.SilenceWarned: _silent,
    events.AttemptEnded: _attempt_ended,
    events.RetryScheduled: _retry,
    events.FallbackStarted: lambda event: (
        f"{_task(event)}: falls back to a direct call: {one_line(event.reason)}"
    ),
    events.CircuitBlocked: lambda event: (
        f"{_task(event)}: not started: {one_line(event.reason)}"
    ),
    events.LaneSlowed: lambda event: (
        f"{one_line(event.lane)}: waits {took(event.wait)}: {one_line(event.reason)}"
    ),
    events.LaneParked: _parked,
    events.TaskEnded: lambda event: ended_words(event.result),
}
