"""Processes tell each other about lanes through files, and nothing there stops a run."""

import fcntl
import json
import math
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from muster.domain.lane import Lane, Parked, Wait
from muster.domain.lane_notice import LaneNotice
from muster.domain.outcome import Failure, FailureCause
from muster.infrastructure.lane_gate import FileLaneGate

NOTICE = LaneNotice(
    gate_until=2e9, rate=4.5, parked_until=3e9, reason="usage limit", written_at=1.9e9
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "lanes"


@pytest.fixture
def gates(folder):
    return FileLaneGate(folder, "one"), FileLaneGate(folder, "two")


def the_file(folder):
    [path] = folder.glob("*.json")
    return path


def test_a_notice_reaches_others_and_not_its_writer(gates):
    """Whole, with the name of who wrote it."""
    one, two = gates
    assert two.read("claude/me/opus") is None
    one.publish("claude/me/opus", NOTICE)

    told = two.read("claude/me/opus")
    assert told.writer == "one"
    assert (told.gate_until, told.rate, told.parked_until) == (2e9, 4.5, 3e9)
    assert (told.reason, told.written_at) == ("usage limit", 1.9e9)
    assert one.read("claude/me/opus") is None
    assert two.read("claude/me/haiku") is None
    assert (one.problem, two.problem) == (None, None)


def test_longer_waits_of_others_stay_and_an_empty_notice_withdraws_all(gates):
    """The later end wins; a person who acted can take it back."""
    one, two = gates
    one.publish("x", NOTICE)
    two.publish("x", LaneNotice(gate_until=2.5e9, rate=1.0, reason="429"))
    told = one.read("x")
    assert (told.gate_until, told.parked_until, told.rate) == (2.5e9, 3e9, 1.0)
    assert told.reason == "usage limit"

    two.publish("x", LaneNotice(gate_until=1e9))
    assert one.read("x").gate_until == 2.5e9
    two.publish("x", LaneNotice())
    assert one.read("x").parked_until is None


def test_files_are_private_and_their_names_are_no_paths(gates, folder):
    """0600 in 0700, whatever an account is called."""
    folder.mkdir(parents=True, mode=0o755)
    name = "../../etc/passwd\0 \udc80"
    gates[0].publish(name, NOTICE)

    assert gates[1].read(name).writer == "one"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {0o600}
    assert not list(folder.glob("*.new"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"{",
        b"[" * 4000,
        b'{"gate_until": ' + b"9" * 4000,
        json.dumps({"reason": "x" * 10_000}).encode(),
    ],
)
def test_garbage_is_ignored_and_replaced(gates, folder, content):
    """Half a file, another program's file, an attack: as if nothing stood there."""
    one, two = gates
    one.publish("x", NOTICE)
    the_file(folder).write_bytes(content)

    assert two.read("x") is None
    assert "garbage" in two.problem
    one.publish("x", NOTICE)
    assert two.read("x").rate == 4.5


@pytest.mark.parametrize(
    "value", ["soon", None, True, [], {}, -5, 0, math.nan, math.inf, 10**400]
)
def test_fields_of_the_wrong_kind_are_left_out(gates, folder, value):
    """One bad field costs that field."""
    gates[0].publish("x", NOTICE)
    path = the_file(folder)
    document = json.loads(path.read_text()) | {"gate_until": value, "reason": value}
    path.write_text(json.dumps(document))

    told = gates[1].read("x")
    assert told.gate_until is None
    assert told.rate == 4.5
    assert told.reason in {"", "soon"}


def test_control_characters_and_floods_do_not_come_through(gates):
    """The reason is shown on a terminal."""
    gates[0].publish("x", LaneNotice(gate_until=2e9, reason="\x1b[2J\n" + "y" * 9999))

    assert gates[1].read("x").reason.startswith("[2Jyyy")
    assert len(gates[1].read("x").reason) <= 300


def test_an_unchanged_file_is_not_read_again(gates, folder):
    """One stat; a notice is the same object until the file is replaced."""
    one, two = gates
    one.publish("x", NOTICE)
    first = two.read("x")
    assert two.read("x") is first

    one.publish("x", LaneNotice(rate=9.0))
    assert two.read("x").rate == 9.0
    the_file(folder).unlink()
    assert two.read("x") is None
    assert two.problem is None


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "lock link"])
def test_planted_files_are_not_followed(gates, folder, tmp_path, kind):
    """Nothing outside the folder is read or written, and nothing hangs."""
    one, two = gates
    one.publish("x", NOTICE)
    path = the_file(folder)
    victim = tmp_path / "victim"
    victim.write_text(path.read_text())
    target = Path(f"{path}.lock") if kind == "lock link" else path
    target.unlink()
    if kind == "fifo":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(victim)
    before = victim.read_text()

    if kind != "lock link":
        assert two.read("x") is None
        assert two.problem
    one.publish("x", NOTICE)
    assert victim.read_text() == before


