"""`muster demo`: real processes through the production path, and a check of itself."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from pathlib import Path

import attrs
import pytest

from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.run_report import RunReport, RunStatus
from muster.infrastructure.cli import demo_fleet
from muster.infrastructure.cli.demo_agents import FLOOD_BYTES, Notes
from muster.infrastructure.cli.demo_fleet import Judgement
from muster.infrastructure.stored_runs import read_run
from tests.support.command_line import MUSTER, Place, has_marks, is_alive


@pytest.fixture
def place(tmp_path):
    """A project and a home of their own; what the demo leaves is in its folder."""
    (tmp_path / "tmp").mkdir()
    place = Place(tmp_path, {"TMPDIR": str(tmp_path / "tmp")})
    yield place
    shutil.rmtree(tmp_path / "tmp", ignore_errors=True)


def noted_pids(folder):
    """The pids that the agents have noted."""
    files = (Path(folder) / "notes").glob("*.jsonl")
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [json.loads(line)["pid"] for line in lines]


def test_the_demo(place):
    """Everything goes as designed; nobody survives; results can be read."""
    document = place.muster("demo", "--json").document

    assert document["ok"], document["checks"]
    assert [each["name"] for each in document["checks"]][-1] == "survivors"
    run = read_run(Path(document["home"]), "last")
    assert len(run.results) == 9
    assert not run.problems
    assert run.summary["by_cause"] == {"auth": 1}
    pids = noted_pids(document["home"])
    assert len(pids) > 9
    assert not [pid for pid in pids if is_alive(pid)]
    assert not has_marks(run.run_id)


def test_the_demo_in_words(place):
    """One line per event on stderr, the verdict on stdout, and where the results are."""
    place.environ["MUSTER_POLICY"] = "no such policy, and the demo does not care"
    place.write(".muster/agents/writer.md", "---\nname: writer\n---\nBe someone else.")

    said = place.muster("demo")

    assert "8 of 9 tasks done" in said.out
    assert "as designed" in said.out
    assert "NOT" not in said.out
    assert "simulated" in said.out
    assert "research (researcher): falls back" in said.err
    assert "\x1b" not in said.out + said.err
    (folder,) = (place.root / "tmp").glob("muster-demo-*")
    assert str(folder) in said.out
    assert not (place.project / ".muster" / "runs").exists()
    place.environ = {"MUSTER_HOME": str(folder)}
    assert "done by fallback" in place.muster("show", "last").out


def test_the_demo_is_interrupted(place):
    """Twice Ctrl-C: 130, and nobody survives."""
    with place.start("demo") as process:
        while "research" not in process.stderr.readline():
            continue
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert process.returncode == 130
    (folder,) = (place.root / "tmp").glob("muster-demo-*")
    assert not [pid for pid in noted_pids(folder) if is_alive(pid)]


def test_the_demo_on_a_terminal(place):
    """A live table, gone at the end; the verdict stays."""
    ours, theirs = pty.openpty()
    environ = place.environment() | {"TERM": "xterm-256color"}
    with subprocess.Popen(
        [MUSTER, "demo"],
        cwd=place.project,
        env=environ,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 65536)
            except OSError:
                break
        out = process.stdout.read().decode()
    os.close(ours)

    assert process.returncode == 0
    assert b"last line" in seen
    assert b"\x1b[?25h" in seen
    assert "as designed" in out


def test_the_demo_sees_nothing_of_its_user(tmp_path):
    """Neither settings nor profiles nor lanes can change it; its depth counts."""
    found = demo_fleet.environment(
        {"PATH": "/bin", "HOME": "/h", "XDG_CACHE_HOME": "/c", "MUSTER_TOOL": "x"}
        | {"MUSTER_DEPTH": "2"},
        tmp_path,
    )

    assert found == {"PATH": "/bin", "HOME": str(tmp_path), "MUSTER_DEPTH": "2"}


# --- the demo's own eyes --------------------------------------------------------


def judged(tmp_path, role, result, *notes):
    """What the demo says of one result, given what its agent noted."""
    for what, at in notes:
        with (tmp_path / f"{role}.jsonl").open("a") as file:
            file.write(json.dumps({"what": what, "pid": 1, "at": at}) + "\n")
    report = RunReport("run", RunStatus.FAILED, {role: result})
    checks = {each.name: each for each in Judgement(report, tmp_path).checks()}
    return checks[role]


DONE = SpawnResult(success=True, output="Merged 3 answers.")
AUTH = SpawnResult(success=False, failure=Failure(FailureCause.AUTH, "no key"))
START = ("started", 1.0)
LATE = demo_fleet.BROKEN_SECONDS


@pytest.mark.parametrize(
    ("role", "result", "notes", "is_ok"),
    [
        ("review", AUTH, [START], True),
        ("review", AUTH, [START, START], False),
        ("review", DONE, [START], False),
        ("tests", attrs.evolve(DONE, retry_count=1), [START, START], True),
        ("tests", DONE, [START], False),
        ("tests", attrs.evolve(DONE, retry_count=1), [START], False),
        (
            "research",
            attrs.evolve(DONE, fallback=True),
            [START, ("failed", 1.0), ("asked to end", 1.3)],
            True,
        ),
        (
            "research",
            attrs.evolve(DONE, fallback=True),
            [START, ("failed", 1.0), ("asked to end", 1.0 + LATE)],
            False,
        ),
        ("research", attrs.evolve(DONE, fallback=True), [START], False),
        ("translate", DONE, [START], False),
        ("build", attrs.evolve(DONE, leftovers=1), [START], True),
        ("build", DONE, [START], False),
        ("logs", attrs.evolve(DONE, truncated=True), [START], False),
        ("estimate", attrs.evolve(DONE, simulated=True), [], True),
        ("estimate", DONE, [], False),
        ("merge", DONE, [START], True),
        ("merge", attrs.evolve(DONE, output="Merged 2 answers."), [START], False),
        ("outline", DONE, [START], True),
        ("outline", AUTH, [START], False),
    ],
)
def test_what_went_wrong_is_seen(tmp_path, role, result, notes, is_ok):
    """The demo believes neither muster nor itself."""
    assert judged(tmp_path, role, result, *notes).is_ok is is_ok


def test_a_flood_that_lost_a_byte(tmp_path):
    """Is no success."""
    file = tmp_path / "logs.out"
    flooded = attrs.evolve(DONE, truncated=True, output_path=str(file))

    file.write_bytes(bytes(FLOOD_BYTES))
    assert judged(tmp_path, "logs", flooded, START).is_ok
    file.write_bytes(bytes(FLOOD_BYTES - 1))
    assert not judged(tmp_path, "logs", flooded, START).is_ok


def test_a_survivor_is_seen(tmp_path):
    """By the pid that it noted."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        Notes("build", tmp_path).write("started", process.pid)
        report = RunReport("no such run", RunStatus.FAILED, {})
        found = Judgement(report, tmp_path).survivors()
        process.kill()

    assert not found.is_ok
    assert found.what == "1 of 1 processes are left"


def test_a_survivor_that_noted_nothing_is_seen(tmp_path):
    """By the mark of its run."""
    environ = {**os.environ, "MUSTER_RUN_ID": "the-run"}
    Notes("build", tmp_path).write("started", 999_999)
    with subprocess.Popen(["sleep", "60"], env=environ) as process:
        report = RunReport("the-run", RunStatus.FAILED, {})
        found = Judgement(report, tmp_path).survivors()
        process.kill()

    assert not found.is_ok


def test_a_missing_result_is_seen(tmp_path):
    """No task of the demo may vanish."""
    report = RunReport("run", RunStatus.FAILED, {})

    assert not any(each.is_ok for each in Judgement(report, tmp_path).checks())
