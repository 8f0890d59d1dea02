"""Cuts a byte stream into lines of text, however it arrives."""

import codecs

from muster.domain import presets


class LineSplitter:
    """Feeds on bytes cut anywhere and gives whole lines, without their ends.

    Undecodable bytes become U+FFFD; a line above the limit comes in pieces, so
    that what waits for its end is bounded.
    """

    __slots__ = ("_decode", "_limit", "_rest")

    def __init__(self, limit: int = presets.MAX_LINE_BYTES) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._limit = limit
        self._rest = ""

    def feed(self, data: bytes | memoryview) -> list[str]:
        """The lines that ``data`` completes."""
        text = self._rest + self._decode(bytes(data))
        *lines, self._rest = text.split("\n")
        if len(self._rest) > self._limit:
            lines.append(self._rest)
            self._rest = ""
        return [line.removesuffix("\r") for line in lines]

    def finish(self) -> list[str]:
        """The last line, where the stream did not end with a line end."""
        rest, self._rest = self._rest + self._decode(b"", True), ""  # noqa: FBT003
        return [rest] if rest else []
