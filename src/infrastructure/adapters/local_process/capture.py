"""What one stream said: head and tail in memory, the whole in a file when it is more.

Nothing that goes wrong here is the agent's problem: where the file can't take
more, head and tail are kept and the rest is counted.
"""

import codecs
from collections.abc import Callable

from attrs import frozen

from muster.domain import presets
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.adapters.local_process.spool import Spool

_CONTINUATION = range(0x80, 0xC0)
_MAX_CONTINUATIONS = 3


@frozen
class Captured:
    """``head``, then ``missing`` bytes, then ``tail``; ``path`` holds the whole."""

    head: bytes = b""
    tail: bytes = b""
    missing: int = 0
    path: str | None = None

    @property
    def truncated(self) -> bool:
        """Whether `text` lacks something."""
        return self.missing > 0

    def text(self) -> str:
        """For people: control sequences removed, U+FFFD for what is not UTF-8."""
        if not self.missing:
            return strip_terminal((self.head + self.tail).decode(errors="replace"))
        head, tail, missing = self.parts()
        where = f"; the whole is in {self.path}" if self.path else ""
        marker = f"\n[... {missing} bytes are missing here{where} ...]\n"
        return f"{strip_terminal(head)}{marker}{strip_terminal(tail)}"

    def parts(self) -> tuple[str, str, int]:
        """Head and tail as a decoder of the whole would see them, and what is missing.

        A character that the cut goes through counts as missing.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        head = decoder.decode(self.head)
        cut_off = len(decoder.getstate()[0])
        skipped = 0
        for byte in self.tail[:_MAX_CONTINUATIONS]:
            if byte not in _CONTINUATION:
                break
            skipped += 1
        tail = self.tail[skipped:].decode(errors="replace")
        return head, tail, self.missing + cut_off + skipped


class Capture:
    """Takes a stream piece by piece and never holds more than ``limit`` bytes or so.

    ``open_spool`` is asked once, when the stream outgrows memory; None means that
    no file is to be had.
    """

    __slots__ = ("_half", "_kept", "_limit", "_open_spool", "_tail", "spool", "total")

    def __init__(
        self,
        open_spool: Callable[[], Spool | None],
        limit: int = presets.CAPTURE_BYTES,
    ) -> None:
        self._open_spool = open_spool
        self._limit = limit
        self._half = limit // 2
        self._kept = bytearray()
        self._tail: bytearray | None = None
        self.spool: Spool | None = None
        self.total = 0

    def add(self, data: bytes | memoryview) -> None:
        """Takes a copy of what it needs of ``data``."""
        if self.spool is None and self._tail is None:
            if len(self._kept) + len(data) <= self._limit:
                self._kept += data
                self.total += len(data)
                return
            self._overflow()
        if self.spool is not None and not self.spool.append(data):
            self.give_up()
        self.total += len(data)
        if self._tail is not None:
            self._roll(data)

    def give_up(self) -> None:
        """No file any more, and room on the disk again: head and tail are kept."""
        if self.spool is None:
            return
        self._tail = bytearray(self.spool.tail(self._half))
        self.spool.discard()
        self.spool = None

    def finish(self) -> Captured:
        """What was kept. The file, if there is one, is closed."""
        if self.spool is not None:
            head = bytes(self._kept)
            tail = self.spool.tail(min(self._half, self.total - len(head)))
            self.spool.close()
            missing = self.total - len(head) - len(tail)
            return Captured(head, tail, missing, self.spool.path)
        tail = bytes(self._tail[-self._half :]) if self._tail else b""
        return Captured(
            bytes(self._kept), tail, self.total - len(self._kept) - len(tail)
        )

    def _overflow(self) -> None:
        spool = self._open_spool()
        if spool is not None and spool.append(self._kept):
            self.spool = spool
        else:
            if spool is not None:
                spool.discard()
            self._tail = self._kept[self._half :]
        del self._kept[self._half :]

    def _roll(self, data: bytes | memoryview) -> None:
        tail = self._tail
        assert tail is not None  # noqa: S101 - the caller has looked
        tail += data[-self._half :]
        # Trimmed at twice the size: a move per piece would be quadratic in the
        # number of 1-byte writes.
        if len(tail) > self._limit:
            del tail[: -self._half]
