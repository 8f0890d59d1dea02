"""What `show`, `runs`, `policies` and `config` make of what they found."""

from pathlib import Path

import attrs
import pytest

from muster.domain.outcome import Attempt, Evidence, Failure, FailureCause, SpawnResult
from muster.infrastructure.cli import config, policies, runs, show, stored
from muster.infrastructure.settings import SettingRow, Settings
from muster.infrastructure.stored_runs import StoredRun

RUN_ID = "20260501T120000.000000Z-abcdef"
FAILURE = Failure(
    FailureCause.CRASH,
    "ended by SIGSEGV",
    Evidence("Fatal: \x1b[31mno luck", "stderr"),
    detection_time_ms=250.0,
)
DONE = SpawnResult(
    success=True, output="first\nlast\n\n", task_id="a", agent="ann", tool="sh"
)
FAILED = SpawnResult(
    success=False,
    output="",
    stderr="oh\x1b]0;title\x07 no\n",
    task_id="b",
    tool="sh",
    exit_code=-11,
    failure=FAILURE,
    retry_count=1,
    attempts=(
        Attempt(1, None, "sh", 0.0, 1.0, failure=FAILURE),
        Attempt(2, None, "sh", 0.0, 1.0, failure=FAILURE, delay_before=2.0),
    ),
)
SUMMARY = {"status": "failed", "total": 2, "succeeded": 1, "failed": 1, "duration_s": 3}


def run(**changes):
    """A stored run with two results."""
    results = {"a": DONE, "b": FAILED}
    return attrs.evolve(StoredRun(RUN_ID, Path("/x"), results, SUMMARY), **changes)


def text_of(lines):
    """A screen as one text."""
    return "\n".join(lines)


def test_a_run_at_a_glance():
    """Tasks with the end of their answers, then failures with their evidence."""
    text = text_of(show.run_screen(run(), 80))

    assert "failed after 3.0 s, 2 tasks: 1 succeeded, 1 failed" in text
    assert "a     ann  done   0      0.00 s  last" in text
    assert "b failed after retry:1" in text
    assert "crash (unknown): ended by SIGSEGV" in text
    assert "seen after 0.25 s" in text
    assert "stderr: Fatal: no luck" in text
    assert "muster show abcdef TASK" in text
    assert "\x1b" not in text


def test_a_run_that_was_cut_off():
    """Has no summary, and is not called failed."""
    text = text_of(show.run_screen(run(summary=None), 80))

    assert "unfinished, 2 results so far" in text


def test_a_run_without_results():
    """Says so and offers nothing to look at."""
    text = text_of(show.run_screen(run(results={}, summary=None), 80))

    assert "0 results so far" in text
    assert "next" not in text


def test_many_tasks():
    """A screen stays readable; all of them are in the JSON."""
    results = {str(n): DONE for n in range(show.MAX_TASKS + 7)}

    assert "... and 7 more (--json has them all)" in text_of(
        show.run_screen(run(results=results), 80)
    )


def test_a_task_in_full():
    """Its attempts with their waits, and what it wrote, without control sequences."""
    text = text_of(show.task_screen(run(), "b", FAILED, 80))

    assert "b: crash, no agent on sh" in text
    assert "exit code -11" in text
    assert "try 2 after a wait of 2.0 s: 1.0 s, ended by SIGSEGV" in text
    assert "stderr:\noh no" in text
    assert "\x1b" not in text


def test_the_end_of_a_long_answer():
    """The last lines, and how many they are."""
    long = attrs.evolve(DONE, output="\n".join(map(str, range(100))))

    text = text_of(show.task_screen(run(), "a", long, 80))

    assert "answer, the last 30 lines:\n70\n" in text


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "done"),
        ({"retry_count": 1}, "recovered"),
        ({"fallback": True, "retry_count": 1}, "done by fallback"),
        ({"simulated": True}, "done (simulated)"),
    ],
)
def test_states(changes, state):
    """What became of a task, in a word or three."""
    assert stored.state_of(attrs.evolve(DONE, **changes)) == state


def test_the_nearest_task_is_named():
    """A slip of the finger is no riddle."""
    many = run(results={"design": DONE, "tests": DONE})

    with pytest.raises(stored.UnknownRunError, match="did you mean 'design'"):
        stored.stored_task(many, "desing")
    with pytest.raises(stored.UnknownRunError, match="no results yet"):
        stored.stored_task(run(results={}), "a")


def test_the_nearest_run_is_named(tmp_path):
    """Also where a character is wrong in the middle."""
    (tmp_path / "runs" / RUN_ID).mkdir(parents=True)

    with pytest.raises(stored.UnknownRunError, match=f"did you mean '{RUN_ID}'"):
        stored.stored_run(tmp_path, RUN_ID.replace("T12", "T13"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": "failed"}'])
def test_any_summary_makes_a_row(tmp_path, text):
    """What is torn is a run that did not end."""
    folder = tmp_path / "runs" / RUN_ID
    (folder / "results").mkdir(parents=True)
    (folder / "results" / "a.json").write_text("{}")
    (folder / "summary.json").write_text(text)

    row = runs.row_of(tmp_path, RUN_ID)

    assert row.status == ("failed" if "status" in text else "unfinished")
    assert row.began == "2026-05-01T12:00:00.000+00:00"
    assert list(runs.screen([row], 3, 80))[-1] == "... and 2 older ones (--limit 3)"


def test_policies_fit_a_terminal(tmp_path):
    """All columns in 80, own policies with their origin, the chosen one marked."""
    (tmp_path / "muster.toml").write_text(
        'policy = "slow"\n[policies.slow]\npreset = "patient"\nretry.max_attempts = 5\n'
    )
    found = policies.Policies.of(Settings.load(tmp_path, {}))

    lines = list(policies.screen(found, 80))

    assert max(len(each) for each in lines if str(tmp_path) not in each) <= 80
    assert any(each.startswith("slow *") and "  5  " in each for each in lines)
    assert "production   120->600 +15  120 / stall 120  3" in text_of(lines)
    assert f"'slow' is from {tmp_path}/muster.toml:3." in " ".join(lines)


def test_policies_as_json(tmp_path):
    """With every number, and the presets of recovery."""
    document = policies.document(policies.Policies.of(Settings.load(tmp_path, {})))

    assert document["policy"] == "default"
    assert document["spawn"]["default"]["timeout"]["max_timeout"] == 300.0
    assert document["spawn"]["default"]["origin"] == "built in"
    assert document["recovery"]["patient"]["max_retries"] == 3
    assert document["configured_recovery"] is None


def test_settings_with_their_origin():
    """Places in the project are short."""
    rows = [SettingRow("tool", "claude", "/p/muster.toml:1")]

    assert list(config.screen(rows, Path("/p"), 80, origin=True)) == [
        "# project /p",
        'tool  "claude"  muster.toml:1',
    ]
    assert (
        list(config.screen(rows, Path("/p"), 80, origin=False))[1] == 'tool  "claude"'
    )
