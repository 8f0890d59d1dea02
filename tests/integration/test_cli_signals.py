"""Ctrl-C in three steps, SIGTERM, SIGHUP; in a pipe and on a terminal."""

import json
import os
import pty
import select
import signal
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from muster.domain.outcome import FailureCause
from muster.infrastructure.stored_runs import read_run
from tests.support.cli import PROGRAM, Cli, Running, is_alive, wait_until

# Each says that it runs; "slow" ends when the test allows it.
SLOW = "echo $$ >> pids; while [ ! -e go ]; do sleep 0.05; done; echo finished"
DEAF = "trap '' TERM INT HUP; echo $$ >> pids; while :; do sleep 0.05; done"
SHOW, HIDE = "\x1b[?25h", "\x1b[?25l"


def plan(*prompts: str) -> str:
    """Shell scripts as a plan."""
    tasks = [
        {"id": f"t{number}", "prompt": each, "tool": "sh"}
        for number, each in enumerate(prompts, start=1)
    ]
    return json.dumps({"tasks": tasks})


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """An empty folder; a grace that tests can wait for."""
    return Cli(tmp_path).file("muster.toml", "grace = 0.5\n")


def pids(cli: Cli) -> list[int]:
    """The agents that have started."""
    path = cli.folder / "pids"
    return [int(each) for each in path.read_text().split()] if path.exists() else []


def started(cli: Cli, count: int, *prompts: str) -> Running:
    """A run of which ``count`` agents run."""
    cli.file("p.json", plan(*prompts))
    running = cli.args("run", "p.json", "--max-concurrent", str(count)).start()
    wait_until(lambda: len(pids(cli)) == count, f"{count} agents run")
    return running


def causes(cli: Cli) -> dict[str, FailureCause | None]:
    """What became of each task, as it is stored."""
    results = read_run(cli.folder / ".muster").results
    return {key: each.failure and each.failure.cause for key, each in results.items()}


def test_the_first_ctrl_c_lets_agents_finish(cli: Cli) -> None:
    """It says how many, and what is typed to end them; waiting tasks are kept back."""
    running = started(cli, 2, SLOW, SLOW, "echo never")

    running.send(signal.SIGINT).wait_for("2 still running")
    cli.file("go", "")

    ended = running.end().status(130).says("Ctrl-C again ends them now").is_civil()
    ended.prints("interrupted: 2 of 3 done, 1 not done")
    assert causes(cli) == {"t1": None, "t2": None, "t3": FailureCause.CANCELLED}


def test_the_second_ctrl_c_ends_them(cli: Cli) -> None:
    """With the grace, whole families, and with a result for each."""
    running = started(cli, 2, SLOW, DEAF, "echo never")

    running.send(signal.SIGINT).wait_for("still running")
    running.send(signal.SIGINT).wait_for("ending 2 running")

    running.end().status(130).is_civil()
    assert set(causes(cli).values()) == {FailureCause.CANCELLED}
    assert len(causes(cli)) == 3
    assert not any(map(is_alive, pids(cli)))


def test_the_third_ctrl_c_leaves_at_once(cli: Cli) -> None:
    """What runs is ended all the same: nobody survives muster."""
    cli.file("muster.toml", "grace = 30.0\n")
    running = started(cli, 1, DEAF)

    running.send(signal.SIGINT).wait_for("still running")
    running.send(signal.SIGINT).wait_for("ending 1 running")
    began = monotonic()
    running.send(signal.SIGINT)

    running.end().status(130)
    assert monotonic() - began < 10
    wait_until(lambda: not any(map(is_alive, pids(cli))), "no agent is left")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_being_terminated_stops_with_the_grace(
    cli: Cli, number: signal.Signals, code: int
) -> None:
    """At once, without waiting for anybody; the exit code names the signal."""
    running = started(cli, 1, SLOW, "echo never")

    running.send(number)

    running.end().status(code).is_civil()
    assert set(causes(cli).values()) == {FailureCause.CANCELLED}
    assert not any(map(is_alive, pids(cli)))
    summary = json.loads((cli.runs[0] / "summary.json").read_text())
    assert summary["status"] == "interrupted"


def test_nohup_is_obeyed(cli: Cli) -> None:
    """A signal that is ignored on purpose stays ignored."""
    cli.file("p.json", plan(SLOW))
    words = ["sh", "-c", 'trap "" HUP; exec "$0" "$@"', *PROGRAM, "run", "p.json"]
    process = subprocess.Popen(
        words, cwd=cli.folder, env=cli.environ, stdout=-1, stderr=subprocess.STDOUT
    )
    wait_until(lambda: len(pids(cli)) == 1, "an agent runs")

    process.send_signal(signal.SIGHUP)
    cli.file("go", "")

    process.communicate(timeout=60)
    assert process.returncode == 0


