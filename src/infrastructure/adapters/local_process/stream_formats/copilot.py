"""``copilot --output-format json``: the events of a session, each with its ``data``."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from muster.domain.outcome import FailureCause, Usage
from muster.domain.structured_error import ErrorFields
from muster.infrastructure.adapters.local_process.stream_formats.fields import (
    at,
    count_at,
    error_fields,
    fresh,
    mapping_at,
    number_at,
    text_at,
)
from muster.infrastructure.adapters.local_process.stream_formats.parser import (
    Report,
    StreamParser,
)
from muster.infrastructure.adapters.local_process.stream_formats.record_lines import (
    Record,
)

_REFUSED: Final = ("permission", "denied", "rejected")
# Says which part of copilot noticed, not what is wrong.
_SAY_NOTHING: Final = frozenset(("query", "model_call", "unknown"))


class CopilotStream(StreamParser):
    """Terminal record: ``result`` with the exit code; why stands in ``session.error``."""

    kinds: ClassVar[Mapping[str, str]] = {
        "session.start": "_session",
        "session.error": "_session_error",
        "session.info": "",
        "session.warning": "",
        "session.skills_loaded": "",
        "session.mcp_servers_loaded": "",
        "session.tools_updated": "",
        "session.background_tasks_changed": "",
        "session.idle": "",
        "user.message": "",
        "assistant.turn_start": "",
        "assistant.turn_end": "",
        "assistant.turn_retry": "_turn_retry",
        "assistant.idle": "",
        "assistant.message_start": "",
        "assistant.message_delta": "_delta",
        "assistant.message": "_message",
        "assistant.reasoning": "_progress",
        "assistant.reasoning_delta": "_progress",
        "assistant.tool_call_delta": "_progress",
        "assistant.usage": "_usage_of_call",
        "model.call_start": "",
        "model.call_failure": "_call_failure",
        "model.call_finished": "",
        "model.call_final_result": "",
        "tool.execution_start": "_tool_start",
        "tool.execution_complete": "_tool_complete",
        "tool.execution_partial_result": "_progress",
        "tool.shell_output": "_progress",
        "result": "_result",
    }

    def __init__(self, report: Report, **options: Any) -> None:
        super().__init__(report, **options)
        self._shown = ""
        self._why: ErrorFields | None = None
        self._sum = Usage()

    def _session(self, record: Record) -> None:
        self.session(text_at(record, "data", "sessionId"))

    def _progress(self, record: Record) -> None:
        self.progress()

    # --- the conversation ----------------------------------------------------------------

    def _delta(self, record: Record) -> None:
        message_id = text_at(record, "data", "messageId")
        if message_id != self._shown:
            self.new_message()
            self._shown = message_id
        self.delta(text_at(record, "data", "deltaContent"))

    def _message(self, record: Record) -> None:
        data = mapping_at(record, "data")
        self.model(text_at(data, "model"))
        shown = bool(self._shown) and self._shown == text_at(data, "messageId")
        self.message(text_at(data, "content"), shown=shown)
        self.progress()

    def _tool_start(self, record: Record) -> None:
        data = mapping_at(record, "data")
        self.opened(text_at(data, "toolCallId"), text_at(data, "toolName"))

    def _tool_complete(self, record: Record) -> None:
        data = mapping_at(record, "data")
        self.closed(text_at(data, "toolCallId"))
        error = mapping_at(data, "error")
        problem = f"{text_at(error, 'code')} {text_at(error, 'message')}".lower()
        if at(data, "success") is False and any(word in problem for word in _REFUSED):
            name = text_at(data, "toolName") or "a tool"
            self.denied(f"{name}: {text_at(error, 'message')}".strip(": "))

    def _usage_of_call(self, record: Record) -> None:
        data = mapping_at(record, "data")
        self.model(text_at(data, "model"))
        cached = count_at(data, "cacheReadTokens")
        self._sum += Usage(
            input_tokens=fresh(count_at(data, "inputTokens"), cached),
            output_tokens=count_at(data, "outputTokens"),
            cached_tokens=cached,
            cache_write_tokens=count_at(data, "cacheWriteTokens"),
        )
        self.usage(self._sum)

    # --- trouble -----------------------------------------------------------------------------

    def _call_failure(self, record: Record) -> None:
        data = mapping_at(record, "data")
        self._why = error_fields(
            at(data, "errorMessage"),
            status=number_at(data, "statusCode"),
            codes=(text_at(data, "errorCode"),),
        )
        self.failed(self._why)

    def _turn_retry(self, record: Record) -> None:
        self.retrying(None, text_at(record, "data", "reason"), self._why)

    def _session_error(self, record: Record) -> None:
        data = mapping_at(record, "data")
        kind = text_at(data, "errorType")
        fields = error_fields(
            at(data, "message"),
            status=number_at(data, "statusCode"),
            codes=() if kind in _SAY_NOTHING else (kind, text_at(data, "errorCode")),
        )
        known = self._failure
        self.failed(fields)
        vague = self._failure is None or self._failure.cause is FailureCause.UNKNOWN
        if vague and known is not None:
            self._failure = known

    # --- the end ---------------------------------------------------------------------------

    def _result(self, record: Record) -> None:
        self.session(text_at(record, "sessionId"))
        self.ended(success=number_at(record, "exitCode") == 0)
