"""The story of a fleet as JSON lines, in a file of the run or on stderr.

An `EventSink` that never blocks and never raises: a thread of its own writes, and
what it can't keep up with is counted and dropped. Each log configures its own
structlog; the host's logging is not touched.
"""

import os
import queue
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Self

import attrs
from attrs import define, field

from muster.application.ports.clock import Clock
from muster.domain import fleet_events as events
from muster.domain.fleet_events import FleetEvent, TaskEnded
from muster.domain.outcome import Failure, SpawnResult
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.durable_file import FILE_MODE
from muster.infrastructure.secrets import Redactor

LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MAX_WAITING: Final = 10_000
MAX_TEXT: Final = 2_000
CLOSE_SECONDS: Final = 2.0

_LEVEL_OF: Final[Mapping[type[Any], str]] = {
    events.AttemptStarted: "info",
    events.AttemptProgressed: "debug",
    events.SilenceWarned: "warning",
    events.AttemptEnded: "info",
    events.RetryScheduled: "warning",
    events.FallbackStarted: "warning",
    events.CircuitBlocked: "warning",
    events.LaneSlowed: "info",
    events.LaneParked: "error",
    events.TaskEnded: "info",
}
_RESULT_FIELDS: Final = [
    "task_index",
    "task_id",
    "agent",
    "tool",
    "success",
    "error",
    "exit_code",
    "retry_count",
    "fallback",
    "execution_time",
    "termination_reason",
    "truncated",
    "output_path",
    "simulated",
    "leftovers",
]


def event_name(event: FleetEvent) -> str:
    """The event's name as logs and ``--jsonl`` write it: ``attempt_started``."""
    return _HUMP.sub("_", type(event).__name__).lower()


def event_document(event: FleetEvent) -> dict[str, Any]:
    """The event's fields as JSON-ready values, without the outputs of agents."""
    if isinstance(event, TaskEnded):
        return _result_document(event.result)
    fields = attrs.asdict(event, recurse=False)
    return {
        name: value.to_dict() if isinstance(value, Failure) else value
        for name, value in fields.items()
    }


def event_level(event: FleetEvent) -> str:
    """How loud the event is; failures are warnings at least."""
    if isinstance(event, TaskEnded):
        return "info" if event.result.success else "error"
    if isinstance(event, events.AttemptEnded) and event.failure is not None:
        return "warning"
    return _LEVEL_OF.get(type(event), "info")


@define(eq=False)
class EventLog:
    """Writes each event as a line that carries run_id, task_id, agent and attempt.

    ``write`` gets whole lines, one call each, in order, from one thread.
    """

    run_id: str
    write: Callable[[str], object]
    clock: Clock
    level: str = "info"
    redactor: Redactor = field(factory=Redactor)
    max_waiting: int = MAX_WAITING
    dropped: int = field(default=0, init=False)
    _close_write: Callable[[], object] | None = field(default=None, alias="close_write")
    _waiting: "queue.SimpleQueue[tuple[float, FleetEvent] | None]" = field(
        factory=queue.SimpleQueue, init=False
    )
    _thread: threading.Thread | None = field(default=None, init=False)
    _attempts: dict[int, int] = field(factory=dict, init=False)
    _told: int = field(default=0, init=False)
    _is_closed: bool = field(default=False, init=False)

    @classmethod
    def to_file(cls, path: Path, run_id: str, clock: Clock, **options: Any) -> Self:
        """A log that is appended to a file only its owner can read. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, FILE_MODE)
        file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
        return cls(
            run_id,
            _writer_of(file),
            clock,
            close_write=file.close,
            **options,
        )

    @classmethod
    def to_stream(
        cls, stream: IO[str], run_id: str, clock: Clock, **options: Any
    ) -> Self:
        """A log on a stream that stays open, such as stderr."""
        return cls(run_id, _writer_of(stream), clock, **options)

    def emit(self, event: FleetEvent) -> None:
        """Takes the event; at once, whatever the disk does."""
        if self._is_closed or LEVELS[event_level(event)] < LEVELS[self.level]:
            return
        if self._waiting.qsize() >= self.max_waiting:
            self.dropped += 1
            return
        self._waiting.put((self.clock.epoch(), event))
        if self._thread is None:
            name = f"muster-events-{self.run_id}"
            # A daemon: a pipe that nobody reads must not keep the host from ending.
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Writes what waits, for at most ``timeout`` seconds. Again: does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(timeout)
        elif self._close_write is not None:
            self._close_write()

    def _run(self) -> None:
        logger = self._logger()
        while (item := self._waiting.get()) is not None:
            try:
                self._log(logger, *item)
            except Exception:  # noqa: BLE001 -- a log never stops a fleet
                self.dropped += 1
        if self._close_write is not None:
            self._close_write()

    def _logger(self) -> Any:
        # Imported here: structlog costs a start-up what a whole run costs muster.
        import structlog  # noqa: PLC0415

        return structlog.wrap_logger(
            _Lines(self.write),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.JSONRenderer(default=str),
            ],
            wrapper_class=structlog.BoundLogger,
            context_class=dict,
            cache_logger_on_first_use=False,
            run_id=self.run_id,
        )

    def _log(self, logger: Any, epoch: float, event: FleetEvent) -> None:
        fields = self._clean(event_document(event))
        index = fields.get("task_index")
        if "attempt" in fields:
            self._attempts[index] = fields["attempt"]
        elif index in self._attempts:
            fields["attempt"] = self._attempts[index]
        if isinstance(event, TaskEnded):
            self._attempts.pop(index, None)
        if self.dropped > self._told:
            fields["dropped_before"] = self.dropped - self._told
            self._told = self.dropped
        bound = logger.bind(
            **{name: fields.pop(name, None) for name in ("task_id", "agent", "attempt")}
        )
        moment = datetime.fromtimestamp(epoch, UTC).isoformat()
        getattr(bound, event_level(event))(event_name(event), time=moment, **fields)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redactor.redact(strip_terminal(value))[:MAX_TEXT]
        if isinstance(value, Mapping):
            return {key: self._clean(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(each) for each in value]
        return value


class _Lines:
    """What structlog calls a logger: one method for each level."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def info(self, line: str) -> None:
        self._write(line + "\n")

    debug = warning = error = info


def _writer_of(file: IO[str]) -> Callable[[str], object]:
    def write(line: str) -> None:
        file.write(line)
        file.flush()

    return write


def _result_document(result: SpawnResult) -> dict[str, Any]:
    document = {name: getattr(result, name) for name in _RESULT_FIELDS}
    document["attempts"] = len(result.attempts)
    if result.failure is not None:
        document["failure"] = result.failure.to_dict()
    if result.usage is not None:
        document["usage"] = result.usage.to_dict()
    return document


_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
