"""Which format a text is a stream of, told by its records.

For whoever has a transcript and not its tool. The records of each format have marks
that those of no other have; a text that only quotes one is no stream.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from muster.infrastructure.adapters.local_process.stream_formats.record_lines import (
    Record,
    read_records,
)

_LOOKED_AT: Final = 200  # lines: the first ones tell
_CLAUDE: Final = "claude_stream_json"
_QWEN: Final = "qwen_stream_json"


def recognised(text: str) -> str | None:
    """The format, by its name in `OUTPUTS`; None where it is none or can't be told.

    Its records must begin the text, or be at least half of its lines.
    """
    if '"type"' not in text:
        return None
    found: Counter[str] = Counter()
    begins, lines = False, 0
    for line in text.removeprefix("\ufeff").split("\n", _LOOKED_AT)[:_LOOKED_AT]:
        if not line.strip():
            continue
        lines += 1
        name = _of_line(line)
        found.update(filter(None, (name,)))
        begins = begins or (lines == 1 and name is not None)
    if not found:
        return None
    if _QWEN in found:
        # Only its first record has more than claude's.
        found[_QWEN] += found.pop(_CLAUDE, 0)
    (best, count), *_ = found.most_common(1)
    return best if (begins and count > 1) or 2 * count >= lines else None


def _of_line(line: str) -> str | None:
    if not line.startswith("{"):
        return None
    records, _ = read_records(line)
    return next(filter(None, map(_of_record, records)), None)


def _of_record(record: Record) -> str | None:
    kind = record.get("type")
    if not isinstance(kind, str):
        return None
    return next((name for name, fits in _MARKS.items() if fits(kind, record)), None)


def _is_claude(kind: str, record: Record) -> bool:
    return kind in _OF_CLAUDE and "session_id" in record and "uuid" in record


def _is_qwen(kind: str, record: Record) -> bool:
    return _is_claude(kind, record) and "qwen_code_version" in record


def _is_codex(kind: str, record: Record) -> bool:
    if kind == "error":
        return set(record) == {"type", "message"}
    return kind in _ALONE or (kind.startswith("item.") and "item" in record)


def _is_opencode(kind: str, record: Record) -> bool:
    return "sessionID" in record and "timestamp" in record and kind != "result"


def _is_copilot(kind: str, record: Record) -> bool:
    if kind == "result":
        return "sessionId" in record and "exitCode" in record
    return "." in kind and {"data", "id", "timestamp"} <= set(record)


def _is_gemini(kind: str, record: Record) -> bool:
    needed = _OF_GEMINI.get(kind)
    return needed is not None and needed in record and "timestamp" in record


_OF_CLAUDE: Final = frozenset(
    ("system", "assistant", "user", "stream_event", "rate_limit_event", "result")
)
_ALONE: Final = frozenset(
    ("thread.started", "turn.started", "turn.completed", "turn.failed")
)
_OF_GEMINI: Final[Mapping[str, str]] = {
    "init": "session_id",
    "message": "role",
    "tool_use": "tool_id",
    "tool_result": "tool_id",
    "error": "severity",
    "result": "status",
}
_MARKS: Final[Mapping[str, Callable[[str, Record], bool]]] = {
    _QWEN: _is_qwen,
    _CLAUDE: _is_claude,
    "codex_json": _is_codex,
    "opencode_json": _is_opencode,
    "copilot_json": _is_copilot,
    "gemini_stream_json": _is_gemini,
}
