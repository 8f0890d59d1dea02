"""Reads a text file that a person wrote: bounded, UTF-8, and clear about what is wrong."""

import codecs
import os
import stat

from attrs import define

from muster.domain.errors import MusterError

_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


@define(eq=False)
class UnreadableTextError(MusterError):
    """The file is no text that can be read; ``missing`` when there is no file at all."""

    problem: str
    missing: bool = False

    def __str__(self) -> str:
        return self.problem


def read_text(path: str | os.PathLike[str], limit: int) -> str:
    """The file's text without a byte order mark, lines ended by a newline alone.

    Raises `UnreadableTextError` for what is missing, no regular file, above
    ``limit`` bytes or not UTF-8.
    """
    return decode(read_bytes(path, limit))


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The file's bytes, under the same conditions as `read_text`."""
    try:
        # Path.open() takes no opener.
        with open(path, "rb", opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadableTextError("is not a regular file; name a file")
            data = file.read(limit + 1)
    except IsADirectoryError as exc:
        raise UnreadableTextError("is a directory; name a file") from exc
    except (FileNotFoundError, NotADirectoryError) as exc:
        # HOME=/dev/null has no files below it either.
        raise UnreadableTextError("there is no such file", missing=True) from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise UnreadableTextError(f"can't be read: {reason}") from exc
    if len(data) > limit:
        raise UnreadableTextError(f"is larger than {limit:,} bytes; split it")
    return data


def decode(data: bytes) -> str:
    """Bytes of a file as text; see `read_text`."""
    for mark, name in _FOREIGN_MARKS:
        if data.startswith(mark):
            raise UnreadableTextError(f"is written in {name}; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        # Windows editors write UTF-16 without a mark, too.
        kind = "UTF-16" if b"\0" in data[:64] else "not UTF-8"
        problem = f"is {kind} (byte {exc.start}, line {line}); save it as UTF-8"
        raise UnreadableTextError(problem) from exc
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        problem = f"holds a NUL character (line {line}); save it as UTF-8 text"
        raise UnreadableTextError(problem)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _open(path: str, flags: int) -> int:
    # A fifo must not hold us until somebody writes to it.
    return os.open(path, flags | os.O_NONBLOCK)
