"""What all stream formats have in common: records in, reports and an outcome out.

A format is a subclass in a file of its own. It says in `kinds` which of its methods
takes which kind of record, and tells what it reads by the verbs below: `delta`,
`message`, `answer`, `opened`, `closed`, `retrying`, `failed`, `ended`...
"""

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, TypeVar

from attrs import evolve

from muster.domain import presets
from muster.domain.events import (
    AgentEvent,
    ModelServed,
    PermissionAsked,
    ProgressMade,
    RateLimited,
    RetryAnnounced,
    SessionStarted,
    TerminalRecordSeen,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
    UsageReported,
)
from muster.domain.outcome import Failure, FailureCategory, FailureCause, Usage
from muster.domain.stream_outcome import StreamOutcome
from muster.domain.structured_error import ErrorFields, failure_of
from muster.infrastructure.adapters.local_process.stream_formats.record_lines import (
    Record,
    RecordLines,
)

Report = Callable[[AgentEvent], None]
_LIMITED: Final = frozenset((FailureCause.QUOTA, FailureCause.RATE_LIMIT))
_SESSION: Final = re.compile(r"\w[\w.:@+-]{0,199}")
_NOTHING_YET: Final = Usage()
_KEPT_NAMES: Final = 8
_KEPT_DENIALS: Final = 20


