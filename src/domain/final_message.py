"""The error text that a finished program's output ends with.

Plain text: the newest line that reports an error with the lines that belong to
it, past stack frames, boxes and footers. Streams of JSON lines: the last record
that says error, by the keys that such records have in common, never by tool.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from muster.domain import presets
from muster.domain.classification_line import folded, has_marker, is_benign
from muster.domain.retry_notice import announced_delay

_MAX_BLOCK_LINES: Final = 24
_MAX_LINES: Final = 400
_MAX_DEPTH: Final = 6

_FRAME: Final = re.compile(
    r"\s*(?:at (?:async )?\S+.*[):\d>]( \{)?$|at \S+$|File \"|\d{1,3}: (?:0x|\w+::)|#\d+ |[╭╰├─│┌└━┃]{2}"
    r"|[│┃|] *(?:❱|\d+|[│┃╭╰─]|\w+ = )|\^+$|~+\^|\.{3}$|node:internal|Node\.js v|Bun v"
    r"|stack backtrace|note: run with|Traceback \(|During handling of|The above exception)"
)
_CLOSING: Final = re.compile(r"[\s\[\]{}(),;:.\"'│┃╭╮╰╯─━=*#^~-]*$")
# Advice, not the log of a deed: "Check your key" but not "Checking the key".
_ADVICE: Final = re.compile(
    r"\W{0,3}(?:(?:please|see|visit|hint|note|tip|learn more|read more|how to fix)\b"
    r"|for (?:more|details|help)\b|to (?:fix|resolve|proceed|continue)\b|if (?:this|you|it)\b"
    r"|(?:try|check) (?:again|your|the|that|whether|running|with|['`-])|more info|you can\b"
    r"|request[- _]id|https?://|usage:|run ['`/])",
    re.IGNORECASE,
)
_BOX: Final = re.compile(r"^\s*[│┃] ?(.*?) ?[│┃]?\s*$")


@frozen
class Message:
    """An error text with its white space folded; ``start`` in characters of the stream.

    ``details`` are the machine-readable words beside it: types, codes, states.
    ``firm`` is False where no word of the text itself marks an error.
    """

    text: str
    start: int
    details: str = ""
    firm: bool = True


# --- plain text ---------------------------------------------------------------


@frozen
class _Line:
    start: int
    raw: str
    clean: str

    @property
    def is_frame(self) -> bool:
        return is_frame(self.raw)

    @property
    def is_indented(self) -> bool:
        return self.raw[:1].isspace()

    @property
    def is_empty(self) -> bool:
        return bool(_CLOSING.match(self.clean))


def plain(text: str, *, retries: bool = True) -> Iterator[Message]:
    """Error texts in ``text``, newest first: each line, with its block where it opens one.

    The line that opens a paragraph's error comes before the lines below it.
    Announcements of a retry come after everything else, and only with
    ``retries``: they say why the program waited, seldom why it ended.
    """
    lines = _lines(text)
    waiting: list[Message] = []
    inner: list[Message] = []
    for index in reversed(range(len(lines))):
        line = lines[index]
        if line.clean == "":
            yield from inner
            inner.clear()
        if line.is_frame or line.is_empty or is_benign(line.clean):
            continue
        message = _block(lines, index)
        if announced_delay(line.clean) is not None:
            waiting += [message, *inner]
            inner.clear()
        elif message.firm and not line.is_indented:
            yield message
            yield from inner
            inner.clear()
        else:
            inner.append(message)
    yield from inner
    if retries:
        yield from waiting


def last_line(text: str) -> str:
    """The last line that says something: an error's if there is one, else any."""
    lines = [each for each in _lines(text) if not each.is_frame and not each.is_empty]
    for line in reversed(lines):
        if has_marker(line.clean) and not is_benign(line.clean):
            return line.clean
    return lines[-1].clean if lines else ""


