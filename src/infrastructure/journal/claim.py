"""Who works on a run: one process at a time, told by a lock that dies with it."""

import fcntl
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from attrs import define, field

from muster.domain.errors import JournalError
from muster.infrastructure.durable_file import FILE_MODE

LOCK: Final = "lock"
_TRIES: Final = 6
_PAUSE: Final = 0.02
Owner = tuple[int | None, float | None]  # its pid, and since when (epoch seconds)


@define(eq=False)
class Claim:
    """A run is ours until `release`, or until this process is dead, however it died.

    The kernel knows better than any record who lives: it drops the lock with its
    holder, also in another container on the same disk.
    """

    folder: Path
    _descriptor: int | None = field(default=None, init=False)

    @classmethod
    def take(cls, folder: Path, owner: Callable[[], Owner]) -> Self:
        """Claims the run. Raises `JournalError` that names the ``owner`` of record."""
        claim = cls(folder)
        for _ in range(_TRIES - 1):
            if claim._take(owner):
                return claim
            # Whoever only asked lets go at once; whoever won writes its name by then.
            time.sleep(_PAUSE)
        if not claim._take(owner):
            raise JournalError(_taken(owner()), str(folder))
        return claim

    def release(self) -> None:
        """Lets others have it. Again: does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _take(self, owner: Callable[[], Owner]) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(self.folder / LOCK, flags, FILE_MODE)
        except OSError as exc:
            problem = f"the run can't be claimed: {exc.strerror or exc}"
            raise JournalError(problem, str(self.folder)) from exc
        if not _locked(descriptor, owner):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True


def _locked(descriptor: int, owner: Callable[[], Owner]) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: there, only the record can tell.
        return not _lives(owner()[0])
    return True


def is_held(folder: Path) -> bool:
    """Whether a living process works on the run."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _taken(owner: Owner) -> str:
    pid, since = owner
    who = "another process" if pid is None else f"process {pid}"
    when = ""
    if since is not None:
        moment = datetime.fromtimestamp(since, UTC)
        when = f" since {moment:%Y-%m-%d %H:%M:%S} UTC"
    return f"{who} works on this run{when}; wait for it, or end it first"


def _lives(pid: int | None) -> bool:
    if pid is None or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
