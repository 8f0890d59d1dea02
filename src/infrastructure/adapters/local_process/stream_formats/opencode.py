"""``opencode run --format json``: parts of messages, whole, when they are done.

There is no terminal record. A step that finishes for the reason "stop" is the end
of the work and an exit code of 0 proves it; a lingering process is not ended for
that, because a session that outgrew its context goes on after such a step.

Of its retries the stream says nothing: five, which take 77 s where a quota is spent,
and hours where the backend asks for them. Its log on stderr tells of each.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from muster.domain.outcome import Usage
from muster.domain.structured_error import ErrorFields
from muster.infrastructure.adapters.local_process.stream_formats.fields import (
    at,
    count_at,
    error_fields,
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

_OVER: Final = frozenset(("stop", "length"))
_MORE_TO_COME: Final = frozenset(("tool-calls", "tool_calls", "unknown", ""))
_REFUSED: Final = ("rejected permission", "permission to use", "denied permission",
                   "prevents you from using")  # fmt: skip
_ASKED: Final = ("command", "filePath", "url", "pattern", "path")
# A model's refusal, of the agent itself and not of what names the session ("small").
_REFUSAL: Final = re.compile(
    r"timestamp=\S+ level=ERROR .{0,400}?message=\"stream error\" "
    r".{0,1000}?session\.id=(?P<session>\S+) .{0,1000}?small=false "
    r".{0,1000}?error\.error=(?:\"(?P<why>(?:[^\"\\]|\\.)*)\"?|(?P<word>\S+))"
)
_CLASS: Final = re.compile(r"^AI_\w{1,60}: ")


class OpencodeStream(StreamParser):
    """The end: ``step_finish`` with the reason "stop", or ``error``."""

    has_log = True
    kinds: ClassVar[Mapping[str, str]] = {
        "step_start": "_step_start",
        "text": "_text",
        "reasoning": "_reasoning",
        "tool_use": "_tool_use",
        "step_finish": "_step_finish",
        "error": "_error",
    }

    def __init__(self, report: Report, **options: Any) -> None:
        super().__init__(report, **options)
        self._message_id = ""
        self._sum = Usage()

    def remark(self, line: str) -> None:
        """See `StreamParser`. What it doesn't retry ends in a record a moment later."""
        found = _REFUSAL.match(line)
        if found is None:
            return
        self.session(found["session"])
        why = (found["why"] or found["word"] or "").replace('\\"', '"')
        why = _CLASS.sub("", why)
        self.retrying(None, why, error_fields(why))

    def _step_start(self, record: Record) -> None:
        self.session(text_at(record, "sessionID"))
        # Whatever it had come to, it goes on. That is no progress yet: it says the
        # same each time that it tries again.
        self._complete = False

    def _text(self, record: Record) -> None:
        self.session(text_at(record, "sessionID"))
        text = text_at(record, "part", "text")
        message_id = text_at(record, "part", "messageID")
        if message_id and message_id == self._message_id:
            self.delta(text)
        else:
            self.message(text)
        self._message_id = message_id

    def _reasoning(self, record: Record) -> None:
        self.progress()

    def _tool_use(self, record: Record) -> None:
        # Told when the call is over, not when it begins.
        self.session(text_at(record, "sessionID"))
        call, name = text_at(record, "part", "callID"), text_at(record, "part", "tool")
        self.opened(call, name)
        self.closed(call)
        state = mapping_at(record, "part", "state")
        problem = text_at(state, "error").lower()
        if any(words in problem for words in _REFUSED):
            said = (text_at(state, "input", key) for key in _ASKED)
            self.denied(f"{name}: {next(filter(None, said), '')}".strip(": "))

    def _step_finish(self, record: Record) -> None:
        part = mapping_at(record, "part")
        self._add(part)
        reason = text_at(part, "reason")
        if reason in _OVER:
            self.progress()
            # Cut at the model's own limit, it is an answer still.
            self._is_cut = self._is_cut or reason == "length"
            self._complete = self._success = True
        elif reason in _MORE_TO_COME:
            self.progress()
        else:
            words = f"the step finished for the reason {reason}"
            self.failed(ErrorFields(words, codes=(reason.replace("-", "_"),)))
            self._complete, self._success = True, False

    def _error(self, record: Record) -> None:
        self.session(text_at(record, "sessionID"))
        error = mapping_at(record, "error")
        data = mapping_at(error, "data")
        said = at(data, "message") or at(error, "message") or record.get("error")
        body = at(data, "responseBody")
        wait = number_at(data, "responseHeaders", "retry-after")
        self.ended(
            success=False,
            fields=error_fields(
                [said, body, at(data, "metadata", "message")],
                status=number_at(data, "statusCode"),
                codes=(text_at(error, "name"), text_at(data, "metadata", "code")),
                retry_after=wait if wait is not None else _seconds(data),
            ),
        )

    def _add(self, part: Mapping[str, Any]) -> None:
        tokens = mapping_at(part, "tokens")
        new, kept = count_at(tokens, "input"), count_at(tokens, "cache", "write")
        cached, said = count_at(tokens, "cache", "read"), count_at(tokens, "output")
        read = None if new is None else new + (kept or 0)
        total = count_at(tokens, "total")
        if None not in (total, read, said):
            # Whether thoughts are among the output depends on the version.
            said = max(said or 0, (total or 0) - (read or 0) - (cached or 0))
        self._sum += Usage(
            input_tokens=read,
            output_tokens=said,
            cached_tokens=cached,
            # 0 is said of models whose price opencode doesn't know.
            cost_usd=number_at(part, "cost") or None,
            cache_write_tokens=kept,
        )
        self.usage(self._sum)


def _seconds(data: Mapping[str, Any]) -> float | None:
    said = text_at(data, "responseHeaders", "retry-after")
    return float(said) if said.isdecimal() and said.isascii() else None
