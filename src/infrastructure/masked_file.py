"""Takes the secrets out of a file that somebody else has written."""

import os
from pathlib import Path
from typing import IO, Final

from muster.infrastructure.durable_file import FILE_MODE, PARTIAL
from muster.infrastructure.secrets import Redactor

_CHUNK: Final = 64 * 1024


def mask_file(path: Path, redactor: Redactor) -> bool:
    """Masks every secret in the file; whether there was one. Raises OSError.

    The file is replaced as a whole, and stays as it is when nothing is in it. A
    missing file holds no secret. Blocks for as long as reading it takes.
    """
    partial = path.with_name(path.name + PARTIAL)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return False
    with source:
        if not _may_hold(source, redactor):
            return False
        source.seek(0)
        partial.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(partial, flags, FILE_MODE), "wb") as target:
                found = _copy(source, target, redactor)
            if found:
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return found


def _may_hold(source: IO[bytes], redactor: Redactor) -> bool:
    # Nearly all outputs hold no secret, and a whole search takes a second per MB.
    before = b""
    while chunk := source.read(_CHUNK):
        if redactor.may_hold(before + chunk):
            return True
        before = chunk[-redactor.window :]
    return False


def _copy(source: IO[bytes], target: IO[bytes], redactor: Redactor) -> bool:
    stream = redactor.stream()
    read, written = b"", b""
    found = False
    while chunk := source.read(_CHUNK):
        read += chunk
        masked = stream.feed(chunk)
        target.write(masked)
        written += masked
        same = min(len(read), len(written))
        found = found or read[:same] != written[:same]
        read, written = read[same:], written[same:]
    rest = stream.finish()
    target.write(rest)
    return found or read != rest
