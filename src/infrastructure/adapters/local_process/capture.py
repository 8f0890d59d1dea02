"""What one stream said: head and tail in memory, the whole in a file when it is more.

Nothing that goes wrong here is the agent's problem: where the file can't take
more, head and tail are kept and the rest is counted.
"""

from collections.abc import Callable, Iterator

from attrs import frozen

from muster.domain import presets
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.adapters.local_process.spool import Spool

_ASCII_END, _LEAD_2, _LEAD_3, _LEAD_4 = 0x80, 0xC0, 0xE0, 0xF0
_MAX_CONTINUATIONS = 3
_PLAIN = bytes([*b"\n\t", *range(0x20, 0x7F)])
_PIECE_BYTES = 32 * presets.KIB


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
        return "".join(self.pieces())

    def pieces(self) -> Iterator[str]:
        """`text` in pieces that each cost a few milliseconds at most to make."""
        if not self.missing:
            yield from _readable(self.head + self.tail)
            return
        head, tail, missing = self.trimmed()
        where = f"; the whole is in {self.path}" if self.path else ""
        yield from _readable(head)
        yield f"\n[... {missing} bytes are missing here{where} ...]\n"
        yield from _readable(tail)

    def trimmed(self) -> tuple[bytes, bytes, int]:
        """Head and tail without the character that a cut goes through, and the gap."""
        cut_off = _unfinished(self.head)
        skipped = 0
        while skipped < _MAX_CONTINUATIONS and _continues(self.tail, skipped):
            skipped += 1
        head = self.head[: len(self.head) - cut_off]
        return head, self.tail[skipped:], self.missing + cut_off + skipped


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


def _readable(data: bytes) -> Iterator[str]:
    # Most output is plain, and seen to be so 20 times faster than it is stripped.
    if not data.translate(None, _PLAIN):
        yield data.decode("ascii")
        return
    start = 0
    while start < len(data):
        # A line end ends every character and nearly every control sequence too.
        end = data.find(b"\n", start + _PIECE_BYTES) + 1 or len(data)
        yield strip_terminal(data[start:end].decode(errors="replace"))
        start = end


def _unfinished(head: bytes) -> int:
    for back, byte in enumerate(reversed(head[-_MAX_CONTINUATIONS:]), start=1):
        if byte < _ASCII_END:
            return 0
        if byte >= _LEAD_2:
            length = 2 + (byte >= _LEAD_3) + (byte >= _LEAD_4)
            return back if length > back else 0
    return 0


def _continues(tail: bytes, place: int) -> bool:
    return place < len(tail) and _ASCII_END <= tail[place] < _LEAD_2
