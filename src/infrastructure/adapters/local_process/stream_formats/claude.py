"""``claude -p --output-format stream-json --verbose [--include-partial-messages]``."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from attrs import evolve

from muster.domain.outcome import Usage
from muster.domain.structured_error import ErrorFields
from muster.infrastructure.adapters.local_process.stream_formats.fields import (
    at,
    count_at,
    error_fields,
    list_at,
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

_SYNTHETIC: Final = "<synthetic>"  # what claude says itself, in an answer's place
# "api_error" as the reason of an end only says that there is an error elsewhere.
_SAY_NOTHING: Final = frozenset(("success", "unknown", "api_error", "completed"))
_MILLISECONDS: Final = 1000.0
_OPEN_MESSAGES: Final = 16
_NO_LOGIN_TO_RENEW: Final = frozenset(("", "none", "oauth"))
_WAITING: Final = frozenset(("allowed", "allowed_warning"))


class ClaudeStream(StreamParser):
    """Terminal record: ``result``; an API error there is a "success" with ``is_error``."""

    kinds: ClassVar[Mapping[str, str]] = {
        "system": "_system",
        "assistant": "_assistant",
        "user": "_user",
        "stream_event": "_stream_event",
        "rate_limit_event": "_rate_limit",
        "result": "_result",
        "tool_progress": "_progress",
        "auth_status": "",
        "keep_alive": "",
        "control_request": "_control_request",
    }
    systems: ClassVar[Mapping[str, str]] = {
        "init": "_init",
        "api_retry": "_api_retry",
        "permission_denied": "_permission_denied",
        "model_fallback": "_model_fallback",
        "status": "",
        "informational": "",
        "ui_invalidate": "",
        "hook_started": "",
        "hook_response": "",
    }

    def __init__(self, report: Report, **options: Any) -> None:
        super().__init__(report, **options)
        self._shown = ""  # the message whose deltas are being told
        self._used: dict[str, Usage] = {}
        self._over = Usage()  # what older messages used

    # --- the conversation ----------------------------------------------------------------

    def _system(self, record: Record) -> None:
        self.session(text_at(record, "session_id"))
        method = self.systems.get(text_at(record, "subtype"))
        if method is None:
            # Tasks, hooks and compactions by names that change: the agent is at work.
            self.progress()
        elif method:
            getattr(self, method)(record)

    def _init(self, record: Record) -> None:
        self.renews_login = (
            text_at(record, "apiKeySource").lower() in _NO_LOGIN_TO_RENEW
        )
        self.model(text_at(record, "model"))

    def _model_fallback(self, record: Record) -> None:
        self.model(text_at(record, "fallback_model"))

    def _assistant(self, record: Record) -> None:
        message = mapping_at(record, "message")
        model = text_at(message, "model")
        if model == _SYNTHETIC:
            # An error in the place of an answer; the result repeats it with its fields.
            if at(record, "error") or at(record, "isApiErrorMessage"):
                self.failed(self._fields(record, _text_of(message)))
            return
        self.model(model)
        self._add_usage(message)
        is_own = not at(record, "parent_tool_use_id")
        for block in list_at(message, "content"):
            self._block(block, message, is_own=is_own)
        self.progress()

    def _block(self, block: Any, message: Any, *, is_own: bool) -> None:
        kind = text_at(block, "type")
        if kind in ("tool_use", "server_tool_use"):
            self.opened(text_at(block, "id"), text_at(block, "name"))
        elif kind == "text" and is_own:
            # Another block of the same message may have come before it.
            shown = bool(self._shown) and self._shown == text_at(message, "id")
            self.message(text_at(block, "text"), shown=shown)

    def _user(self, record: Record) -> None:
        for block in list_at(record, "message", "content"):
            if text_at(block, "type") == "tool_result":
                self.closed(text_at(block, "tool_use_id"))

    def _stream_event(self, record: Record) -> None:
        event = mapping_at(record, "event")
        kind = text_at(event, "type")
        if kind == "ping" or at(record, "parent_tool_use_id"):
            return self._progress(record) if kind != "ping" else None
        if kind == "message_start":
            self._shown = text_at(event, "message", "id")
            self.model(text_at(event, "message", "model"))
        elif kind == "content_block_start":
            if text_at(event, "content_block", "type") == "text":
                self.new_message()
        elif kind == "content_block_delta":
            self.delta(text_at(event, "delta", "text"))
        elif kind == "message_delta":
            self._correct(event)
        self.progress()
        return None

    def _correct(self, event: Mapping[str, Any]) -> None:
        # The message itself counts what was written when it began.
        written = count_at(event, "usage", "output_tokens")
        used = self._used.get(self._shown)
        if used is not None and written is not None:
            self._used[self._shown] = evolve(used, output_tokens=written)
            self._tell_used()

    def _progress(self, record: Record) -> None:
        self.progress()

    def _add_usage(self, message: Mapping[str, Any]) -> None:
        used = self.counted(mapping_at(message, "usage"))
        self._used[text_at(message, "id")] = used
        if len(self._used) > _OPEN_MESSAGES:
            oldest = self._used.pop(next(iter(self._used)))
            self._over += oldest
        self._tell_used()

    def _tell_used(self) -> None:
        # By message: what one used may still be corrected.
        total = self._over
        for each in self._used.values():
            total += each
        self.usage(total)

    def counted(self, used: Mapping[str, Any]) -> Usage:
        """The tokens of a table of counts."""
        return _usage(used)

    # --- trouble -----------------------------------------------------------------------------

    def _api_retry(self, record: Record) -> None:
        delay = number_at(record, "retry_delay_ms")
        status = number_at(record, "error_status")
        code = text_at(record, "error")
        message = text_at(record, "message") or f"{code} (status {status})"
        fields = ErrorFields(
            message=text_at(record, "message"),
            status=None if status is None else int(status),
            codes=() if code == "unknown" else (code,),
        )
        seconds = None if delay is None else delay / _MILLISECONDS
        self.retrying(seconds, message, fields)

    def _rate_limit(self, record: Record) -> None:
        info = mapping_at(record, "rate_limit_info")
        if text_at(info, "status") in _WAITING:
            return
        kind = text_at(info, "rateLimitType")
        self.limited(f"usage limit {kind}".strip(), resets_at=_moment(info))

    def _permission_denied(self, record: Record) -> None:
        name = text_at(record, "tool_name")
        self.denied(f"{name}: {text_at(record, 'message')}".strip(": "))

    def _control_request(self, record: Record) -> None:
        if text_at(record, "request", "subtype") == "can_use_tool":
            self.denied(text_at(record, "request", "tool_name"), waits=True)

    # --- the end ---------------------------------------------------------------------------

    def _result(self, record: Record) -> None:
        self.session(text_at(record, "session_id"))
        self._total(record)
        for denial in list_at(record, "permission_denials"):
            self._note_denial(denial)
        text = text_at(record, "result")
        is_error = at(record, "is_error") is not False
        if is_error or text_at(record, "subtype") != "success":
            self.ended(success=False, fields=self._fields(record, text))
            return
        self.answer(text)
        self.ended(success=True)

    def _note_denial(self, denial: Any) -> None:
        name = text_at(denial, "tool_name")
        known = any(each.startswith(name) for each in self._denied)
        if name and not known:
            asked = text_at(denial, "tool_input", "command") or text_at(
                denial, "tool_input", "file_path"
            )
            self.denied(f"{name}: {asked}".strip(": "))

    def _total(self, record: Record) -> None:
        used = self.counted(mapping_at(record, "usage"))
        # Its tokens are those of this run; its sum is that of the whole session.
        # An attempt without any answer "costs" 0 by its own account.
        total = Usage(cost_usd=number_at(record, "total_cost_usd"))
        self.usage(evolve(used, cost_usd=self.since(total).cost_usd))
        for name in mapping_at(record, "modelUsage"):
            if isinstance(name, str):
                self.model(name)

    def _fields(self, record: Record, text: str) -> ErrorFields:
        reasons = [text_at(each) for each in list_at(record, "errors")]
        codes = (
            text_at(record, "api_error"),
            text_at(record, "terminal_reason"),
            text_at(record, "subtype"),
            text_at(record, "api_error_type"),
            text_at(record, "error"),
        )
        wording = ": ".join(filter(None, (text, *reasons)))
        return error_fields(
            wording,
            status=number_at(record, "api_error_status"),
            codes=tuple(code for code in codes if code not in _SAY_NOTHING),
        )


def _text_of(message: Mapping[str, Any]) -> str:
    blocks = (text_at(block, "text") for block in list_at(message, "content"))
    return " ".join(filter(None, blocks))


def _moment(info: Mapping[str, Any]) -> float | None:
    seconds = number_at(info, "resetsAt")
    return seconds if seconds and seconds > 0 else None


def _usage(used: Mapping[str, Any]) -> Usage:
    fresh = count_at(used, "input_tokens")
    written = count_at(used, "cache_creation_input_tokens") or 0
    return Usage(
        input_tokens=None if fresh is None else fresh + written,
        output_tokens=count_at(used, "output_tokens"),
        cached_tokens=count_at(used, "cache_read_input_tokens"),
        cache_write_tokens=count_at(used, "cache_creation_input_tokens"),
    )
