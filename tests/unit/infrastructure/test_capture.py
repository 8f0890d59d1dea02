"""Head, tail and what is missing always add up; text is what a whole decoding shows."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.adapters.local_process.capture import Capture, Captured

LIMIT = 16
PIECES = st.lists(st.binary(max_size=12), max_size=12)
TEXTS = st.text(alphabet="aé€😀\n", max_size=60)


class MemorySpool:
    """A spool with room for ``room`` bytes."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.path = "the/spool"
        self.size = 0
        self.room = room
        self.data = b""
        self.state = "open"

    def append(self, data: bytes | bytearray | memoryview) -> bool:
        if self.size + len(data) > self.room:
            # Like a disk: the first part is there, and does not count.
            self.data += bytes(data)[: self.room - self.size]
            return False
        self.data += bytes(data)
        self.size = len(self.data)
        return True

    def tail(self, count: int) -> bytes:
        return self.data[: self.size][-count:] if count else b""

    def close(self) -> None:
        self.state = "closed"

    def discard(self) -> None:
        self.state = "discarded"


def captured(pieces: list[bytes], spool: MemorySpool | None) -> Captured:
    """What a capture of ``LIMIT`` bytes makes of ``pieces``."""
    capture = Capture(lambda: spool, LIMIT)
    for piece in pieces:
        capture.add(memoryview(piece))
    return capture.finish()


def check(found: Captured, whole: bytes) -> None:
    """The one truth about a captured stream."""
    assert len(found.head) + found.missing + len(found.tail) == len(whole)
    assert whole.startswith(found.head)
    assert whole.endswith(found.tail)
    assert found.truncated == (found.missing > 0)


@given(PIECES)
def test_without_a_file_head_and_tail_are_kept(pieces: list[bytes]) -> None:
    """No spool is to be had: at most the limit is kept, and it adds up."""
    found = captured(pieces, None)

    check(found, b"".join(pieces))
    assert len(found.head) + len(found.tail) <= LIMIT
    assert found.path is None


@given(PIECES)
def test_with_a_file_the_whole_is_in_it(pieces: list[bytes]) -> None:
    """The file is there exactly when memory was outgrown, and holds every byte."""
    spool, whole = MemorySpool(), b"".join(pieces)

    found = captured(pieces, spool)

    check(found, whole)
    assert (found.path is not None) == (len(whole) > LIMIT) == found.truncated
    if found.path:
        assert spool.data == whole
        assert spool.state == "closed"


@given(PIECES, st.integers(0, 80))
@example([b"0123456789abcdef", *[b"xy"] * 4, b"z"], 22)
def test_a_full_disk_loses_only_the_middle(pieces: list[bytes], room: int) -> None:
    """Wherever the disk gets full, head and tail are right and the file is gone."""
    spool, whole = MemorySpool(room), b"".join(pieces)

    found = captured(pieces, spool)

    check(found, whole)
    if len(whole) > LIMIT and room < len(whole):
        assert found.path is None
        assert spool.state == "discarded"
    if len(whole) > LIMIT:
        assert found.tail == whole[-LIMIT // 2 :]


@given(TEXTS, st.lists(st.integers(1, 5), min_size=1))
def test_characters_survive_any_cut(text: str, sizes: list[int]) -> None:
    """Pieces cut anywhere, head and tail too: no character is torn."""
    whole = text.encode()
    pieces, start = [], 0
    while start < len(whole):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(whole[start : start + size])
        start += size

    head, tail, missing = captured(pieces, None).trimmed()

    assert text.startswith(head.decode())
    assert text.endswith(tail.decode())
    assert len(head) + missing + len(tail) == len(whole)


@given(st.binary(max_size=60))
def test_bad_bytes_decode_as_they_would_in_the_whole(whole: bytes) -> None:
    """Invalid UTF-8 is shown as U+FFFD, the same as in the undivided stream."""
    decoded = whole.decode(errors="replace")

    found = captured([whole], None)

    if not found.missing:
        assert (found.head + found.tail).decode(errors="replace") == decoded
    else:
        head, tail, _ = found.trimmed()
        assert decoded.startswith(head.decode(errors="replace"))
        assert decoded.endswith(tail.decode(errors="replace"))


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Captured(b"hi"), "hi"),
        (Captured(b"\xff\xfe"), "\ufffd\ufffd"),
        (Captured(b"\x1b[31mred\x1b[0m"), "red"),
        (Captured(b"10%\r50%\r100%\n"), "100%\n"),
        (
            Captured(b"head", b"tail", 7, "/x"),
            "head\n[... 7 bytes are missing here; the whole is in /x ...]\ntail",
        ),
        (
            Captured(b"head", b"tail", 7),
            "head\n[... 7 bytes are missing here ...]\ntail",
        ),
    ],
)
def test_text_is_for_people(found: Captured, text: str) -> None:
    """Control sequences are gone and a gap is named."""
    assert found.text() == text


@given(
    st.lists(st.sampled_from([b"a\n", b"\xf0\x9f\x98\x80", b"\xff", b"\x1b[1m", b"b"]))
)
def test_pieces_are_the_text(words: list[bytes]) -> None:
    """However long: what is made piece by piece is what is made at once."""
    data = b"".join(words) * 50

    found = Captured(data).text()

    assert found == strip_terminal(data.decode(errors="replace"))


def test_big_texts_come_in_small_pieces() -> None:
    """None is much longer than the bound, as long as there are lines."""
    pieces = list(Captured("ü\n".encode() * 400_000).pieces())

    assert "".join(pieces) == "ü\n" * 400_000
    assert max(map(len, pieces)) < 64 * 1024


def test_a_million_single_bytes_stay_within_bounds() -> None:
    """The tail is trimmed now and then, not at each byte."""
    capture = Capture(lambda: None, 1000)
    for _ in range(20_000):
        capture.add(b"x")

    assert len(capture._tail or b"") <= 1001
    assert capture.finish().missing == 19_000
