"""muster's own stdin, stdout and stderr: no surprise, whatever they are.

stdout carries results: what can't be written there is an `OutputLostError`. stderr
carries talk: what can't be written there is nobody's loss.
"""

import io
import os
import sys
from typing import Final, TextIO

from muster.domain.terminal_text import strip_terminal

STDIN: Final = "/dev/stdin"
_MODES: Final = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)


class OutputLostError(Exception):
    """A result could not be written where it belongs.

    ``is_closed_pipe``: whoever reads has seen enough, as `head` does.
    """

    def __init__(
        self, problem: str, where: str = "stdout", *, is_closed_pipe: bool = False
    ) -> None:
        super().__init__(problem, where)
        self.problem, self.where = problem, where
        self.is_closed_pipe = is_closed_pipe

    def __str__(self) -> str:
        return f"{self.where} can't be written: {self.problem}"


def prepare() -> None:
    """Makes the three streams usable, also when they are closed or speak ASCII."""
    for number, mode in enumerate(_MODES):
        _occupy(number, mode)
    if sys.stdin is None:
        sys.stdin = _text(0, "r")
    if sys.stdout is None:
        sys.stdout = _text(1, "w")
    if sys.stderr is None:
        sys.stderr = _text(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Writes to stdout and hands it over. Raises `OutputLostError`."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        raise _lost(error) from error


def write_bytes(data: bytes) -> None:
    """The same for bytes that are passed on as they are."""
    try:
        sys.stdout.flush()
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            sys.stdout.write(data.decode("utf-8", "replace"))
        else:
            buffer.write(data)
            buffer.flush()
    except (OSError, ValueError) as error:
        raise _lost(error) from error


def talk(text: str) -> None:
    """One or more lines on stderr, with nothing in them that a terminal would obey."""
    try:
        sys.stderr.write(strip_terminal(text).rstrip("\n") + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def finish() -> None:
    """Hands over what is still held back. Raises `OutputLostError`."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        discard(2)
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        raise _lost(error) from error


def speaks_utf8(stream: TextIO) -> bool:
    """Whether every character can be written there."""
    return (stream.encoding or "").lower().replace("-", "") == "utf8"


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at it."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def discard(number: int = 1) -> None:
    """Lets a stream go nowhere, by its descriptor.

    What Python still holds would be tried again, and complained about, at its exit.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def _lost(error: Exception) -> OutputLostError:
    discard()
    return OutputLostError(
        getattr(error, "strerror", None) or str(error),
        is_closed_pipe=isinstance(error, BrokenPipeError),
    )


def _occupy(number: int, mode: int) -> None:
    """Opens a descriptor that is closed: the next file would get its number, and
    results would be written into that file.

    In place of stdout stands something that can't be written, so that whoever
    writes there learns of it.
    """
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, mode)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)  # noqa: FBT003


def _text(number: int, mode: str) -> io.TextIOWrapper:
    raw = io.FileIO(number, mode, closefd=False)
    buffer = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, "utf-8", line_buffering=number == 2)  # noqa: PLR2004
