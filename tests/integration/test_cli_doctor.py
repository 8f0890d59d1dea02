"""`muster doctor`: findings with what to do, and the end of what dead runs left."""

import os
import shutil
import subprocess
import time

import pytest

from muster.infrastructure.cli.doctor import Examination
from tests.support.command_line import MUSTER, Place

UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
DEAD_HOST = "999999:1"


@pytest.fixture
def place(tmp_path):
    """A project and a home of their own."""
    return Place(tmp_path)


def doctor(place):
    """The findings by subject. The verdict is the machine's, so any will do."""
    with place.start("doctor", "--json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 1), err
    from json import loads  # noqa: PLC0415

    document = loads(out)
    assert document["ok"] is (process.returncode == 0)
    found = {}
    for each in document["findings"]:
        found.setdefault(each["subject"], []).append(each)
    return found


def test_everything_is_looked_at(place):
    """Each of the things that a run stands on has a finding."""
    found = doctor(place)

    assert {
        "python",
        "containment",
        "open files",
        "processes",
        "pipes",
        "clock",
        "PATH",
        "settings",
        "agents",
        "home",
        "disk",
        "lanes",
        "depth",
        "tools",
        "leftovers",
    } <= set(found)
    assert found["settings"][0]["level"] == "ok"
    assert found["tools"][0]["level"] == "warning"
    assert "muster demo" in found["tools"][0]["advice"]


def test_it_changes_nothing(place):
    """No folder is made in the project, and none in the home."""
    doctor(place)

    assert not list(place.project.iterdir())
    assert not list(place.home.iterdir())


def test_settings_that_are_wrong(place):
    """Are problems, all of them, and the rest is looked at all the same."""
    place.write("muster.toml", 'polcy = "x"\nmax_depth = "many"\n')
    place.environ["MUSTER_NONSENSE"] = "1"

    found = doctor(place)

    texts = [each["what"] for each in found["settings"]]
    assert len(texts) == 3
    assert any("muster.toml:1" in each for each in texts)
    assert any("muster.toml:2" in each for each in texts)
    assert any("MUSTER_NONSENSE" in each for each in texts)
    assert {each["level"] for each in found["settings"]} == {"problem"}
    assert "home" in found


@pytest.mark.parametrize(
    ("environ", "subject", "level"),
    [
        ({"MUSTER_DEPTH": "9"}, "depth", "problem"),
        ({"MUSTER_TOOL": "no-such-tool"}, "tools", "problem"),
        ({"MUSTER_HOME": "/proc/nowhere"}, "home", "problem"),
        ({"MUSTER_CONTAINMENT": "group"}, "containment", "warning"),
        ({"ANTHROPIC_API_KEY": "x"}, "tools", "warning"),
    ],
)
def test_what_the_environment_spoils(place, environ, subject, level):
    """Is found, and said what to do about."""
    place.environ.update(environ)

    first = doctor(place)[subject][0]

    assert first["level"] == level
    assert first["advice"]


def test_a_login_that_is_missing(place):
    """Says how to log in."""
    place.program("claude", "exit 1")

    (found,) = doctor(place)["tools"]

    assert found["level"] == "warning"
    assert "ANTHROPIC_API_KEY" in found["advice"]


def test_outputs_that_git_would_commit(place):
    """And the command that prevents it works."""
    subprocess.run(["git", "init", "-q", str(place.project)], check=True)
    (place.project / ".muster").mkdir()

    (found,) = doctor(place)["git"]
    assert found["level"] == "warning"
    subprocess.run(["sh", "-c", found["advice"]], check=True)

    assert doctor(place)["git"][0]["level"] == "ok"


def test_the_screen_ends_with_what_matters(place):
    """Problems stand last, above the sum."""
    place.environ["MUSTER_DEPTH"] = "9"
    lines = place.muster("doctor", code=1).out.splitlines()

    levels = [each.split()[0] for each in lines if each and not each.startswith(" ")]
    order = [each for each in levels if each in ("ok", "warning", "PROBLEM")]
    assert order == sorted(order, key=["ok", "warning", "PROBLEM"].index)
    assert "problem" in lines[-1]


def test_a_folder_without_settings(place):
    """The examination of a folder needs no command line."""
    findings = list(Examination.of(place.environment(), place.project).findings())

    assert all(each.advice for each in findings if each.level != "ok")


# --- leftovers: in a world of their own, for those of others are nobody's business ----


def _has_namespaces():
    if shutil.which("unshare") is None:
        return False
    answer = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    return answer.returncode == 0


REAPING = """
MUSTER_RUN_ID=run-1 MUSTER_HOST={dead} sleep 301 & dead=$!
MUSTER_RUN_ID=run-1 MUSTER_HOST={dead} sh -c 'trap "" TERM; sleep 302; true' & deaf=$!
MUSTER_RUN_ID=run-2 MUSTER_HOST=$$: sleep 303 & living=$!
sleep 304 & stranger=$!
sleep 0.3
{muster} doctor --json > {out}/before.json
echo $? > {out}/before
{muster} doctor --reap --json > {out}/reaped.json
for pid in $dead $deaf $living $stranger; do
  kill -0 $pid 2>/dev/null && read state < /proc/$pid/stat && echo "$state"
done > {out}/alive
kill $living $stranger
"""


@pytest.mark.skipif(not _has_namespaces(), reason="no namespaces for this user here")
def test_leftovers_are_listed_and_reaped(place):
    """Those of dead hosts alone: the deaf one too, a living run's and others' never."""
    from json import loads  # noqa: PLC0415

    script = REAPING.format(dead=DEAD_HOST, muster=MUSTER, out=place.root)
    began = time.monotonic()
    subprocess.run(
        [*UNSHARE, "sh", "-c", script],
        cwd=place.project,
        env=place.environment(),
        check=True,
        timeout=60,
        capture_output=True,
    )

    assert time.monotonic() - began < 60
    before, reaped = (
        {each["subject"]: each for each in loads(text)["findings"]}["leftovers"]
        for text in (
            (place.root / f"{name}.json").read_text() for name in ("before", "reaped")
        )
    )
    assert (place.root / "before").read_text().strip() == "1"
    assert before["level"] == "problem"
    assert {each["run_id"] for each in before["details"]} == {"run-1"}
    assert any("sleep 301" in each["command"] for each in before["details"])
    assert reaped["level"] == "ok"
    alive = (place.root / "alive").read_text().splitlines()
    assert [each.split()[1] for each in alive if " Z " not in each] == [
        "(sleep)",
        "(sleep)",
    ]


def test_this_process_is_no_leftover():
    """Whoever asks is not ended, even with a dead host's mark (a nested muster)."""
    from muster.infrastructure.adapters.local_process import leftovers  # noqa: PLC0415

    assert os.getpid() not in [each.pid for each in leftovers.find()]
