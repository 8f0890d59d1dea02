"""``qwen --output-format stream-json``: claude's records, with words of its own."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from muster.domain.outcome import Usage
from muster.domain.structured_error import ErrorFields
from muster.infrastructure.adapters.local_process.stream_formats.claude import (
    ClaudeStream,
)
from muster.infrastructure.adapters.local_process.stream_formats.fields import (
    at,
    count_at,
    error_fields,
    fresh,
    number_at,
    text_at,
)
from muster.infrastructure.adapters.local_process.stream_formats.record_lines import (
    Record,
)

_MILLISECONDS: Final = 1000.0


class QwenStream(ClaudeStream):
    """Terminal record: ``result``; why it failed stands in its ``error``."""

    systems: ClassVar[Mapping[str, str]] = {**ClaudeStream.systems, "retry": "_retry"}

    def _retry(self, record: Record) -> None:
        # Why it tries again is said on stderr only.
        delay = number_at(record, "data", "delayMs")
        attempt = number_at(record, "data", "attempt")
        if not at(record, "data", "preserveText"):
            self.new_message()
        count = "" if attempt is None else f" (attempt {attempt:.0f})"
        seconds = None if delay is None else delay / _MILLISECONDS
        self.retrying(seconds, f"{text_at(record, 'data', 'reason')}{count}")

    def counted(self, used: Mapping[str, Any]) -> Usage:
        """See `ClaudeStream`; what came from a cache is counted as read here, too."""
        cached = count_at(used, "cache_read_input_tokens")
        read = count_at(used, "input_tokens")
        return Usage(fresh(read, cached), count_at(used, "output_tokens"), cached)

    def _fields(self, record: Record, text: str) -> ErrorFields:
        said = at(record, "error")
        if not said:
            return super()._fields(record, text)
        return error_fields(said, codes=(text_at(record, "subtype"),))
