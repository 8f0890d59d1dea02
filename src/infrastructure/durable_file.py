"""Files that are whole or not there, readable by their owner alone, on the disk."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
PARTIAL: Final = ".partial"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ANEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def write_durably(path: Path, data: bytes) -> None:
    """Puts the file there as a whole; a crash leaves the old one or the new one.

    Its name is durable after `sync_folder` of its folder. Raises OSError.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        _write_new(partial, data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: str, data: bytes) -> None:
    """Puts the file there as a whole, soon on the disk: for what can be made again.

    By plain calls of the system: with `pathlib` a small file costs five times as much,
    and a run writes one per task. Raises OSError.
    """
    partial = path + PARTIAL
    try:
        descriptor = os.open(partial, _NEW, FILE_MODE)
    except FileExistsError:
        os.unlink(partial)  # noqa: PTH108
        descriptor = os.open(partial, _NEW, FILE_MODE)
    try:
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)
        os.replace(partial, path)  # noqa: PTH105
    except OSError:
        # On a full disk it is in the way of what could still be written.
        os.unlink(partial)  # noqa: PTH108
        raise


def write_again(path: str, data: bytes) -> None:
    """Fills the file anew, in place: for copies of what is kept elsewhere. Raises OSError.

    Half the cost of `write_whole`; a crash may leave it cut.
    """
    descriptor = os.open(path, _ANEW, FILE_MODE)
    try:
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)


def sync_folders(folders: Iterable[Path]) -> None:
    """Makes names in the folders durable. Raises OSError."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_new(path: Path, data: bytes) -> None:
    # Left by a crash, or put there as a link by somebody else: never written through.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, _NEW, FILE_MODE)
    try:
        _write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
