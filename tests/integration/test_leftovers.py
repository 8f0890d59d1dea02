"""What dead musters left behind is found by its marks, and nobody else is touched."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from muster.infrastructure.adapters.local_process import leftovers
from muster.infrastructure.adapters.local_process.environment import host_marker

DEAD_HOST = "4194000:1"


@pytest.fixture
def start() -> Iterator[object]:
    started = []

    def start(argv: tuple[str, ...] = ("/bin/sleep", "100"), **env: str) -> int:
        process = subprocess.Popen(argv, env=env)
        started.append(process)
        # `Popen` returns in mid-exec, when the old environment is no longer there.
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
            pass
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.wait()


def found() -> dict[int, leftovers.Leftover]:
    return {each.pid: each for each in leftovers.find()}


@pytest.mark.parametrize(
    ("env", "is_leftover"),
    [
        ({"MUSTER_HOST": DEAD_HOST, "MUSTER_RUN_ID": "r1"}, True),
        ({"MUSTER_HOST": DEAD_HOST}, True),
        ({"MUSTER_HOST": f"{os.getpid()}:1", "MUSTER_RUN_ID": "r1"}, True),
        ({"MUSTER_HOST": host_marker(), "MUSTER_RUN_ID": "r1"}, False),
        ({"MUSTER_HOST": f"{os.getpid()}:", "MUSTER_RUN_ID": "r1"}, False),
        ({"MUSTER_HOST": "no number", "MUSTER_RUN_ID": "r1"}, False),
        ({"MUSTER_RUN_ID": "r1"}, False),
        ({}, False),
    ],
)
def test_whom_the_marks_point_out(  # type: ignore[no-untyped-def]
    start, env: dict[str, str], *, is_leftover: bool
) -> None:
    """A dead host's; a pid that was given to another process does not count as its."""
    pid = start(**env)

    assert (pid in found()) == is_leftover


def test_what_is_told(start) -> None:  # type: ignore[no-untyped-def]
    pid = start(MUSTER_HOST=DEAD_HOST, MUSTER_RUN_ID="r1")

    leftover = found()[pid]

    assert (leftover.run_id, leftover.command) == ("r1", "/bin/sleep 100")
    assert 0 <= leftover.age < 60


@pytest.mark.parametrize(
    "script", ["sleep 100", "trap '' TERM; kill -STOP $$; sleep 100"]
)
def test_reaping(start, script: str) -> None:  # type: ignore[no-untyped-def]
    """Those found are ended, deaf and stopped ones too; nobody lives on."""
    pid = start(("/bin/sh", "-c", script), MUSTER_HOST=DEAD_HOST)

    left = leftovers.reap([found()[pid]])

    assert left == []
    assert pid not in found()


def test_a_reused_pid_is_spared(start) -> None:  # type: ignore[no-untyped-def]
    """Between finding and reaping, a pid may have become another process's."""
    pid = start(MUSTER_HOST=DEAD_HOST)

    leftovers.reap([evolve(found()[pid], born=b"1")])

    assert pid in found()
    os.kill(pid, signal.SIGKILL)
