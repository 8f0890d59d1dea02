"""Which other process holds a lock on a file: for the words of an error."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_LOCKS: Final = Path("/proc/locks")
_FIELDS: Final = 8
_KIND, _PID, _FILE = 3, 4, 5


def holders(paths: Iterable[Path]) -> str:
    """ " (held by process 12, python)", or nothing where the system does not tell."""
    wanted = set()
    for path in paths:
        try:
            wanted.add(path.stat().st_ino)
        except OSError:
            continue
    pids = sorted(set(_locking(wanted)) - {os.getpid()})
    named = [f"process {pid}{_name(pid)}" for pid in pids]
    return f" (held by {', '.join(named)})" if named else ""


def _locking(inodes: set[int]) -> Iterator[int]:
    try:
        lines = _LOCKS.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    # "1: POSIX  ADVISORY  WRITE 8012 fd:01:5898 120 120"; a waiting one has "->".
    locks = [line.split() for line in lines]
    for fields in locks:
        if len(fields) == _FIELDS and fields[_KIND] == "WRITE":
            inode = fields[_FILE].rpartition(":")[2]
            if int(inode) in inodes and int(fields[_PID]) > 0:
                yield int(fields[_PID])


def _name(pid: int) -> str:
    try:
        return f", {Path(f'/proc/{pid}/comm').read_text('utf-8').strip()}"
    except (OSError, UnicodeDecodeError):
        return ""
