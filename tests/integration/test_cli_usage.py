"""Bad command lines: exit 2, one clear line, no traceback, nothing started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from muster.infrastructure.cli.exit_codes import MEANING
from tests.support.cli import PROGRAM, Cli

PLAN = "- [ ] 1. hello\n  - Tool: cat\n- [ ] 2. world\n  - Tool: cat\n"

BAD = [
    (["rnu"], "did you mean 'run'?"),
    (["--versoin"], "unknown option '--versoin'"),
    (["plan", "schma"], "did you mean 'schema'?"),
    (["config", "shw"], "did you mean 'show'?"),
    (["run"], "PLAN requires an argument"),
    (["run", "plan.md", "other.md"], "unexpected argument 'other.md'"),
    (["run", "--polcy", "x", "plan.md"], "Did you mean --policy?"),
    (["run", "missing.md"], "missing.md: there is no such file"),
    (["run", "."], "is a directory"),
    (["run", "plan.md", "--max-concurrent", "0"], "--max-concurrent"),
    (["run", "plan.md", "--max-concurrent", "many"], "many"),
    (["run", "plan.md", "--deadline", "0"], "--deadline: must be seconds above 0"),
    (["run", "plan.md", "--deadline", "nan"], "not nan"),
    (["run", "plan.md", "--deadline", "inf"], "not inf"),
    (["run", "plan.md", "--policy", "fas_fail"], "did you mean 'fast_fail'?"),
    (["run", "plan.md", "--only", "11"], "the plan has no task '11'"),
    (["run", "plan.md", "--json", "--jsonl"], "--jsonl and --json exclude each other"),
    (["run", "plan.md", "--sequential", "--max-concurrent", "3"], "--sequential"),
    (["run", "plan.md", "--output", "plan.md"], "--output"),
    (["run", "plan.md", "--tool", ""], "--tool"),
    (["run", "plan.md", "--tock"], "Unknown option: --tock"),
    (["run", "broken.toml"], "broken.toml:1"),
    (["run", "expects.toml"], "'a': the expected json_schema is no JSON schema"),
    (["spawn"], "no prompt is given"),
    (["spawn", "x", "--retries", "-1"], "--retries: must be 0 or more"),
    (["spawn", "x", "--timeout", "-3"], "--timeout: must be seconds above 0"),
    (["spawn", "x", "--agent=-rf"], "--agent: must be a name"),
    (["spawn", "--from", "missing.txt"], "--from missing.txt"),
    (["resume"], "there are no runs here yet"),
    (["resume", "last", "--dry-run"], "there are no runs here yet"),
    (["deliberate", "x", "--agents", "0"], "must be 1 to 1000 members"),
    (["deliberate", "x", "--agents", "3", "--rule", "5/2"], "a rule is a share"),
    (["soar", ""], "the question is empty"),
    (["halt"], "say why"),
    (["completion", "cmd"], '"bash", "zsh", "fish"'),
]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with a good plan and two bad ones."""
    expects = '[[task]]\nid = "a"\nprompt = "x"\ntool = "cat"\nexpect = {json_schema = {type = "y"}}\n'
    cli = Cli(tmp_path).file("plan.md", PLAN).file("broken.toml", "[[task]\n")
    return cli.file("expects.toml", expects)


@pytest.mark.parametrize(
    ("words", "said"), BAD, ids=[" ".join(each) for each, _ in BAD]
)
def test_usage_errors_end_with_2(cli: Cli, words: list[str], said: str) -> None:
    """Each names what is wrong on stderr, and starts nothing."""
    ended = cli.args(*words).run().status(2).says("muster", said).is_civil()

    assert not ended.out
    assert not cli.runs


def test_a_bad_setting_is_named_with_its_place(cli: Cli) -> None:
    """The file and the line stand in the message."""
    cli.file("muster.toml", "max_concurent = 3\n").args("run", "plan.md")

    cli.run().status(2).says("muster.toml:1", "max_concurrent").is_civil()


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]], ids=str)
def test_help_shows_commands_and_exit_codes(cli: Cli, words: list[str]) -> None:
    """All of both."""
    texts = [f"{code.value:>3}  {meaning}" for code, meaning in MEANING.items()]

    cli.args(*words).run().status(0).prints("run ", "spawn ", "doctor ", *texts)


def test_help_costs_little() -> None:
    """What is slow to import is not imported; 0.15 s of CPU is the promise."""
    code = (
        "import sys, os; from muster.infrastructure.cli.app import main; "
        "main(['--help']); bad = {'rich', 'cyclopts', 'structlog', 'asyncio',"
        "'dependency_injector'} & set(sys.modules); used = os.times(); "
        "print(sorted(bad), used.user + used.system, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    modules, seconds = ended.stderr.rsplit(maxsplit=1)
    assert modules == "[]"
    assert float(seconds) < 10 * 0.15


@pytest.mark.parametrize("command", ["run", "spawn", "plan", "config", "completion"])
def test_each_command_has_help(cli: Cli, command: str) -> None:
    """It says how it is called."""
    cli.args(command, "--help").run().status(0).prints(f"Usage: muster {command}")


def test_version(cli: Cli) -> None:
    """One line."""
    assert cli.args("--version").run().status(0).out.startswith("muster 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(cli: Cli, shell: str) -> None:
    """It knows the commands and their flags."""
    cli.args("completion", shell).run().status(0).prints(
        "muster", "spawn", "max-concurrent"
    )


def test_the_schema_is_printed(cli: Cli) -> None:
    """As one JSON document."""
    document = cli.args("plan", "schema").run().status(0).document

    assert document["title"] == "muster plan"


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.parametrize("words", ["--help", "plan schema", "run plan.md --help"])
def test_a_result_that_is_lost_ends_with_74(
    cli: Cli, words: str, redirection: str
) -> None:
    """And says so; a script must not take it for a success."""
    script = f"{' '.join(PROGRAM)} {words} {redirection}"
    ended = subprocess.run(
        ["sh", "-c", script],
        cwd=cli.folder,
        env=cli.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 74
    assert "stdout can't be written" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ascii_terminals_get_escapes(cli: Cli) -> None:
    """No encoding error, whatever the locale."""
    cli.env(LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    cli.args("rün").run().status(2).says("unknown command").is_civil()
    raw = os.fsencode("run"), b"\xff\xfe.md"
    ended = subprocess.run(
        [*PROGRAM, *raw],
        cwd=cli.folder,
        env=cli.environ,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 2
    assert b"there is no such file" in ended.stderr


def test_internal_errors_are_one_line(cli: Cli) -> None:
    """The traceback is for whoever asks for it."""
    code = (
        "import sys; from muster.infrastructure.cli import app; "
        "app._dispatch = lambda words: 1 / 0; sys.exit(app.main(['run']))"
    )
    for level, has_traceback in (("", False), ("debug", True)):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**cli.environ, "MUSTER_LOG_LEVEL": level},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 70
        assert "internal error: ZeroDivisionError" in ended.stderr
        assert ("Traceback" in ended.stderr) is has_traceback


@pytest.mark.parametrize(
    "words",
    ["--help", "plan schema", "spawn --tool cat x", "spawn --tool cat x --json"],
)
def test_a_reader_that_has_seen_enough_is_no_trouble(cli: Cli, words: str) -> None:
    """`muster ... | head` ends as any Unix tool does: without a word about the pipe."""
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [*PROGRAM, *words.split()],
        cwd=cli.folder,
        env=cli.environ,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)

    assert ended.returncode == 128 + signal.SIGPIPE
    assert "pipe" not in ended.stderr.lower()
    assert "written" not in ended.stderr
