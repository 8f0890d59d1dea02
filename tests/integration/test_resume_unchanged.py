"""A big run that is resumed with the plan it began with: only what is left is read."""

import json
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.application.resumption import (
    FinishedTask,
    InterruptedTask,
    RunHistory,
    identify,
)
from muster.domain.outcome import FailureCause
from muster.domain.plan import Plan
from muster.infrastructure import plan_files
from muster.infrastructure.cli.running import plan_context
from muster.infrastructure.cli.taking_up import TakenUp
from muster.infrastructure.cli.unchanged import unchanged
from muster.infrastructure.journal.history import StoredHistory
from muster.infrastructure.plan_files.index import NAME, PlanIndex, keep
from muster.infrastructure.settings import Settings
from tests.support.cli import Cli
from tests.support.finished_run import FinishedRun, finished_run

ROOT = Path(__file__).parents[2]
TASKS = 5_200  # more than a report loads
FEW = 40  # tasks: what is left and the samples, each as it stands and with defaults
SHOWN = 4_100  # results: what a report has room for
COUNTING = (sys.executable, "-m", "tests.support.counted_work")
AGENT = '#!/bin/sh\ncat\necho "$MUSTER_TASK_ID" >> ran\n'


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with an agent that tells that it ran."""
    found = Cli(tmp_path).file("agent.sh", AGENT)
    (tmp_path / "agent.sh").chmod(0o755)
    return found.env(PYTHONPATH=str(ROOT))


@pytest.fixture
def run(cli: Cli) -> FinishedRun:
    """One of which all but the last task are finished."""
    return finished_run(cli.folder, TASKS, str(cli.folder / "agent.sh"))


def counts(err: str) -> dict[str, int]:
    """What the last line tells."""
    words = err.rstrip().rpartition("\n")[2].split()
    return {name: int(number) for name, _, number in (w.partition("=") for w in words)}


def test_work_is_that_of_what_is_left(cli: Cli, run: FinishedRun) -> None:
    """One task is left: neither the plan nor the results are loaded for it."""
    ended = cli.args("resume").run(COUNTING).status(0).is_civil()

    ended.says(f"{TASKS - 1} kept, 0 re-run, 1 new", f"new      {run.left}")
    ended.prints(f"{TASKS} of {TASKS} done", "of work, longest chain 4.0 s")
    assert (cli.folder / "ran").read_text().split() == [run.left]
    work = counts(ended.err)
    assert work["tasks"] <= FEW
    assert work["results"] <= SHOWN
    folder = cli.runs[0]
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["total"], summary["succeeded"]) == (TASKS, TASKS)
    page = (folder / "report.html").read_text()
    assert f"<b>{TASKS:,}</b>done" in page
    assert f"and {TASKS - 2_000:,} more tasks" in page
    (left,) = (folder / "results").glob(f"{run.left}~*.json")
    assert json.loads(left.read_text())["task_index"] == TASKS - 1


def test_an_edited_plan_is_read(cli: Cli, run: FinishedRun) -> None:
    """One byte is enough; and what it was edited to is remembered in its turn."""
    path = cli.folder / "plan.toml"
    path.write_text(path.read_text().replace('"hello 8"', '"hallo 8"'))

    look = cli.args("resume", "--dry-run", "--json").run(COUNTING).status(0)
    ended = cli.args("resume").run(COUNTING).status(0)
    again = cli.args("resume").run(COUNTING).status(0)

    assert look.document["rerun"] == {"t8": "changed", "t9": "changed"}
    ended.says(f"{TASKS - 3} kept, 2 re-run, 1 new")
    assert counts(ended.err)["tasks"] >= TASKS
    ran = (cli.folder / "ran").read_text().split()
    assert sorted(ran) == sorted(["t8", "t9", run.left])
    again.says(f"{TASKS} kept, 0 re-run, 0 new")
    assert counts(again.err)["tasks"] <= FEW


@pytest.mark.parametrize("change", ["flag", "tool"])
def test_the_same_plan_may_mean_something_else(
    cli: Cli, run: FinishedRun, change: str
) -> None:
    """Another model, or another tool of that name: everything has another identity."""
    words = ["--model", "other"] if change == "flag" else []
    if change == "tool":
        # With nothing left, only the samples can tell.
        cli.args("resume").run().status(0)
        name = json.dumps(str(cli.folder / "agent.sh"))
        table = f'[tools.{name}]\ncommand = ["/bin/true"]\n'
        cli.file("muster.toml", table)

    look = cli.args("resume", "--dry-run", "--json", *words).run().status(0)

    assert look.document["kept"] == []
    assert len(look.document["rerun"]) == TASKS - (change == "flag")


def test_without_its_index_it_is_read_as_a_whole(cli: Cli, run: FinishedRun) -> None:
    """And has one again."""
    index = cli.runs[0] / NAME
    index.unlink()

    look = cli.args("resume", "--dry-run", "--json").run(COUNTING).status(0)
    assert len(look.document["kept"]) == TASKS - 1
    assert counts(look.err)["tasks"] >= TASKS
    cli.args("resume").run().status(0)
    assert index.exists()


def test_a_new_run_has_one(cli: Cli) -> None:
    """Of a big plan, and with what became of each task's identity."""
    tasks = [{"id": f"t{number}", "prompt": "x"} for number in range(2_000)]
    cli.file("plan.json", json.dumps({"tasks": tasks}))
    words = ("--only", "t7", "--tool", "./agent.sh")

    cli.args("run", "plan.json", *words).run().status(0)

    data = (cli.folder / "plan.json").read_bytes()
    assert (cli.runs[0] / NAME).exists()
    assert data == (cli.runs[0] / "plan").read_bytes()