def _lines(text: str) -> list[_Line]:
    # Blank lines at the end must not use up the lines that are looked at.
    tail = text[: len(text.rstrip())][-presets.FINAL_TEXT_CHARS :]
    kept = tail.rsplit("\n", _MAX_LINES)[-_MAX_LINES:]
    start = len(text.rstrip()) - sum(len(raw) + 1 for raw in kept) + 1
    lines = []
    for raw in kept:
        box = _BOX.match(raw[: presets.JUDGED_LINE_CHARS])
        lines.append(_Line(start, raw, folded(box[1] if box else raw)))
        start += len(raw) + 1
    return _without_quotations(lines)


def _without_quotations(lines: list[_Line]) -> list[_Line]:
    """Drops fenced blocks: what an agent shows, not what befell it."""
    fences = [i for i, line in enumerate(lines) if line.clean.startswith("```")]
    for opening, closing in reversed(
        list(zip(fences[::2], fences[1::2], strict=False))
    ):
        del lines[opening : closing + 1]
    return lines


def _block(lines: list[_Line], index: int) -> Message:
    head = lines[index]
    firm = has_marker(head.clean)
    parts = [head.clean]
    for line in lines[index + 1 : index + _MAX_BLOCK_LINES]:
        if line.clean == "" or (line.is_frame and not firm):
            break
        if not line.is_frame and not line.is_empty:
            if has_marker(line.clean) and not line.is_indented:
                break
            if is_benign(line.clean) or announced_delay(line.clean) is not None:
                break
            parts.append(line.clean)
    text = " ".join(parts)[: presets.JUDGED_LINE_CHARS]
    return Message(_unfolded(text), head.start, firm=firm)


def is_continuation(line: str) -> bool:
    """Whether a raw line only continues an error report that stands above it.

    Blank and indented lines, stack frames, closing braces, advice, and further
    errors, named or not.
    """
    if not line or line[0].isspace() or is_frame(line):
        return True
    clean = folded(line)
    if _CLOSING.match(clean) or _ADVICE.match(clean):
        return True
    return has_marker(clean) and not is_benign(clean)


def is_frame(line: str) -> bool:
    """Whether a raw line is part of a stack trace, a box or a tool's footer."""
    return bool(_FRAME.match(line))


# --- structured streams ---------------------------------------------------------

_SAYS_ERROR: Final = re.compile(
    r"(?:^|[._-])(?:error|failed|failure|errored|aborted|exception)$|^error",
    re.IGNORECASE,
)
_PROGRESS: Final = re.compile(
    r"retry|tool|item|delta|stream_event|^user|^assistant|message_|warning|notice|step",
    re.IGNORECASE,
)
_SUCCESS: Final = re.compile(
    r"^(?:success|succeeded|ok|completed|complete|done)$", re.IGNORECASE
)
_TERMINAL: Final = re.compile(
    r"^(?:result|turn|session|run|thread|response|agent|final|task|done|end)\b",
    re.IGNORECASE,
)
_WORDING_KEYS: Final = (
    "message", "error", "errors", "result", "error_message", "errorMessage", "detail",
    "details", "error_description", "reason", "msg", "title", "data", "cause", "text",
    "description", "exception",
)  # fmt: skip
_DETAIL_KEYS: Final = (
    "type", "name", "code", "status", "statusCode", "status_code", "errorType", "error_type",
    "subtype", "api_error", "api_error_type", "api_error_status", "reason", "responseBody",
    "response_body", "body", "errno", "retry_after", "retryAfter", "resetsAt", "http_status",
)  # fmt: skip
_STATUS_KEYS: Final = frozenset(
    ("code", "status", "statusCode", "status_code", "api_error_status", "http_status")
)


def structured(text: str) -> Message | None:
    """The error that a stream of JSON records, or a JSON document at the end, ends with.

    None where there is no such record, or where a later one says success.
    """
    nameless: Message | None = None
    for start, record in _records(text):
        state = _state(record)
        if state == "success":
            break
        if state == "error":
            message = _message_of(record, start)
            if message.text:
                return message
            nameless = nameless or message
    return nameless


def succeeded(text: str) -> bool:
    """Whether the last record of a structured stream that judges says success."""
    states = (_state(record) for _, record in _records(text))
    return next((state for state in states if state), "") == "success"