class StreamParser:
    """Reads one agent's stream. No input makes it raise; only ``report`` may.

    ``feed`` takes bytes cut anywhere; `finish` gives the outcome and may be asked at
    any time after the last of them. ``epoch`` tells the time, by which "resets in 2h"
    becomes a moment. ``before`` is what was used in a session that is continued.
    """

    kinds: ClassVar[Mapping[str, str]] = {}
    # The first refusal of a login may be cured by the tool itself, which renews it.
    renews_login: bool = True
    # Whether its log on stderr tells what the stream leaves out: see `remark`.
    has_log: ClassVar[bool] = False

    def __init__(
        self,
        report: Report,
        *,
        epoch: Callable[[], float] | None = None,
        limit: int = presets.MAX_RECORD_BYTES,
        before: Usage | None = _NOTHING_YET,
    ) -> None:
        self._report = report
        self._epoch = epoch
        self._limit = limit
        self._before = before
        self._lines = RecordLines(limit)
        self._events: list[AgentEvent] = []
        self._answer: list[str] = []
        self._size = 0
        self._is_cut = False
        self._mid_line = False
        self._moved = False
        self._refusals = 0
        self._complete = False
        self._success = False
        self._blocked = False
        self._failure: Failure | None = None
        self._usage: Usage | None = None
        self._session_id: str | None = None
        self._models: list[str] = []
        self._denied: list[str] = []
        self._unknown: list[str] = []
        self._open: set[str] = set()
        self._resets_at: float | None = None
        self._log = b""

    # --- fed by the adapter ---------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Takes what stdout has said, in order."""
        if not data:
            return
        seen = False
        for record in self._lines.feed(data):
            seen = True
            self._read(record)
        # A piece of a long line is progress; a whole line is what its record is.
        if self._moved or not seen:
            self._moved = False
            self._report(ProgressMade())

    def feed_log(self, data: bytes | memoryview) -> None:
        """Takes what stderr has said, in order; for formats with a log there."""
        *lines, rest = (self._log + bytes(data)).split(b"\n")
        # Its beginning says what a line is; a longer one is none of a log's.
        self._log = rest[: presets.JUDGED_LINE_CHARS]
        for line in lines:
            self.remark(line[: presets.JUDGED_LINE_CHARS].decode("utf-8", "replace"))
        self._flush()

    def finish(self) -> StreamOutcome:
        """What it came to. Takes in a last line without its end."""
        for record in self._lines.finish():
            self._read(record)
        return StreamOutcome(
            complete=self._complete,
            success=self._complete and self._success,
            text="".join(self._answer),
            failure=self._failure,
            usage=self._usage,
            session_id=self._session_id,
            served_models=tuple(self._models),
            denied=tuple(self._denied),
            blocked=self._blocked,
            unread=self._lines.unread,
            unknown=tuple(self._unknown),
            truncated=self._is_cut or self._lines.dropped > 0,
        )

    @property
    def is_complete(self) -> bool:
        """Whether the terminal record was seen."""
        return self._complete

    # --- for formats to override ------------------------------------------------------

    def kind(self, record: Record) -> str:
        """What `kinds` is asked for; "" is no kind."""
        value = record.get("type")
        return value if isinstance(value, str) else ""

    def remark(self, line: str) -> None:
        """Takes a line of the log. It is never a verdict, only news of a retry."""

    # --- verbs for formats ---------------------------------------------------------------

    def delta(self, text: str) -> None:
        """The answer goes on by ``text``."""
        if not text:
            return
        self._tell(TextProduced(text))
        self._mid_line = not text.endswith("\n")
        self._keep(text)
        self.progress()

    def new_message(self) -> None:
        """What follows is another message; only the last one is the answer."""
        if self._mid_line:
            self._mid_line = False
            self._tell(TextProduced("\n"))
        self._answer.clear()
        self._size = 0
        self._is_cut = False

    def message(self, text: str, *, shown: bool = False) -> None:
        """A whole message; ``shown``: its deltas have been told already."""
        if not text:
            return
        if not shown:
            self.new_message()
            self.delta(text)
        self.answer(text)
        if self._mid_line:
            self._mid_line = False
            self._tell(TextProduced("\n"))

    def answer(self, text: str) -> None:
        """The whole answer, in the place of what is known; nothing is told."""
        self._answer.clear()
        self._size = 0
        self._is_cut = False
        self._keep(text)
        self.progress()

    def progress(self) -> None:
        """The agent is getting on: what it had to put up with before is over."""
        self._moved = True
        self._refusals = 0
        if not self._complete:
            self._failure = None

    def opened(self, call_id: str, name: str = "") -> None:
        """It runs a tool of its own."""
        self._open.add(call_id)
        self._tell(ToolCallOpened(call_id, name))
        self.progress()

    def closed(self, call_id: str) -> None:
        """The tool call is over."""
        if call_id in self._open:
            self._open.discard(call_id)
            self._tell(ToolCallClosed(call_id))
        self.progress()

    def session(self, session_id: str) -> None:
        """The id by which the conversation can be continued."""
        # It becomes an argument of the tool some day.
        if session_id != self._session_id and _SESSION.fullmatch(session_id):
            self._session_id = session_id
            self._tell(SessionStarted(session_id))

    def model(self, name: str) -> None:
        """This model answers."""
        if name and name not in self._models and len(self._models) < _KEPT_NAMES:
            self._models.append(name)
            self._tell(ModelServed(name))

    def usage(self, usage: Usage) -> None:
        """All that was used so far."""
        if usage not in (self._usage, Usage()):
            self._usage = usage
            self._tell(UsageReported(usage))

    def since(self, whole: Usage) -> Usage:
        """Of a sum over the whole session, what came to it in this run.

        Whatever the session used before that nobody knows is not told as this run's.
        """
        before = self._before
        if before is None:
            return Usage()
        return Usage(
            _less(whole.input_tokens, before.input_tokens),
            _less(whole.output_tokens, before.output_tokens),
            _less(whole.cached_tokens, before.cached_tokens),
            _less(whole.cost_usd, before.cost_usd),
            _less(whole.cache_write_tokens, before.cache_write_tokens),
        )

    def denied(self, what: str, *, waits: bool = False, stops: bool = False) -> None:
        """It may not do ``what``. ``waits`` for an answer, or ``stops`` for good."""
        if what not in self._denied and len(self._denied) < _KEPT_DENIALS:
            self._denied.append(what)
        self._blocked = self._blocked or stops or waits
        self._tell(PermissionAsked(what, waits))

    def limited(
        self,
        message: str = "",
        *,
        retry_after: float | None = None,
        resets_at: float | None = None,
    ) -> None:
        """The backend limits it, and it goes on."""
        self._resets_at = self._resets_at if resets_at is None else resets_at
        self._tell(RateLimited(retry_after, resets_at, message))

    def retrying(
        self, delay: float | None, message: str = "", fields: ErrorFields | None = None
    ) -> None:
        """It tries again by itself; ``fields`` say why, where that is known."""
        failure = None if fields is None else self.named(fields)
        if failure is not None and failure.cause is FailureCause.UNKNOWN:
            failure = None
        self._failure = failure or self._failure
        if failure is not None and failure.cause is FailureCause.RATE_LIMIT:
            self.limited(
                failure.message,
                retry_after=delay
                if failure.retry_after is None
                else failure.retry_after,
                resets_at=failure.resets_at,
            )
        if failure is not None and failure.cause.category is FailureCategory.PERMANENT:
            self._refusals += 1
            if self.renews_login and self._refusals == 1:
                failure = None
        self._tell(RetryAnnounced(delay, message, failure))

    def failed(self, fields: ErrorFields) -> None:
        """An error that may be its last, unless it gets on."""
        self._failure = self.named(fields)

    def ended(self, *, success: bool, fields: ErrorFields | None = None) -> None:
        """The terminal record. A later one replaces it."""
        self._complete, self._success = True, success
        self._open.clear()
        if success:
            self._failure = None
        elif fields is not None:
            named = self.named(fields)
            # "Turn failed" alone knows less than the error that stood before it.
            if named.cause is not FailureCause.UNKNOWN or self._failure is None:
                self._failure = named
        self._tell(TerminalRecordSeen(success))

    def unknown(self, record: Record) -> None:
        """A record of a kind that nobody knows: kept as evidence, taken for progress."""
        name = self.kind(record)[: presets.JUDGED_HEAD_CHARS] or "without a type"
        if name not in self._unknown and len(self._unknown) < _KEPT_NAMES:
            self._unknown.append(name)
        self._moved = True

    def named(self, fields: ErrorFields) -> Failure:
        """The failure in an error record."""
        now = None if self._epoch is None else self._epoch()
        failure = failure_of(fields, now_epoch=now)
        if failure.cause in _LIMITED and self._resets_at is not None:
            # A field of a limit's own record is more exact than "resets 3pm".
            return evolve(failure, resets_at=self._resets_at)
        return failure

    # --- within ---------------------------------------------------------------------------

    def _read(self, record: Record) -> None:
        try:
            method = self.kinds.get(self.kind(record))
            if method is None:
                self.unknown(record)
            elif method:
                getattr(self, method)(record)
        except Exception:  # noqa: BLE001 - a record of a strange shape ends no agent
            self.unknown(record)
        self._flush()

    def _flush(self) -> None:
        events, self._events = self._events, []
        for event in events:
            self._report(event)

    def _tell(self, event: AgentEvent) -> None:
        self._events.append(event)

    def _keep(self, text: str) -> None:
        self._size += len(text)
        if self._size > self._limit:
            self._is_cut = True
        else:
            self._answer.append(text)


_Number = TypeVar("_Number", int, float)


def _less(whole: _Number | None, part: _Number | None) -> _Number | None:
    return whole if whole is None or part is None else max(whole - part, whole * 0)