def test_secrets_stay_out_of_it(cli: Cli) -> None:
    """A plan in which something was masked is kept masked, and nowhere else."""
    tasks = [{"id": f"t{n}", "prompt": "hunter2-hunter2"} for n in range(2_000)]
    cli.file("plan.json", json.dumps({"tasks": tasks})).env(API_KEY="hunter2-hunter2")
    words = ("--only", "t7", "--tool", "./agent.sh")

    cli.args("run", "plan.json", *words).run().status(0)

    assert not (cli.runs[0] / NAME).exists()
    files = [each for each in cli.runs[0].rglob("*") if each.is_file()]
    assert not any(b"hunter2" in each.read_bytes() for each in files)


# --- the same as for the whole plan ---------------------------------------------------

IDS = [f"t{number}" for number in range(7)]
STATES = ["none", "good", "other", "crash", "cancelled", "flying", "dying", "both"]
PLANS = st.lists(
    st.tuples(st.sets(st.integers(0, 6), max_size=2), st.booleans(), st.booleans()),
    min_size=7,
    max_size=7,
)


def recorded(states: list[str], identities: dict[str, str]) -> RunHistory:
    """What the journal would have of tasks in these states, and of one that is gone."""
    finished: dict[str, FinishedTask] = {}
    interrupted: dict[str, InterruptedTask] = {}
    for task_id, state in zip([*IDS, "gone"], states, strict=True):
        # What is gone may live on under another name, if its content does.
        identity = identities.get(task_id) or identities[IDS[0]]
        if state in ("good", "both"):
            finished[task_id] = FinishedTask(identity)
        elif state == "other":
            finished[task_id] = FinishedTask("another")
        elif state in ("crash", "cancelled"):
            cause = FailureCause(state)
            finished[task_id] = FinishedTask(identity, cause, session_id="s")
        if state in ("flying", "both", "dying"):
            deaths = 9 if state == "dying" else 1
            interrupted[task_id] = InterruptedTask(
                identity, session_id="f", deaths=deaths
            )
    return RunHistory(finished, interrupted)


def written(rows: list[Any]) -> str:
    """A plan of these tasks; of two with the same prompt the content is the same."""
    tasks = [
        {
            "id": task_id,
            "prompt": "alike" if is_alike else f"do {task_id}",
            "depends": [f"t{each}" for each in sorted(needs) if each < at],
            "done": is_done,
        }
        for at, (task_id, (needs, is_done, is_alike)) in enumerate(
            zip(IDS, rows, strict=True)
        )
    ]
    return json.dumps({"tasks": tasks})


@given(PLANS, st.lists(st.sampled_from(STATES), min_size=8, max_size=8), st.booleans())
def test_the_part_is_judged_like_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    states: list[str],
    retry_failed: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """Whatever is recorded: kept, run again, new, failed, dropped, and said so."""
    folder = tmp_path_factory.mktemp("run")
    text = written(rows)
    settings = Settings.load(folder, {})
    document = plan_files.document("plan.json", text=text)
    plan = plan_files.to_plan(document, "plan.json")
    identities = identify(plan, plan_context(settings, plan))
    history = recorded(states, identities)
    index = PlanIndex.of(document, plan, "plan.json", at_least=1)
    assert index is not None
    keep(folder, index.with_identities(identities), text.encode())
    whole, part = (TakenUp("r", folder, StoredHistory(history, None)) for _ in "ab")

    whole.decide(plan, settings, only=None, retry_failed=retry_failed)
    source = "plan.json", text.encode()
    found = unchanged(folder, source, history, settings, _as_it_is)
    assert found is not None
    part.decide_unchanged(found, retry_failed=retry_failed)

    assert attrs.asdict(part.resumption) == attrs.asdict(whole.resumption)
    assert list(part.resumption.kept) == list(whole.resumption.kept)
    assert list(part.lines()) == list(whole.lines())
    assert part.pending_tasks == whole.pending_tasks
    assert [each.session_id for each in part.pending_tasks] == [
        each.session_id for each in whole.pending_tasks
    ]


def _as_it_is(plan: Plan) -> Plan:
    return plan
