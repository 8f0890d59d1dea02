"""Masks secrets in everything that is written: values of the environment, key shapes.

Only what is bounded can be found across chunk borders, so every pattern here has a
longest match; the scan is one pass, linear in the text.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from os.path import commonprefix
from typing import Any, AnyStr, Final, Generic

from attrs import define, field, frozen

from muster.infrastructure.strict_tables import is_secret_name

MASK: Final = "***"
MIN_VALUE: Final = 6
MIN_LINE: Final = (
    16  # of a value of many lines (a PEM key): agents print them one by one
)
MAX_VALUE: Final = 64 * 1024
SLICE: Final = 64 * 1024  # a search holds the interpreter's lock as long as it runs
MAX_BRANCHINGS: Final = 8

_SHAPES: Final = (
    r"(?:sk|pk|rk)-[A-Za-z0-9_-]{16,4096}+",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,4096}+",
    r"gh[pousr]_[A-Za-z0-9]{20,4096}+",
    r"github_pat_[A-Za-z0-9_]{20,4096}+",
    r"glpat-[A-Za-z0-9_-]{16,4096}+",
    r"xox[abposr]-[A-Za-z0-9-]{10,4096}+",
    r"A(?:KI|SI)A[A-Z0-9]{16}(?![A-Za-z0-9])",
    r"AIza[A-Za-z0-9_-]{30,4096}+",
    r"eyJ[\w-]{10,1360}+\.[\w-]{10,1360}+\.[\w-]{0,1360}+",
)
# What every match of a shape holds: finding these first spares the search.
_HINTS: Final = (
    b"sk-", b"pk-", b"rk-", b"k_live_", b"k_test_", b"ghp_", b"gho_", b"ghu_", b"ghs_",
    b"ghr_", b"github_pat_", b"glpat-", b"xox", b"AKIA", b"ASIA", b"AIza", b"eyJ",
)  # fmt: skip
_LONGEST_SHAPE: Final = 4096 + 64
# The first letters once more in front: a position that can't begin a shape costs one look.
_KEYS: Final = (
    r"(?<![A-Za-z0-9])(?=[sprgxAebB])"
    r"(?:((?i:bearer)[ \t]{1,4}+)[A-Za-z0-9._~+/=-]{12,4096}+|"
    f"{'|'.join(_SHAPES)})"
)


@define
class RedactedStream(Generic[AnyStr]):
    """``feed`` gives what is safe to write by now, ``finish`` the rest.

    All that comes out, joined, is what the pattern makes of the whole. A match may
    begin only where the longest one (``window``) would lie within what is known.
    """

    pattern: re.Pattern[AnyStr]
    window: int
    mask: AnyStr
    held: AnyStr
    behind: int = 0  # of what is held: already given, kept for looking back
    waiting: list[AnyStr] = field(factory=list)
    size: int = 0

    def feed(self, chunk: AnyStr) -> AnyStr:
        """What can be written now; often nothing until some KiB have gathered."""
        self.waiting.append(chunk)
        self.size += len(chunk)
        # Each scan goes over a window again: it must be worth it for 1-byte chunks.
        if self.size < 2 * self.window:
            return self.mask[:0]
        return self._scan(final=False)

    def finish(self) -> AnyStr:
        """What was held back."""
        return self._scan(final=True)

    def _scan(self, *, final: bool) -> AnyStr:
        empty = self.mask[:0]
        text = self.held + empty.join(self.waiting)
        self.waiting, self.size = [], 0
        limit = len(text) if final else len(text) - self.window
        position = self.behind
        parts: list[AnyStr] = []
        for match in self.pattern.finditer(text, position):
            if match.start() >= limit:
                break
            parts.append(text[position : match.start()])
            parts.append(match[1] or empty)
            parts.append(self.mask)
            position = match.end()
        end = max(position, limit)
        parts.append(text[position:end])
        self.behind = min(1, end)
        self.held = text[end - self.behind :]
        return empty.join(parts)


@frozen
class Redactor:
    """Masks what it knows; the text around stays as it is.

    ``environ`` gives the values: of variables whose name holds KEY, TOKEN, SECRET
    or PASSWORD, when they have 6 characters or more.
    """

    environ: Mapping[str, str] = field(factory=dict, repr=False)
    _values: tuple[str, ...] = field(init=False, repr=False)
    _text: re.Pattern[str] = field(init=False, repr=False)
    _bytes: re.Pattern[bytes] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        values = sorted({each for each in _values_of(self.environ) if each})
        encoded = sorted(_encoded(each).decode("latin-1") for each in values)
        object.__setattr__(self, "_values", tuple(values))
        object.__setattr__(self, "_text", re.compile(_source(values), re.ASCII))
        # Bytes as Latin-1 characters, so that both patterns are built alike.
        pattern = re.compile(_source(encoded).encode("latin-1"))
        object.__setattr__(self, "_bytes", pattern)

    @property
    def window(self) -> int:
        """The longest thing that can be masked, in bytes or characters."""
        return max(_LONGEST_SHAPE, *(len(_encoded(each)) for each in self._values), 0)

    def redact(self, text: str) -> str:
        """The text with every secret masked."""
        stream = self.text_stream()
        slices = (text[at : at + SLICE] for at in range(0, len(text), SLICE))
        return "".join([*(stream.feed(each) for each in slices), stream.finish()])

    def finds(self, text: str) -> bool:
        """Whether `redact` would change the text; for a short one at a tenth of it."""
        if len(text) <= SLICE:
            return self._text.search(text) is not None
        return self.redact(text) != text

    def may_hold(self, data: bytes) -> bool:
        """False only if no secret is in it; a hundred times as fast as looking."""
        if b"bearer" in data.lower() or any(hint in data for hint in _HINTS):
            return True
        return any(_encoded(value) in data for value in self._values)

    def redact_bytes(self, data: bytes) -> bytes:
        """The same for bytes of any encoding that contains ASCII."""
        stream = self.stream()
        slices = (data[at : at + SLICE] for at in range(0, len(data), SLICE))
        return b"".join([*(stream.feed(each) for each in slices), stream.finish()])

    def redact_document(self, value: Any) -> Any:
        """A JSON-ready value with every text in it masked; keys stay."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {key: self.redact_document(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.redact_document(each) for each in value]
        return value

    def stream(self) -> RedactedStream[bytes]:
        """Masks bytes that come in chunks, also across their borders."""
        return RedactedStream(self._bytes, self.window, MASK.encode(), b"")

    def text_stream(self) -> RedactedStream[str]:
        """The same for text."""
        return RedactedStream(self._text, self.window, MASK, "")


