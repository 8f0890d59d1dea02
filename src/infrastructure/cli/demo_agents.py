"""The programs that `muster demo` runs as agents, each with a way of its own to go wrong.

Started as ``python -I -S demo_agents.py ROLE FOLDER``: nothing of muster is imported,
because an agent is any program. What each does is written down in FOLDER, so that the
demo can check muster's story against theirs.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

FLOOD_BYTES = 8 * 1024 * 1024
LINE = b"2026-01-01 12:00:00 INFO nothing to see here, really nothing\n" * 64
FOREVER = 3600.0
ABORTED = 134


class Notes:
    """What an agent tells the demo, line by line, behind muster's back."""

    def __init__(self, role: str, folder: Path) -> None:
        self._file = folder / f"{role}.jsonl"

    def write(self, what: str, pid: int | None = None) -> None:
        """Notes what happened, when (monotonic seconds) and to whom."""
        note = {"what": what, "pid": pid or os.getpid(), "at": time.monotonic()}
        with self._file.open("a", encoding="ascii") as file:
            file.write(json.dumps(note) + "\n")

    def read(self) -> "Iterator[dict[str, object]]":
        """All notes of that role."""
        if self._file.exists():
            yield from map(json.loads, self._file.read_text("ascii").splitlines())


def say(text: str, *, err: bool = False) -> None:
    """A line, at once."""
    print(text, file=sys.stderr if err else sys.stdout, flush=True)


def work(seconds: float, *steps: str) -> None:
    """Takes a while and says so."""
    for step in steps or ("working",):
        say(step)
        time.sleep(seconds / max(1, len(steps)))


def attempt() -> int:
    """Which try this is."""
    return int(os.environ.get("MUSTER_ATTEMPT", "1"))


def outline(notes: Notes) -> int:
    """Works and answers."""
    work(3.6, "reading the brief", "collecting", "ordering", "writing", "polishing")
    say("An outline in five parts.")
    return 0


def review(notes: Notes) -> int:
    """Has no valid key: no further try can help."""
    work(0.8, "opening the change")
    say("Error: invalid API key", err=True)
    return 1


def tests(notes: Notes) -> int:
    """Crashes at first."""
    work(1.2, "collecting tests", "running tests")
    if attempt() == 1:
        say("Fatal: out of luck", err=True)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()
    say("12 passed")
    return 0


def research(notes: Notes) -> int:
    """Prints a failure and hangs, as long as it is asked as this agent."""

    def ended(number: int, frame: object) -> None:
        notes.write("asked to end")
        os._exit(ABORTED)

    work(1.0, "looking for sources")
    if "MUSTER_AGENT" in os.environ:
        signal.signal(signal.SIGTERM, ended)
        notes.write("failed")
        say("Error: connection refused by the model server", err=True)
        time.sleep(FOREVER)
    say("Three sources were found.")
    return 0


def translate(notes: Notes) -> int:
    """Is rate limited at first."""
    time.sleep(0.5)
    if attempt() == 1:
        say("Error: 429 rate limit exceeded, retry after 1 s", err=True)
        return 1
    work(1.0, "translating")
    say("Bonjour")
    return 0


def build(notes: Notes) -> int:
    """Leaves a process behind, in a session of its own where no group signal finds it."""
    nothing = subprocess.DEVNULL
    with subprocess.Popen(  # noqa: S603 - this very Python
        [sys.executable, "-I", "-S", "-c", f"import time; time.sleep({FOREVER})"],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        start_new_session=True,
    ) as left:
        notes.write("started", left.pid)
        work(1.0, "compiling", "linking")
        say("built; the watcher was forgotten")
        sys.stdout.flush()
        # Not by returning: that would wait for it.
        os._exit(0)


def logs(notes: Notes) -> int:
    """Prints more than anybody wants to read."""
    rest = FLOOD_BYTES
    while rest:
        rest -= os.write(1, LINE[:rest])
        if rest % (FLOOD_BYTES // 16) < len(LINE):
            time.sleep(0.05)
    return 0


def merge(notes: Notes) -> int:
    """Uses what the tasks before it have answered."""
    prompt = sys.stdin.read()
    found = [line for line in prompt.splitlines() if line.startswith("✓ [")]
    work(1.8, *(f"taking in {line}" for line in found))
    say(f"Merged {len(found)} answers.")
    return 0


ROLES: dict[str, Callable[[Notes], int]] = {
    each.__name__: each
    for each in (outline, review, tests, research, translate, build, logs, merge)
}


def main(role: str, folder: str) -> int:
    """Plays the role."""
    notes = Notes(role, Path(folder))
    notes.write("started")
    return ROLES[role](notes)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