def test_json_lines_of_an_interrupted_run_are_complete(cli: Cli) -> None:
    """The last one is ``done`` and carries the exit code."""
    cli.file("p.json", plan(SLOW, "echo never"))
    running = cli.args("run", "p.json", "--jsonl", "--sequential").start()
    wait_until(lambda: len(pids(cli)) == 1, "an agent runs")

    running.send(signal.SIGTERM)

    events = running.end().status(143).events
    assert events[-1]["event"] == "done"
    assert events[-1]["exit_code"] == 143
    assert events[-1]["summary"]["status"] == "interrupted"


class Terminal:
    """muster on a pseudo terminal of its own, as a person has it."""

    def __init__(self, cli: Cli, *words: str) -> None:
        self.seen = ""
        self.pid, self.descriptor = pty.fork()
        if not self.pid:
            os.chdir(cli.folder)
            os.execve(  # noqa: S606
                PROGRAM[0],
                [*PROGRAM, *words],
                {
                    **cli.environ,
                    "TERM": "xterm-256color",
                    "COLUMNS": "80",
                    "LINES": "24",
                },
            )

    def type(self, keys: str) -> None:
        """Presses keys; ``\\x03`` is Ctrl-C."""
        os.write(self.descriptor, keys.encode())

    def until(self, text: str, timeout: float = 30.0) -> None:
        """Reads on until the screen has shown the text."""
        end = monotonic() + timeout
        while text not in self.seen and self._read(end - monotonic()):
            pass
        assert text in self.seen, repr(self.seen[-3000:])

    def end(self) -> int:
        """Reads to the end; the exit code."""
        end = monotonic() + 60
        while self._read(end - monotonic()):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)

    def _read(self, timeout: float) -> bool:
        if not select.select([self.descriptor], [], [], max(timeout, 0))[0]:
            return False
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)


def test_ctrl_c_on_a_terminal(cli: Cli) -> None:
    """The key reaches muster alone, the table goes, the cursor comes back."""
    cli.file("p.json", plan(SLOW, "echo never"))
    terminal = Terminal(cli, "run", "p.json", "--sequential")
    terminal.until("running")
    wait_until(lambda: len(pids(cli)) == 1, "an agent runs")

    terminal.type("\x03")
    terminal.until("1 still running")
    assert all(map(is_alive, pids(cli)))
    cli.file("go", "")

    assert terminal.end() == 130
    assert HIDE in terminal.seen
    assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
    assert "1 of 2 done, 1 not done" in terminal.seen


@pytest.mark.parametrize("presses", [2, 3])
def test_the_terminal_is_restored_on_every_way_out(cli: Cli, presses: int) -> None:
    """Also when muster leaves on the spot."""
    cli.file("p.json", plan(DEAF))
    terminal = Terminal(cli, "run", "p.json")
    wait_until(lambda: len(pids(cli)) == 1, "an agent runs")
    terminal.until("running")

    for text in ("still running", "ending 1 running", "")[:presses]:
        terminal.type("\x03")
        terminal.until(text)

    assert terminal.end() == 130
    assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
    wait_until(lambda: not any(map(is_alive, pids(cli))), "no agent is left")


def test_a_terminal_that_is_closed_stops_the_run(cli: Cli) -> None:
    """SIGHUP arrives and stderr is gone: results are kept, agents are ended."""
    cli.file("p.json", plan("echo quick", SLOW))
    terminal = Terminal(cli, "run", "p.json")
    wait_until(lambda: len(pids(cli)) == 1, "an agent runs")
    terminal.until("1/2 done")

    os.close(terminal.descriptor)

    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert not any(map(is_alive, pids(cli)))
    assert causes(cli) == {"t1": None, "t2": FailureCause.CANCELLED}


@pytest.mark.parametrize(
    ("answer", "code"), [("y\r", 0), ("n\r", 2), ("\r", 2), ("\x03", 130)]
)
def test_consent_is_asked_for_on_a_terminal(cli: Cli, answer: str, code: int) -> None:
    """Anything but yes starts nothing."""
    tasks = [{"id": "a", "prompt": "x", "tool": "mine"}]
    tools = {"mine": {"command": ["touch", "touched"]}}
    cli.file("p.json", json.dumps({"tasks": tasks, "tools": tools}))
    terminal = Terminal(cli, "run", "p.json")

    terminal.until("run them? [y/N]")
    terminal.type(answer)

    assert terminal.end() == code
    assert "mine: touch touched" in terminal.seen
    assert (cli.folder / "touched").exists() is (code == 0)