def _values_of(environ: Mapping[str, str]) -> Iterator[str]:
    """Each value, as it is, as JSON writes it, and line by line."""
    for name, value in environ.items():
        secret = value.strip()[:MAX_VALUE]
        if not is_secret_name(name) or len(secret) < MIN_VALUE:
            continue
        yield secret
        yield json.dumps(secret)[1:-1]
        yield json.dumps(secret, ensure_ascii=False)[1:-1]
        lines = [line.strip() for line in secret.splitlines()]
        if len(lines) > 1:
            yield from (line for line in lines if len(line) >= MIN_LINE)


def _encoded(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _source(values: Iterable[str]) -> str:
    words = _alternation(sorted(values), MAX_BRANCHINGS)
    return f"{_KEYS}|{words}" if words else _KEYS


def _alternation(words: list[str], branchings: int) -> str:
    """The words as a trie, longest first: a thousand of them cost what one does."""
    if not words:
        return ""
    if len(words) == 1 or not branchings:
        longest_first = sorted(words, key=len, reverse=True)
        return f"(?:{'|'.join(map(re.escape, longest_first))})"
    # Sorted words: what the first and the last share is shared by all.
    prefix = commonprefix([words[0], words[-1]])  # noqa: RUF071 -- no paths
    by_next: dict[str, list[str]] = {}
    for word in words:
        rest = word[len(prefix) :]
        by_next.setdefault(rest[:1], []).append(rest)
    ends_here = by_next.pop("", None)
    branches = [_alternation(rests, branchings - 1) for rests in by_next.values()]
    tail = "?" if ends_here else ""
    return f"{re.escape(prefix)}(?:{'|'.join(branches)}){tail}"
