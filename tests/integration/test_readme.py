"""What the README tells a newcomer to type does what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from muster.infrastructure.stored_runs import read_run

ROOT = Path(__file__).parents[2]
STEPS = re.compile(r"<!-- night -->\n+```console\n(.*?)```", re.DOTALL)
PLAN = "examples/night.md"

# Agents count themselves, and sleep a tenth; whoever types waits until three are done.
SLEEP = """#!/bin/sh
if [ -n "$MUSTER_TASK_ID" ]; then
    [ "$1" -lt 100 ] && exec /bin/sleep "0.$1"
    exec /bin/sleep "$1"
fi
until [ "$(ls .muster/runs/*/results/*.json 2>/dev/null | wc -l)" -ge 3 ] &&
    [ -e counts/5 ]; do /bin/sleep 0.05; done
"""
SHELL = """#!/bin/sh
echo x >> "counts/$MUSTER_TASK_ID"
exec /bin/sh "$@"
"""


def program(path: Path, text: str) -> None:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What `git clone` and `make demo` leave, and a PATH whose programs are quick."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    plan = tmp_path / PLAN
    plan.write_text(plan.read_text().replace("Timeout: 5", "Timeout: 2"))
    python = f'#!/bin/sh\nexec {sys.executable} -m muster "$@"\n'
    program(tmp_path / ".venv" / "bin" / "muster", python)
    program(tmp_path / "bin" / "sleep", SLEEP)
    program(tmp_path / "bin" / "sh", SHELL)
    (tmp_path / "counts").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path


def typed(place: Path, line: str) -> "subprocess.CompletedProcess[str]":
    """The line in a shell, as it stands there."""
    environ = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "HOME": str(place / "home"),
        "LANG": "C.UTF-8",
    }
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=place,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def counts(place: Path) -> dict[str, int]:
    """How often each program ran, as they say themselves."""
    found = (place / "counts").iterdir()
    return {each.name: len(each.read_text().split()) for each in found}


def results(place: Path) -> dict[str, Any]:
    """The documents in the run's folder."""
    found = place.glob(".muster/runs/*/results/*.json")
    return {each.stem: json.loads(each.read_text()) for each in found}


def test_a_night_that_is_killed_and_resumed(place: Path) -> None:
    """Eight tasks, SIGKILL, resume: what was finished is neither lost nor run again."""
    (text,) = STEPS.findall((ROOT / "README.md").read_text())
    kill, resume, report = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    assert "kill -9" in kill
    assert PLAN in kill

    typed(place, kill)
    before, ran = results(place), counts(place)
    assert not list(place.glob(".muster/runs/*/summary.json"))
    resumed = typed(place, resume)
    reported = typed(place, report)

    assert (resumed.returncode, reported.returncode) == (1, 0), resumed.stderr
    after = results(place)
    assert len(before) >= 3
    assert {each: after[each] for each in before} == before
    # The one that failed is finished too; the one that hung was cut off.
    again = {each for each in ran if each not in before}
    assert "5" in again
    assert counts(place) == {"2": 1, "3": 1, "4": 1, "5": 1} | dict.fromkeys(again, 2)
    fates = {each: (after[each]["failure"] or {}).get("cause") for each in after}
    assert fates == dict.fromkeys("12367") | {
        "4": "crash",
        "5": "deadline",
        "8": "dependency_failed",
    }
    page = (place / "night.html").read_text()
    for said in (
        "Interrupted, and resumed",
        "cut off when muster died",
        "lint: 3 problems in setup.cfg",
        "Deadline: not done within 2 s",
        "dependency &#x27;4&#x27; failed",
        "212 tests passed",
        "Critical path",
    ):
        assert said in page, said
    (run,) = place.glob(".muster/runs/*")
    assert (run / "report.html").read_text() == page
    assert not read_run(place / ".muster").problems
