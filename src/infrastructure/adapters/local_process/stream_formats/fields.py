"""Reading fields of records that anybody may have written: never a surprise, only None."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from muster.domain import presets
from muster.domain.structured_error import ErrorFields
from muster.infrastructure.adapters.local_process.stream_formats.record_lines import (
    read_records,
)

_NOTHING: Final[Mapping[str, Any]] = {}
_WORDING: Final = (
    "message", "error", "errors", "result", "detail", "details", "error_description",
    "data", "cause", "reason", "title", "description",
)  # fmt: skip
_CODES: Final = (
    "type", "name", "code", "status", "errorType", "error_type", "errorCode", "error_code",
    "api_error", "api_error_type", "terminal_reason", "subtype", "reason",
)  # fmt: skip
_STATUSES: Final = (
    "status", "statusCode", "status_code", "api_error_status", "error_status", "code",
    "http_status", "httpStatus",
)  # fmt: skip
_HTTP: Final = range(400, 600)


def at(record: Any, *path: str | int) -> Any:
    """What stands at ``path``, or None."""
    for key in path:
        if isinstance(record, Mapping):
            record = record.get(key)
        elif isinstance(record, list) and isinstance(key, int):
            record = record[key] if -len(record) <= key < len(record) else None
        else:
            return None
    return record


def text_at(record: Any, *path: str | int) -> str:
    """The text there, or ""; always encodable."""
    value = at(record, *path)
    return clean(value) if isinstance(value, str) else ""


def number_at(record: Any, *path: str | int) -> float | None:
    """The finite number there, or None. Booleans are none."""
    value = at(record, *path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def count_at(record: Any, *path: str | int) -> int | None:
    """The whole number there, if it counts something, or None."""
    number = number_at(record, *path)
    return None if number is None or number < 0 else int(number)


def fresh(read: int | None, cached: int | None) -> int | None:
    """What was not read from a cache, where ``read`` counts both."""
    return None if read is None else max(0, read - (cached or 0))


def mapping_at(record: Any, *path: str | int) -> Mapping[str, Any]:
    """The table there, or an empty one."""
    value = at(record, *path)
    return value if isinstance(value, Mapping) else _NOTHING


def list_at(record: Any, *path: str | int) -> Sequence[Any]:
    """The list there, or an empty one."""
    value = at(record, *path)
    return value if isinstance(value, list) else ()


def clean(text: str) -> str:
    """``text`` with U+FFFD for lone surrogates, which JSON can spell and nobody can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def error_fields(
    value: Any,
    *,
    status: float | None = None,
    codes: tuple[str, ...] = (),
    retry_after: float | None = None,
    resets_at: float | None = None,
) -> ErrorFields:
    """What an error, a text or a table as deep as anybody likes, has to say.

    Known fields are handed over by the caller; the rest is gathered by the keys that
    error records have in common.
    """
    found = _Gathered()
    found.gather(value, 0)
    known = found.status if status is None else int(status)
    return ErrorFields(
        message=": ".join(dict.fromkeys(found.wording)),
        status=known,
        codes=tuple(dict.fromkeys((*filter(None, codes), *found.codes))),
        retry_after=retry_after,
        resets_at=resets_at,
    )


class _Gathered:
    def __init__(self) -> None:
        self.wording: list[str] = []
        self.codes: list[str] = []
        self.status: int | None = None

    def gather(self, value: Any, depth: int) -> None:
        if depth > presets.MAX_RECORD_DEPTH:
            return
        if isinstance(value, str):
            self._take_text(value, depth)
        elif isinstance(value, list):
            for each in value[: presets.MAX_RECORD_DEPTH]:
                self.gather(each, depth + 1)
        elif isinstance(value, Mapping):
            self._take_table(value, depth)

    def _take_text(self, value: str, depth: int) -> None:
        # Some print the JSON of the backend's answer as their message.
        text = clean(value[: presets.FINAL_TEXT_CHARS])
        records, rest = read_records(text) if '"' in text else ([], text)
        if rest:
            self.wording.append(rest)
        for record in records:
            self.gather(record, depth + 1)

    def _take_table(self, value: Mapping[str, Any], depth: int) -> None:
        for key in _CODES:
            word = value.get(key)
            if isinstance(word, str) and word:
                self.codes.append(clean(word))
        for key in _STATUSES:
            number = number_at(value, key)
            if self.status is None and number is not None and int(number) in _HTTP:
                self.status = int(number)
        for key in _WORDING:
            if value.get(key):
                self.gather(value[key], depth + 1)
