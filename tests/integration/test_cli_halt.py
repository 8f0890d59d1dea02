"""`muster halt`, `resume-operations` and `verify`, as people use them."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from tests.support.cli import Cli, is_alive, wait_until

EXAMPLE = Path(__file__).parents[2] / "examples" / "council.py"
STUBBORN = "trap '' TERM; echo $$ > pid; while :; do sleep 0.05; done"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A project; a grace that tests can wait for."""
    return Cli(tmp_path).file("muster.toml", "grace = 0.3\n")


def plan(*prompts: str) -> str:
    """Shell scripts that follow one another."""
    tasks = [
        {
            "id": f"t{number}",
            "prompt": each,
            "tool": "sh",
            "depends": [f"t{number - 1}"] if number > 1 else [],
        }
        for number, each in enumerate(prompts, start=1)
    ]
    return json.dumps({"tasks": tasks})


def test_a_halt_ends_a_run_which_goes_on_afterwards(cli: Cli) -> None:
    """Exit code 7; nothing starts while it holds; `resume` does what was left."""
    cli.file("p.json", plan("echo one", f"[ -e go ] && exit 0; {STUBBORN}", "echo end"))
    running = cli.args("run", "p.json", "--yes").start().wait_for("t2: started")
    wait_until((cli.folder / "pid").exists, "the second task runs")

    pulled_at = monotonic()
    cli.args("halt", "the", "house", "burns").run().status(0).prints("halted:")
    ended = running.end()
    took = monotonic() - pulled_at

    ended.status(7).says("the house burns")
    assert took < 20.0
    assert not is_alive(int((cli.folder / "pid").read_text()))
    for words in (
        ["run", "p.json", "--yes"],
        ["resume"],
        ["spawn", "hi", "--tool", "sim"],
    ):
        cli.args(*words).run().status(7).says("the house burns").is_civil()
    assert len(cli.runs) == 1

    cli.file("go", "")
    cli.args("resume-operations").run().status(0).prints("lifted")
    cli.args("resume").run().status(0).says("1 kept, 1 re-run, 1 new")


def test_halt_wants_a_reason(cli: Cli) -> None:
    """And tells programs in JSON."""
    cli.args("halt").run().status(2).says("say why").is_civil()
    document = cli.args("halt", "drill", "--json").run().status(0).document
    assert (document["halted"], document["reason"]) == (True, "drill")
    assert Path(document["file"]) == cli.folder / ".muster" / "halt"

    document = cli.args("resume-operations", "--json").run().status(0).document
    assert document["halted"] is False
    cli.args("resume-operations").run().status(0).prints("nothing was halted")


def test_a_halt_that_can_not_be_pulled_says_so(cli: Cli) -> None:
    """Loudly: somebody believes that everything stands still."""
    cli.file(".muster", "in the way")

    cli.args("halt", "drill").run().status(1).says("NOT halted").is_civil()
    cli.args("spawn", "hi", "--tool", "sim").run().status(7).says("can't be read")


def test_verify(cli: Cli) -> None:
    """Says that all records hold, or which one does not."""
    cli.args("verify").run().status(2).says("no runs here").is_civil()
    subprocess.run(
        [sys.executable, str(EXAMPLE), "stub"], cwd=cli.folder, check=True, timeout=60
    )
    cli.args("verify").run().status(0).prints("3 records hold")
    document = cli.args("verify", "last", "--json").run().status(0).document
    assert (document["intact"], document["records"]) == (True, 3)
    run_id = document["run_id"]
    cli.args("verify", run_id[-6:]).run().status(0)
    cli.args("verify", "nobody").run().status(2).is_civil()

    database = cli.folder / ".muster" / "witness" / "witness.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER never_changed")
        connection.execute("UPDATE records SET content = x'00' WHERE number = 2")

    cli.args("verify", run_id).run().status(1).prints("BROKEN at record 2", "SHA-256")
    document = cli.args("verify", "--json").run().status(1).document
    assert document["broken"]["record"] == 2


def test_verify_of_a_run_without_a_council(cli: Cli) -> None:
    """Is no success: nothing was verified."""
    cli.args("spawn", "hi", "--tool", "sim").run().status(0)

    cli.args("verify").run().status(2).says("has no witness log").is_civil()
