"""``codex exec --json``: threads, turns and items."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from muster.domain.outcome import Usage
from muster.infrastructure.adapters.local_process.stream_formats.fields import (
    clean,
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

# "Reconnecting... 2/5 (why)": why stands in the brackets.
_WHY: Final = re.compile(r"^[^(]{0,80}\((.*)\)\s*$", re.DOTALL)
_NOTICE: Final = re.compile(r"\W{0,3}(?:re-?connecting|re-?trying)\b", re.IGNORECASE)
_TALK: Final = frozenset(("agent_message", "assistant_message"))
_SILENT: Final = frozenset(("error", "reasoning", "todo_list"))


class CodexStream(StreamParser):
    """Terminal records: ``turn.completed``, ``turn.failed``."""

    kinds: ClassVar[Mapping[str, str]] = {
        "thread.started": "_thread",
        "turn.started": "",
        "item.started": "_item_started",
        "item.updated": "_item_updated",
        "item.completed": "_item_completed",
        "turn.completed": "_completed",
        "turn.failed": "_turn_failed",
        "error": "_error",
    }

    def _thread(self, record: Record) -> None:
        self.session(text_at(record, "thread_id"))

    def _item_started(self, record: Record) -> None:
        kind = text_at(record, "item", "type")
        if kind in _TALK or kind in _SILENT:
            self.progress()
        else:
            self.opened(text_at(record, "item", "id"), kind)

    def _item_updated(self, record: Record) -> None:
        self.progress()

    def _item_completed(self, record: Record) -> None:
        item = mapping_at(record, "item")
        kind = text_at(item, "type")
        if kind in _TALK:
            self.message(text_at(item, "text"))
        elif kind == "error":
            # Warnings about the configuration come as such items, and a turn goes on.
            return
        elif kind in _SILENT:
            self.progress()
        else:
            self._call_over(item, kind)

    def _call_over(self, item: Mapping[str, Any], kind: str) -> None:
        if text_at(item, "status") == "declined":
            self.denied(text_at(item, "command") or kind)
        self.closed(text_at(item, "id"))

    def _completed(self, record: Record) -> None:
        used = mapping_at(record, "usage")
        cached = count_at(used, "cached_input_tokens")
        whole = Usage(
            input_tokens=fresh(count_at(used, "input_tokens"), cached),
            output_tokens=count_at(used, "output_tokens"),
            cached_tokens=cached,
            cache_write_tokens=count_at(used, "cache_write_input_tokens"),
        )
        # It counts the whole thread each time.
        self.usage(self.since(whole))
        self.ended(success=True)

    def _turn_failed(self, record: Record) -> None:
        self.ended(success=False, fields=error_fields(record.get("error")))

    def _error(self, record: Record) -> None:
        message = record.get("message")
        text = clean(message) if isinstance(message, str) else ""
        why = _WHY.match(text)
        if _NOTICE.match(text):
            self.retrying(None, text, error_fields(why[1] if why else text))
        else:
            self.failed(error_fields({**record, "type": ""}))