def _records(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """JSON objects of ``text``, last first: one per line, else one that ends the text."""
    skipped = max(0, len(text) - presets.FINAL_TEXT_CHARS)
    tail = text[skipped:]
    if not _is_structured(tail):
        yield from _closing_document(tail, skipped)
        return
    end = len(tail)
    while end > 0:
        begin = tail.rfind("\n", 0, end) + 1
        record = _object(tail[begin:end])
        if record is not None:
            yield skipped + begin, record
        end = begin - 1


def _is_structured(tail: str) -> bool:
    """Whether records, by their brackets, are not fewer than other lines.

    An answer that quotes a record is none.
    """
    balance = 0
    for line in tail.split("\n"):
        if line.strip():
            balance += 1 if line.startswith("{") and line.rstrip().endswith("}") else -1
    return balance >= 0 and "{" in tail


def _closing_document(
    tail: str, skipped: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    begin = tail.rfind("\n{") + 1
    record = _object(tail[begin:])
    if record is not None:
        yield skipped + begin, record


def _object(text: str) -> Mapping[str, Any] | None:
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _state(record: Mapping[str, Any]) -> str:
    """ "error", "success", or "" for a record that judges nothing."""
    kinds = [str(record.get(key) or "") for key in ("type", "event", "kind", "subtype")]
    if any(map(_PROGRESS.search, kinds[:3])) or "retry" in kinds[3]:
        return ""
    if record.get("is_error") is True or _complains(record, kinds):
        return "" if _announces_retry(record) else "error"
    ended = any(map(_TERMINAL.match, kinds[:3]))
    good = record.get("is_error") is False or any(
        _SUCCESS.search(word.rpartition(".")[2])
        for word in (*kinds, str(record.get("status") or ""))
    )
    return "success" if ended and good else ""


def _complains(record: Mapping[str, Any], kinds: list[str]) -> bool:
    words = (*kinds, str(record.get("status") or ""))
    levels = (str(record.get(key) or "").lower() for key in ("level", "severity"))
    if any(map(_SAYS_ERROR.search, words)) or any(
        level in ("error", "fatal") for level in levels
    ):
        return True
    exit_code = record.get("exitCode", record.get("exit_code"))
    if any(map(_TERMINAL.match, kinds[:3])) and exit_code not in (None, 0):
        return True
    return bool(record.get("error")) and record.get("error") not in (0, "0", "none")


def _announces_retry(record: Mapping[str, Any]) -> bool:
    message = record.get("message")
    return isinstance(message, str) and announced_delay(message[:500]) is not None


def _message_of(record: Mapping[str, Any], start: int) -> Message:
    wording: list[str] = []
    details: list[str] = []
    _gather(record, wording, details, 0)
    text = folded(": ".join(dict.fromkeys(wording)))
    return Message(_unfolded(text), start, folded(" ".join(dict.fromkeys(details))))


def _gather(value: Any, wording: list[str], details: list[str], depth: int) -> None:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        wording.append(value)
    elif isinstance(value, list):
        for each in value[:_MAX_DEPTH]:
            _gather(each, wording, details, depth + 1)
    elif isinstance(value, Mapping):
        for key in filter(value.get, _WORDING_KEYS):
            _gather(value[key], wording, details, depth + 1)
        for key in filter(value.get, _DETAIL_KEYS):
            details += _detail(key, value[key])


def _detail(key: str, value: Any) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return []
    if key in _STATUS_KEYS and str(value).isdigit():
        return [f"status {value}"]
    return [value if isinstance(value, str) else f"{key}: {value}"]


def _unfolded(text: str) -> str:
    """``text`` with the wording of a JSON error inside it in the place of its source."""
    begin = text.find("{")
    if begin < 0 or '"' not in text[begin:]:
        return text
    try:
        value, end = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError):
        return text
    inner = _message_of(value, 0) if isinstance(value, dict) else None
    if inner is None or not inner.text:
        return text
    return f"{text[:begin]}{inner.text} ({inner.details}){text[end:]}"
