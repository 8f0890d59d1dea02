"""Small programs that try to outlive their agent, and a leash that none can slip.

The leash is the write end of a pipe, given to a program as its descriptor 0 and so to
all that it starts. The read end is at its end of file when, and only when, no process
holds it: no name, environment, session or parent is asked, nothing can be missed.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

PRELUDE: Final = """
import os, signal, sys, time
def ready():
    os.write(0, b"r")
def sleep():
    while True:
        time.sleep(1000)
def deaf():
    for number in (1, 2, 3, 15):
        signal.signal(number, signal.SIG_IGN)
def child(*deeds):
    if os.fork() == 0:
        for deed in deeds:
            deed()
        os._exit(0)
def daemon(*deeds):
    child(os.setsid, lambda: child(*deeds))
    os.wait()
def helper():
    return int(open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[1])
def bare():
    os.execve("/bin/sleep", ["sleep", "1000"], {})
def chain(pause, *deeds):
    while True:
        for deed in deeds:
            deed()
        if os.fork():
            os._exit(0)
        time.sleep(pause)
def reaper():
    import ctypes
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
"""

# What each does before its leader sleeps, or ends when it was told to.
ESCAPES: Final = {
    "plain": "ready()",
    "background": "child(ready, sleep)",
    "nohup": "child(lambda: signal.signal(1, signal.SIG_IGN), ready, sleep)",
    "own group": "child(lambda: os.setpgid(0, 0), ready, sleep)",
    "setsid": "child(os.setsid, ready, sleep)",
    "daemon": "daemon(ready, sleep)",
    "bare daemon": "daemon(ready, bare)",
    "deaf": "deaf(); child(ready, sleep)",
    "deaf daemon": "deaf(); daemon(ready, sleep)",
    "stopped": "child(ready, lambda: os.kill(os.getpid(), signal.SIGSTOP), sleep)",
    "all stopped": (
        "daemon(lambda: os.kill(os.getpid(), signal.SIGSTOP), sleep); ready();"
        "end or os.kill(os.getpid(), signal.SIGSTOP)"
    ),
    "re-forker": "child(ready, lambda: chain(0.003))",
    "session hopper": "child(ready, lambda: chain(0.003, os.setsid))",
    "nested reaper": "child(os.setsid, deaf, reaper, lambda: daemon(ready, sleep), sleep)",
    "family tree": "[child(lambda: [child(sleep) for _ in 'xyz'], sleep) for _ in 'xyz']; ready()",
    "fork race": "child(ready, lambda: [child(sleep) for _ in range(100)], sleep)",
}
# These turn against the keeper itself; each needs a pool of its own.
ATTACKS: Final = {
    "kills keeper": "deaf(); daemon(sleep); ready(); os.kill(os.getppid(), 9)",
    "kills helper": "deaf(); daemon(sleep); ready(); os.kill(helper(), 9)",
    "stops keeper": "deaf(); daemon(sleep); ready(); os.kill(os.getppid(), 19)",
    "stops helper": "deaf(); daemon(sleep); ready(); os.kill(helper(), 19)",
    "stops both": (
        "deaf(); daemon(sleep); ready(); os.kill(helper(), 19); os.kill(os.getppid(), 19)"
    ),
    "kills both": (
        "deaf(); child(sleep); ready(); os.kill(helper(), 9); os.kill(os.getppid(), 9)"
    ),
    "terminates keeper": "deaf(); daemon(sleep); ready(); os.kill(os.getppid(), 15)",
}
ALL: Final = {**ESCAPES, **ATTACKS}
# Descriptors 1 and 2 may be held too: only an end of file may be waited for.


def python() -> str:
    """An interpreter that the present user may execute."""
    return sys.executable if os.access(sys.executable, os.X_OK) else "/usr/bin/python3"


def command(name: str, *, leader_ends: bool = False) -> tuple[str, ...]:
    """The argv of an escape. Its leader sleeps in the end, or ends with code 0."""
    source = f"{PRELUDE}end = {leader_ends}\n{ALL[name]}\nend or sleep()\n"
    return (python(), "-I", "-S", "-c", source)


class Leash:
    """One pipe; `end` goes to the program as its descriptor 0."""

    def __init__(self) -> None:
        self.read_end, self.end = os.pipe()
        os.set_blocking(self.read_end, False)

    def let_go(self) -> None:
        """Close our own copy of the end that the programs hold."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    async def signs(self, count: int = 1, within: float = 20.0) -> bool:
        """Wait until so many processes have said that they are ready."""
        due = time.monotonic() + within
        while time.monotonic() < due:
            try:
                heard = os.read(self.read_end, count)
            except BlockingIOError:
                await asyncio.sleep(0.002)
                continue
            if not heard:
                return False
            count -= len(heard)
            if count <= 0:
                return True
        return False

    def is_free(self) -> bool:
        """Whether nobody holds the leash (that is, nobody survives)."""
        try:
            while os.read(self.read_end, 4096):
                pass
        except BlockingIOError:
            return False
        return True

    def is_free_within(self, seconds: float) -> bool:
        due = time.monotonic() + seconds
        while not self.is_free():
            if time.monotonic() > due:
                return False
            time.sleep(0.01)
        return True

    def holders(self) -> list[int]:
        """Who holds the leash, ourselves left out."""
        numbers = [int(n) for n in os.listdir("/proc") if n.isdigit()]  # noqa: PTH208
        return [pid for pid in numbers if self._is_held_by(pid)]

    def close(self) -> None:
        """End whoever survived, so that one failure does not make others."""
        self.let_go()
        due = time.monotonic() + 10
        while not self.is_free() and time.monotonic() < due:
            # The youngest first: one that re-forks is gone before all are looked at.
            youngest = int(Path("/proc/loadavg").read_text().split()[-1])
            for pid in (*range(youngest, max(1, youngest - 20), -1), *self.holders()):
                if self._is_held_by(pid):
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
        os.close(self.read_end)

    def _is_held_by(self, pid: int) -> bool:
        """By its descriptors 0 to 2; our own copy, and a host's, are higher."""
        pipe = f"pipe:[{os.fstat(self.read_end).st_ino}]"
        for fd in range(3):
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}") == pipe:  # noqa: PTH115
                    return pid != os.getpid()
            except OSError:
                continue
        return False
