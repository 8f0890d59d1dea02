"""What `muster run` leaves behind: ticks, reports, private files; and what it asks."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests.support.cli import Cli

ONE = {"id": "a", "prompt": "echo '<b>fine</b>'", "tool": "sh"}
MARKDOWN = (
    "\ufeff# To do\r\n- [ ] 1. echo one\r\n* [ ] 2. exit 1\r\n"
    "- [ ] 3. cat\r\n  - Tool: cat\r\n  - Depends: 1\r\n1. [ ] 4. never\r\n  - Depends: 2\r\n"
)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """An empty folder."""
    return Cli(tmp_path)


def mode(path: Path) -> int:
    """The permissions alone."""
    return stat.S_IMODE(path.stat().st_mode)


def test_every_run_leaves_its_report(cli: Cli) -> None:
    """One file, with everything escaped and secrets masked, however the run ended."""
    bad = {"id": "b", "prompt": "echo my-secret-value >&2; exit 3", "tool": "sh"}
    cli.file("p.json", json.dumps({"tasks": [ONE, bad]})).env(A_KEY="my-secret-value")

    cli.args("run", "p.json", "--policy", "test").run().status(1).prints("report.html")

    page = (cli.runs[0] / "report.html").read_text()
    assert "&lt;b&gt;fine" in page
    assert "my-secret-value" not in page
    assert "ended with exit code 3" in page


def test_everything_of_a_run_is_private(cli: Cli) -> None:
    """Whatever the umask: folders for their owner alone, files too."""
    big = {"id": "big", "prompt": "head -c 3000000 /dev/zero", "tool": "sh"}
    cli.file("p.json", json.dumps({"tasks": [ONE, big]}))
    before = os.umask(0)
    try:
        cli.args("run", "p.json").run().status(0)
        cli.args("report", "--html", "mine.html").run().status(0)
    finally:
        os.umask(before)

    (run,) = cli.runs
    found = [run, *run.rglob("*"), cli.folder / ".muster" / "journal.db"]
    assert {mode(each) for each in found if each.is_dir()} == {0o700}
    assert {mode(each) for each in found if each.is_file()} == {0o600}
    assert mode(cli.folder / "mine.html") == 0o600
    names = {each.relative_to(run).as_posix() for each in found[1:-1]}
    wanted = {"plan", "results/a.json", "output/big.out", "summary.json", "report.html"}
    assert wanted <= names


def test_a_report_goes_where_it_is_told(cli: Cli) -> None:
    """A link is followed and kept; what can't be written is said."""
    cli.file("p.json", json.dumps({"tasks": [ONE]})).file("real.html", "old")
    (cli.folder / "link.html").symlink_to("real.html")
    cli.args("run", "p.json").run().status(0)

    cli.args("report", "--html", "link.html").run().status(0)
    assert "fine" in (cli.folder / "real.html").read_text()
    assert (cli.folder / "link.html").is_symlink()
    said = cli.args("report", "--html", "no/such/folder.html").run().status(74)
    said.says("no/such/folder.html: can't be written").is_civil()


def test_done_tasks_are_ticked_when_it_is_asked_for(cli: Cli) -> None:
    """Those alone, and not a byte else; without the flag nothing is."""
    path = cli.folder / "p.md"
    path.write_bytes(MARKDOWN.encode())
    path.chmod(0o640)
    cli.args("run", "p.md", "--tool", "sh", "--policy", "test").run().status(1)
    assert path.read_bytes() == MARKDOWN.encode()

    cli.args("run", "p.md", "--tool", "sh", "--policy", "test", "--tick").run()

    ticked = MARKDOWN.replace("[ ] 1.", "[x] 1.").replace("[ ] 3.", "[x] 3.")
    assert path.read_bytes() == ticked.encode()
    assert mode(path) == 0o640


def test_a_ticked_task_of_a_run_is_still_its_own(cli: Cli) -> None:
    """`resume` knows the answers of tasks that it has ticked, and ticks on."""
    cli.file("p.md", "- [ ] 1. echo one\n- [ ] 2. cat; test -e go\n  - Depends: 1\n")
    words = ("--tool", "sh", "--policy", "test", "--tick")
    cli.args("run", "p.md", *words).run().status(1)

    cli.file("go", "").args("resume", "--retry-failed").run().status(0).says("1 kept")

    assert (cli.folder / "p.md").read_text().count("[x]") == 2
    cli.args("show", "last", "1").run().status(0).prints("one")


@pytest.mark.parametrize("plan", ["p.json", "-"])
def test_only_markdown_can_be_ticked(cli: Cli, plan: str) -> None:
    """Anything else is refused before it runs."""
    cli.file("p.json", json.dumps({"tasks": [ONE]})).stdin("- [ ] 1. x\n")

    cli.args("run", plan, "--tick", "--tool", "sh").run().status(2).says("--tick")
    assert not cli.runs


@pytest.mark.parametrize(
    ("task", "words"),
    [
        pytest.param({"id": "a", "prompt": "x"}, ["--tool", "mine"], id="flag"),
        pytest.param({"id": "a", "prompt": "x"}, ["--tool", "sh"], id="shadowed"),
        pytest.param({"id": "a", "prompt": "x", "tool": "cat"}, [], id="a task"),
    ],
)
def test_no_command_of_a_plan_slips_in(
    cli: Cli, task: dict[str, str], words: list[str]
) -> None:
    """Under whichever name it is asked for."""
    command = {"command": ["touch", "touched"]}
    tools = dict.fromkeys(("mine", "sh", "cat"), command)
    cli.file("p.json", json.dumps({"tools": tools, "tasks": [task]}))

    cli.args("run", "p.json", *words).run().status(2).says("--yes").is_civil()
    assert not (cli.folder / "touched").exists()


@pytest.mark.parametrize(
    ("task_id", "code"),
    [
        ("../../etc/x", 0),
        ("a/b", 0),
        ("/etc/passwd", 0),
        ("..", 0),
        ("con", 0),
        ("x" * 250, 0),
        ("x" * 300, 2),
        ("-rf", 2),
        ("a\nb", 2),
        ("", 2),
    ],
    ids=lambda value: str(value)[:12],
)
def test_an_id_that_looks_like_a_path(cli: Cli, task_id: str, code: int) -> None:
    """Is a name and nothing more, wherever it is written; or it is refused at once."""
    cli.file("p.json", json.dumps({"tasks": [ONE | {"id": task_id}]}))
    inside = [*cli.folder.rglob("*")]

    ended = cli.args("run", "p.json", "--output", "out").run().status(code).is_civil()

    if code:
        ended.says("p.json:1", "up to 256 printable characters")
        assert [*cli.folder.rglob("*")] == inside
        return
    (run,) = cli.runs
    assert len(list((run / "results").iterdir())) == 1
    assert len(list((cli.folder / "out").iterdir())) == 1
    cli.args("logs", "last", task_id).run().status(0).prints("fine")
    cli.args("resume").run().status(0).says("1 kept")


def test_a_file_without_tasks_is_no_silent_success(cli: Cli) -> None:
    """It succeeds, as an empty plan does, and says how tasks are written."""
    cli.file("p.md", "1. Do this\n2. Do that\n")

    cli.args("run", "p.md").run().status(0).says("p.md holds no task", "- [ ] 1.")
