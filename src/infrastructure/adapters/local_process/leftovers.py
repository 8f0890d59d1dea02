"""Agents of runs whose muster is dead: found by the marks in their environment.

Keepers leave none. They are for what a machine without keepers, or a keeper killed
together with its helper, has left behind.
"""

import os
import signal
import time
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from muster.domain import presets
from muster.infrastructure.adapters.local_process import processes

RUN_MARK: Final = "MUSTER_RUN_ID"
HOST_MARK: Final = "MUSTER_HOST"
LOOK: Final = 0.01


@frozen(slots=True)
class Leftover:
    """A process that outlived its muster. `born` tells it from a later one of its pid."""

    pid: int
    run_id: str
    command: str
    age: float  # seconds
    born: bytes


def find() -> list[Leftover]:
    """The processes of this user that bear the mark of a host that is dead.

    Only such as number processes as we do: in a container of its own, a living host
    would look dead from here.
    """
    ours = _namespace("self")
    uptime = float((processes.read("/proc/uptime").split() or [b"0"])[0])
    found = []
    for pid in processes.processes():
        run_id = _run_of_dead_host(pid)
        if run_id is None or pid == os.getpid() or _namespace(str(pid)) != ours:
            continue
        fields = processes.stat(pid)
        if fields and fields[0] not in {b"Z", b"X"}:
            age = max(0.0, uptime - int(fields[19]) * processes.TICK)
            found.append(Leftover(pid, run_id, _command(pid), age, fields[19]))
    return found


def reap(leftovers: Iterable[Leftover]) -> list[Leftover]:
    """End these, politely at first; those that live on. Blocks for 0.7 s at most."""
    left = [each for each in leftovers if _lives(each)]
    for number, bound in (
        (signal.SIGTERM, presets.LEFTOVER_GRACE),
        (signal.SIGKILL, presets.KILL_BOUND),
    ):
        for each in left:
            for sign in (number, signal.SIGCONT):
                processes.send_signal(
                    each.pid,
                    sign,
                    lambda fields, born=each.born: fields[19] == born,  # type: ignore[misc]
                )
        due = time.monotonic() + bound
        while left and time.monotonic() < due:
            time.sleep(LOOK)
            left = [each for each in left if _lives(each)]
    return left


def _run_of_dead_host(pid: int) -> str | None:
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.getuid():  # noqa: PTH116
            return None
    except OSError:
        return None
    environ = processes.read(f"/proc/{pid}/environ")
    marks = dict(
        pair.partition(b"=")[::2]
        for pair in environ.split(b"\0")
        if pair.startswith(b"MUSTER_")
    )
    run_id, host = (marks.get(m.encode(), b"") for m in (RUN_MARK, HOST_MARK))
    number, _, born = host.partition(b":")
    if not number.isdigit():
        return None
    fields = processes.stat(int(number))
    if fields and fields[19] == (born or fields[19]):
        return None
    return run_id.decode(errors="replace")


def _namespace(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115
    except OSError:
        return ""


def _command(pid: int) -> str:
    words = processes.read(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")
    return b" ".join(words).decode(errors="replace")


def _lives(leftover: Leftover) -> bool:
    fields = processes.stat(leftover.pid)
    return fields[19:20] == [leftover.born] and fields[0] not in {b"Z", b"X"}