def test_a_folder_that_cannot_be_leaves_the_process_alone(tmp_path):
    """Said once in words, never raised."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    gate = FileLaneGate(blocked / "lanes")
    gate.publish("x", NOTICE)

    assert gate.read("x") is None
    assert "not shared" in gate.problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_leaves_the_process_alone(gates, folder):
    """The permission of the folder's parent is taken away."""
    folder.parent.mkdir(mode=0o500)
    gates[0].publish("x", NOTICE)

    assert gates[0].read("x") is None
    assert gates[0].problem


def test_a_lock_that_somebody_sits_on_is_not_waited_for(gates, folder):
    """A stopped process must not stop the others."""
    one, two = gates
    one.publish("x", NOTICE)
    with Path(f"{the_file(folder)}.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        two.publish("x", LaneNotice(rate=7.0))

    assert one.read("x").rate == 7.0


WRITER = """
import sys
from muster.domain.lane_notice import LaneNotice
from muster.infrastructure.lane_gate import FileLaneGate
gate = FileLaneGate(sys.argv[1])
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    gate.publish("x", LaneNotice(gate_until=1e9 + number, rate=1.0, reason="r" * 250))
    gate.read("x")
print(gate.problem, flush=True)
"""


def writer(folder, count):
    command = [sys.executable, "-c", WRITER, str(folder), str(count)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_two_processes_write_and_a_third_always_reads_whole_notices(folder):
    """Files are replaced, never written in place."""
    gate, seen = FileLaneGate(folder), set()
    processes = [writer(folder, 400), writer(folder, 400)]
    while any(process.poll() is None for process in processes):
        notice = gate.read("x")
        if notice is not None:
            assert notice.reason == "r" * 250
            seen.add(notice.writer)

    assert [process.communicate()[0] for process in processes] == ["ready\nNone\n"] * 2
    assert gate.problem is None
    assert len(seen) == 2
    assert gate.read("x").gate_until == 1e9 + 399


def test_a_writer_killed_at_any_time_leaves_a_lane_that_works(folder):
    """SIGKILL in mid-write: the lock is gone with its holder, the file is whole."""
    gate = FileLaneGate(folder)
    for _ in range(5):
        with writer(folder, 10**6) as process:
            process.stdout.readline()
            while gate.read("x") is None:
                pass
            process.send_signal(signal.SIGKILL)
        assert gate.read("x").reason == "r" * 250
        gate.publish("x", LaneNotice())

    assert gate.problem is None


def test_a_lane_in_another_process_obeys_a_retry_after_and_a_quota(gates):
    """What one fleet meets, the next one waits for."""
    one, two = gates
    mine, other = Lane("x"), Lane("x")
    for failure, answer in (
        (Failure(FailureCause.RATE_LIMIT, "429", retry_after=60.0), Wait),
        (Failure(FailureCause.QUOTA, "usage limit", resets_at=5e9), Parked),
    ):
        mine.settle(mine.admit(1e6), 1e6, failure, 4.99999e9)
        one.publish("x", mine.notice(1e6, 4.99999e9))
        other.apply(two.read("x"), 50.0, 4.99999e9)
        assert isinstance(other.admit(50.0, 4.99999e9), answer)
        mine = Lane("x")
