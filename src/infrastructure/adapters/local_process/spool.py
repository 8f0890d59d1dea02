"""A private file for output that outgrows memory."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from muster.domain import presets

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
# A name that somebody planted there (a link, a fifo) is never opened.
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Spool(Protocol):
    """Where the whole of a stream goes. ``size`` bytes of it are safely there."""

    path: str
    size: int

    def append(self, data: bytes | bytearray | memoryview) -> bool:
        """False when it can't take all of ``data``; nothing is raised."""
        ...

    def tail(self, count: int) -> bytes:
        """The last ``count`` of the first ``size`` bytes; less when unreadable."""
        ...

    def close(self) -> None:
        """Keeps the file."""
        ...

    def discard(self) -> None:
        """Removes the file."""
        ...


class SpoolFile:
    """A spool on disk, 0600, in a folder that is made 0700 where it is missing."""

    __slots__ = ("fd", "path", "size")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        self.size = 0

    @classmethod
    def create(cls, path: str) -> Self:
        """Replaces what an earlier attempt left under that name. Raises OSError."""
        return cls(path, create_private(path))

    def append(self, data: bytes | bytearray | memoryview) -> bool:
        """See `Spool`. Full disks, quotas and file size limits all end here."""
        size = len(data)
        if self.size + size > presets.MAX_SPOOL_BYTES:
            return False
        try:
            written = os.write(self.fd, data)
            while written < size:
                written += os.write(self.fd, memoryview(data)[written:])
        except OSError:
            return False
        self.size += size
        return True

    def tail(self, count: int) -> bytes:
        """See `Spool`."""
        return read_tail(self.fd, self.size, count)

    def close(self) -> None:
        """See `Spool`."""
        os.close(self.fd)

    def discard(self) -> None:
        """See `Spool`."""
        os.close(self.fd)
        Path(self.path).unlink(missing_ok=True)


class Spools:
    """Names for spools; the parts of one fleet share it."""

    def __init__(self, private_folder: Callable[[], str]) -> None:
        self._private_folder = private_folder
        self._serial = itertools.count(1)

    def path(self, base: str | None, suffix: str) -> str:
        """``base`` and the suffix; without one, a name in a private folder."""
        if base is None:
            base = f"{self._private_folder()}/{next(self._serial)}"
        return f"{base}{suffix}"


def create_private(path: str) -> int:
    """A descriptor of a new 0600 file; whatever had that name is unlinked first."""
    try:
        return os.open(path, _CREATE, _PRIVATE_FILE)
    except FileNotFoundError:
        _make_private(Path(path).parent)
    except FileExistsError:
        Path(path).unlink()
    return os.open(path, _CREATE, _PRIVATE_FILE)


def read_tail(fd: int, size: int, count: int) -> bytes:
    """The ``count`` bytes before offset ``size``, as far as they can be read."""
    start = max(0, size - count)
    pieces: list[bytes] = []
    try:
        while start < size and (piece := os.pread(fd, size - start, start)):
            pieces.append(piece)
            start += len(piece)
    except OSError:
        # A tail with a hole before it would lie about what stood next to what.
        return b""
    return b"".join(pieces)


def _make_private(folder: Path) -> None:
    # os.makedirs gives its mode to the last folder only.
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
