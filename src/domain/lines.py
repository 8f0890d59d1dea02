"""Cuts a byte stream into lines of text, however it arrives."""

import codecs

from muster.domain import presets


class LineSplitter:
    """Feeds on bytes cut anywhere and gives whole lines, without their ends.

    Undecodable bytes become U+FFFD; a line above the limit comes in pieces, so
    that what waits for its end is bounded.
    """

    __slots__ = ("_decode", "_limit", "_pieces", "_size")

    def __init__(self, limit: int = presets.MAX_LINE_BYTES) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._limit = limit
        # Joined when the line is whole: adding each byte of a long line to what is
        # there would copy it a million times.
        self._pieces: list[str] = []
        self._size = 0

    def feed(self, data: bytes | memoryview) -> list[str]:
        """The lines that ``data`` completes."""
        end, *whole = self._decode(bytes(data)).split("\n")
        self._keep(end)
        lines: list[str] = []
        if whole:
            *between, rest = whole
            lines = [each.removesuffix("\r") for each in (self._taken(), *between)]
            self._keep(rest)
        if self._size > self._limit:
            lines.append(self._taken())
        return lines

    def finish(self) -> list[str]:
        """The last line, where the stream did not end with a line end."""
        self._keep(self._decode(b"", True))  # noqa: FBT003
        rest = self._taken()
        return [rest] if rest else []

    def _keep(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._size += len(text)

    def _taken(self) -> str:
        line = "".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return line
