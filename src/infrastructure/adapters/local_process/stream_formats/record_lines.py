"""JSON records out of a byte stream, one a line, whatever else stands between them."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from muster.domain import presets

Record = dict[str, Any]

_KEPT_LINES: Final = 40  # of what is no record
_DECODER: Final = json.JSONDecoder(strict=False)


class RecordLines:
    """Feeds on bytes cut anywhere and gives the records of whole lines.

    Bytes that are no UTF-8 become U+FFFD. A line of more than ``limit`` bytes is
    dropped and counted in ``dropped``. What is no record is kept in `unread`, bounded.
    """

    __slots__ = ("_is_overlong", "_limit", "_pieces", "_size", "_unread", "dropped")

    def __init__(self, limit: int = presets.MAX_RECORD_BYTES) -> None:
        self._limit = limit
        # Joined when the line is whole: adding each piece of a long line to what is
        # there would copy it a thousand times.
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_overlong = False
        self._unread: deque[str] = deque(maxlen=_KEPT_LINES)
        self.dropped = 0

    @property
    def unread(self) -> str:
        """The last lines that were no record."""
        return "\n".join(self._unread)

    def feed(self, data: bytes | memoryview) -> Iterator[Record]:
        """The records that ``data`` completes, in order."""
        first, *whole = bytes(data).split(b"\n")
        self._keep(first)
        if not whole:
            return
        yield from self._read(self._taken())
        for line in whole[:-1]:
            yield from self._read(line)
        self._keep(whole[-1])

    def finish(self) -> Iterator[Record]:
        """The last one, where the stream did not end with a line end."""
        yield from self._read(self._taken())

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            self._is_overlong = True
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _taken(self) -> bytes:
        line = b"".join(self._pieces)
        if self._is_overlong:
            self.dropped += 1
        self._pieces.clear()
        self._size = 0
        self._is_overlong = False
        return line

    def _read(self, line: bytes) -> Iterator[Record]:
        line = line.strip()
        if not line:
            return
        text = line.decode("utf-8", "replace").removeprefix("\ufeff")
        records, rest = read_records(text)
        yield from records
        if rest:
            self._unread.append(rest[-presets.JUDGED_LINE_CHARS :])


def read_records(text: str) -> tuple[list[Record], str]:
    """The JSON objects of one line, and what is left of it.

    Several may stand behind one another. What stands before the first counts only
    if the rest of the line is whole: in a line that lost its beginning, the first
    brace opens something inside a record.
    """
    start = text.find("{")
    if start < 0:
        return [], text
    records, end = _objects(text, start)
    rest = text[end:].strip()
    if start and rest:
        return [], text
    return records, f"{text[:start]}{rest}".strip()


def _objects(text: str, start: int) -> tuple[list[Record], int]:
    records: list[Record] = []
    while start < len(text) and text[start] == "{":
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            break
        records.append(value)
        start = end
        while start < len(text) and text[start].isspace():
            start += 1
    return records, start
