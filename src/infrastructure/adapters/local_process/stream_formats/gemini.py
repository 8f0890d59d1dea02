"""``gemini -o stream-json``.

The exit code is the HTTP status cut to eight bits, and 0 for much that failed: only
the terminal record tells. The text of an attempt that broke off is not withdrawn
when gemini tries again; nothing in the stream tells it from the answer. Its log on
stderr tells of retries: it sleeps for the hours that a backend asks for.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from muster.domain.outcome import Usage
from muster.infrastructure.adapters.local_process.stream_formats.fields import (
    at,
    count_at,
    error_fields,
    fresh,
    mapping_at,
    text_at,
)
from muster.infrastructure.adapters.local_process.stream_formats.parser import (
    StreamParser,
)
from muster.infrastructure.adapters.local_process.stream_formats.record_lines import (
    Record,
)

_ATTEMPT: Final = re.compile(
    r"Attempt \d{1,4} failed(?: with (?:status )?\d{3})?\W*(.*)"
)
# "Retrying after 1044ms...", "Retrying with backoff... the error".
_AGAIN: Final = re.compile(r"Retrying (?:after (\d{1,12})ms|with backoff)\W*(.*)")
_STATUS: Final = re.compile(r"^Attempt \d{1,4} failed with (?:status )?(\d{3})\b")
_REASON_LINES: Final = 4  # that a reason may be long


class GeminiStream(StreamParser):
    """Terminal record: ``result``, with a status and, not always, an error."""

    has_log = True
    kinds: ClassVar[Mapping[str, str]] = {
        "init": "_init",
        "message": "_message",
        "tool_use": "_tool_use",
        "tool_result": "_tool_result",
        "error": "_error",
        "result": "_result",
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reason: list[str] = []

    def remark(self, line: str) -> None:
        """See `StreamParser`."""
        if _ATTEMPT.match(line):
            self._reason = [line]
        elif self._reason:
            self._reason.append(line)
        again = _AGAIN.search(line) if self._reason else None
        if again is not None:
            self._announce(" ".join(self._reason), again)
            self._reason = []
        elif len(self._reason) >= _REASON_LINES:
            self._reason = []

    def _announce(self, said: str, again: re.Match[str]) -> None:
        delay = None if again[1] is None else int(again[1]) / 1000
        status = _STATUS.search(said)
        why = f"{said[: said.rfind(again[0])]} {again[2]}"
        attempt = _ATTEMPT.match(why)
        why = (attempt[1] if attempt else why).strip()
        fields = error_fields(why, status=None if status is None else float(status[1]))
        self.retrying(delay, said, fields)

    def _init(self, record: Record) -> None:
        self.session(text_at(record, "session_id"))
        self.model(text_at(record, "model"))

    def _message(self, record: Record) -> None:
        # The prompt comes back as a message of the user's.
        if text_at(record, "role") not in ("assistant", "model"):
            return
        text = text_at(record, "content")
        if at(record, "delta"):
            self.delta(text)
        else:
            self.message(text)

    def _tool_use(self, record: Record) -> None:
        self.opened(text_at(record, "tool_id"), text_at(record, "tool_name"))
        # What it said before was on the way; what it says after is the answer.
        self.new_message()

    def _tool_result(self, record: Record) -> None:
        self.closed(text_at(record, "tool_id"))

    def _error(self, record: Record) -> None:
        if text_at(record, "severity").lower() != "warning":
            self.failed(error_fields({**record, "type": ""}))

    def _result(self, record: Record) -> None:
        self._used(mapping_at(record, "stats"))
        if text_at(record, "status") == "success" and not at(record, "error"):
            self.ended(success=True)
            return
        error = record.get("error")
        self.ended(success=False, fields=error_fields(error) if error else None)

    def _used(self, stats: Mapping[str, object]) -> None:
        for name in mapping_at(stats, "models"):
            self.model(name)
        # A run that broke off counts nothing, though it was charged.
        total = count_at(stats, "total_tokens")
        if not total:
            return
        read, cached = count_at(stats, "input_tokens"), count_at(stats, "cached")
        written = count_at(stats, "output_tokens")
        if written is not None and read is not None:
            # Its thoughts, which cost as much, are counted in the total alone.
            written = max(written, total - read)
        self.usage(Usage(fresh(read, cached), written, cached))
