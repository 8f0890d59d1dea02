"""`muster run` from the outside: results, folders, documents, exit codes."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from muster.domain.outcome import FailureCause
from muster.infrastructure.stored_runs import read_run
from tests.support.cli import Cli, is_alive, wait_until

THREE = """
- [ ] 1. echo first answer
- [ ] 2. cat >&2; echo second answer
- [ ] 3. cat
  - Tool: cat
  - Depends: 1, 2
- [x] 4. ticked
"""
FAILING = """
- [ ] good. echo fine
- [ ] bad. echo 'Error: invalid API key' >&2; exit 1
- [ ] after. never run
  - Depends: bad
"""
EVIL = (
    r"printf '\033]0;title\007\033[31mred\033[0m\n'; printf '\033[2Joops' >&2; exit 3"
)


def plan(*tasks: dict[str, Any], **more: Any) -> str:
    """A JSON plan whose tasks are shell scripts unless they say otherwise."""
    return json.dumps({"tasks": [{"tool": "sh", **task} for task in tasks], **more})


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """An empty folder."""
    return Cli(tmp_path)


def numbered(markdown: str) -> str:
    """Markdown plans have ids of digits."""
    for number, name in enumerate(("good", "bad", "after"), start=1):
        markdown = markdown.replace(f"{name}.", f"{number}.").replace(
            f"Depends: {name}", f"Depends: {number}"
        )
    return markdown


def test_a_plan_runs_as_dataflow(cli: Cli) -> None:
    """The last task is told what the two before it answered; ticked ones are left."""
    cli.file("p.md", THREE).args("run", "p.md", "--tool", "sh", "--no-fallback")

    ended = (
        cli.run().status(0).prints("3 of 3 done, 1 skipped", "results  .muster/runs/")
    )

    (folder,) = cli.runs
    results = read_run(cli.folder / ".muster").results
    assert list(results) == ["1", "2", "3"]
    assert "✓ [1]: first answer" in results["3"].output
    assert "✓ [2]: second answer" in results["3"].output
    ended.says(f"run {folder.name}: 3 tasks", "1: started with sh", "3: done in")
    ended.is_civil()
    assert (folder / "plan").read_text() == THREE
    assert json.loads((folder / "summary.json").read_text())["status"] == "succeeded"


def test_failures_are_explained(cli: Cli) -> None:
    """Cause, evidence, what was not done because of it, and what to type next."""
    cli.file("p.md", numbered(FAILING)).args("run", "p.md", "--tool", "sh")

    ended = cli.run().status(1)

    ended.prints("1 of 3 done, 1 failed, 1 not done")
    ended.prints("failed   2: auth: Error: invalid API key", "1 attempt")
    ended.prints("not done 3: not started: dependency '2' failed")
    ended.prints(f"muster show {cli.runs[0].name.rpartition('-')[2]} 2")
    ended.says("2: failed: auth: Error: invalid API key")


def test_the_json_document(cli: Cli) -> None:
    """One document, with every result, and the same exit code."""
    cli.file("p.md", numbered(FAILING)).args("run", "p.md", "--tool", "sh", "--json")

    document = cli.run().status(1).document

    assert document["run_id"] == cli.runs[0].name
    assert document["status"] == "failed"
    assert document["report"] == str(cli.runs[0] / "report.html")
    assert [each["task_id"] for each in document["results"]] == ["1", "2", "3"]
    assert document["results"][1]["failure"]["cause"] == "auth"
    assert document["summary"]["by_cause"] == {"auth": 1, "dependency_failed": 1}


def test_json_lines_begin_with_launch_and_end_with_done(cli: Cli) -> None:
    """Each carries the run's id; each task's end names the file of its result."""
    cli.file("p.md", THREE).args("run", "p.md", "--tool", "sh", "--jsonl")

    events = cli.run().status(0).events

    assert events[0]["event"] == "launch"
    assert events[0]["tasks"] == ["1", "2", "3"]
    assert events[-1]["event"] == "done"
    assert (events[-1]["status"], events[-1]["exit_code"]) == ("succeeded", 0)
    assert {each["run_id"] for each in events} == {cli.runs[0].name}
    ends = [each for each in events if each["event"] == "task_ended"]
    assert sorted(each["task_id"] for each in ends) == ["1", "2", "3"]
    assert all(Path(each["result"]).is_file() for each in ends)


def test_a_chatty_agent_makes_few_json_lines(cli: Cli) -> None:
    """Progress is told twice a second at most, not once a line."""
    text = plan({"id": "chat", "prompt": "seq 1 20000"})
    cli.file("p.json", text).args("run", "p.json", "--jsonl")

    events = cli.run().status(0).events

    progress = [each for each in events if each["event"] == "attempt_progressed"]
    assert 1 <= len(progress) <= 100


def test_missing_tools_stop_the_run_before_it_starts(cli: Cli) -> None:
    """All of them are named at once, with the tasks that need them and a way out."""
    text = plan(
        {"id": "a", "prompt": "touch started"},
        {"id": "b", "prompt": "x", "tool": "no-such-tool"},
        {"id": "c", "prompt": "x", "tool": "./missing"},
    )
    cli.file("p.json", text).args("run", "p.json")

    ended = cli.run().status(5).is_civil()

    ended.says(
        "no-such-tool", "needed by 'b'", "./missing", "needed by 'c'", "two ways out"
    )
    assert not cli.runs
    assert not (cli.folder / "started").exists()


@pytest.mark.parametrize("words", [["run", "p.md"], ["spawn", "hello"]], ids=str)
def test_without_an_agent_cli_nothing_is_simulated(cli: Cli, words: list[str]) -> None:
    """The two ways out are said instead."""
    cli.file("p.md", "- [ ] 1. hello\n").args(*words)

    ended = cli.run().status(5)

    ended.says("an agent CLI is needed", "install an agent CLI", "--tool")
    assert not cli.runs


def test_a_simulation_says_so(cli: Cli) -> None:
    """On the screen and in the results."""
    cli.file("p.md", "- [ ] 1. hello\n").args("run", "p.md", "--tool", "sim")

    cli.run().status(0).prints("simulated: 1 of 1").says("[simulated]")

    assert read_run(cli.folder / ".muster").results["1"].simulated


OWN_TOOL = plan(
    {"id": "a", "prompt": "x", "tool": "mine"},
    tools={"mine": {"command": ["touch", "touched"], "prompt": "stdin"}},
)


def test_commands_of_a_plan_need_consent(cli: Cli) -> None:
    """Without a person to ask, that is ``--yes``."""
    cli.file("p.json", OWN_TOOL)

    ended = cli.args("run", "p.json").run().status(2)
    ended.says("commands of its own", "mine: touch touched", "--yes").is_civil()
    assert not (cli.folder / "touched").exists()

    cli.args("run", "p.json", "--yes").run().status(0)
    assert (cli.folder / "touched").exists()


def test_checks_of_a_plan_need_consent_too(cli: Cli) -> None:
    """A command that is expected to succeed is a command of the plan."""
    task = {"id": "a", "prompt": "x", "tool": "cat"}
    cli.file("p.json", plan(task | {"expect": {"command": ["touch", "touched"]}}))

    ended = cli.args("run", "p.json").run().status(2)
    ended.says("to check an answer: touch touched", "--yes").is_civil()
    assert not (cli.folder / "touched").exists()

    cli.args("run", "p.json", "--yes").run().status(0)
    assert (cli.folder / "touched").exists()


def test_a_dry_run_starts_nothing(cli: Cli) -> None:
    """It shows waves, tasks and the plan's own commands."""
    cli.file("p.json", OWN_TOOL)

    cli.args("run", "p.json", "--dry-run").run().status(0).prints("mine: touch touched")
    document = cli.args("run", "p.json", "--dry-run", "--json").run().status(0).document

    assert document["waves"] == [["a"]]
    assert document["tasks"][0]["tool"] == "mine"
    assert not (cli.folder / "touched").exists()
    assert not cli.runs


def test_a_dry_run_warns_of_missing_tools(cli: Cli) -> None:
    """It is a look at the plan: no failure of the preflight."""
    cli.file("p.md", "- [ ] 1. hello\n- [ ] 2. b\n  - Depends: 1\n")

    ended = cli.args("run", "p.md", "--dry-run", "--json").run().status(0)

    assert ended.says("an agent CLI is needed").document["waves"] == [["1"], ["2"]]


def test_agents_of_a_plan_reach_the_engine(cli: Cli) -> None:
    """Their tool is used, and their name is told to the program."""
    text = plan(
        {
            "id": "a",
            "prompt": 'echo "I am $MUSTER_AGENT"',
            "tool": None,
            "agent": "ann",
        },
        agents={"ann": {"tool": "sh"}},
    ).replace('"tool": null, ', "")
    cli.file("p.json", text).args("run", "p.json", "--json")

    document = cli.run().status(0).document

    assert document["results"][0]["output"] == "I am ann\n"


@pytest.mark.parametrize(
    ("text", "said"), [("", "nothing to do"), ("- [x] 1. a\n", "1 ticked")]
)
def test_nothing_to_do_is_a_success(cli: Cli, text: str, said: str) -> None:
    """And is said."""
    cli.args("run", "-").stdin(text).run().status(0).prints("nothing to do", said)


def test_only_some_tasks(cli: Cli) -> None:
    """The others are skipped; that is what was asked for."""
    cli.file("p.md", THREE)
    cli.args("run", "p.md", "--tool", "sh", "--only", "1", "--only", "2", "--json")

    document = cli.run().status(0).document

    assert [each["task_id"] for each in document["results"]] == ["1", "2"]
    assert document["summary"]["skipped"] == 2


def test_fail_fast_starts_nothing_more(cli: Cli) -> None:
    """What was waiting is reported as not started."""
    tasks = [{"id": "bad", "prompt": "exit 1"}]
    tasks += [{"id": f"t{n}", "prompt": "echo x"} for n in range(3)]
    cli.file("p.json", plan(*tasks))
    cli.args(
        "run", "p.json", "--fail-fast", "--sequential", "--policy", "test", "--json"
    )

    document = cli.run().status(1).document

    causes = [(each["failure"] or {}).get("cause") for each in document["results"]]
    assert causes == ["crash", "cancelled", "cancelled", "cancelled"]


def test_the_deadline_of_a_run(cli: Cli) -> None:
    """124; what is finished is kept."""
    cli.file(
        "p.json",
        plan({"id": "a", "prompt": "echo a"}, {"id": "b", "prompt": "sleep 60"}),
    )
    cli.args("run", "p.json", "--deadline", "2", "--json")

    document = cli.run().status(124).document

    assert document["status"] == "deadline"
    assert [each["success"] for each in document["results"]] == [True, False]


def test_one_at_a_time(cli: Cli) -> None:
    """``--sequential`` never has two alive."""
    script = "test ! -e busy && touch busy && sleep 0.1 && rm busy"
    cli.file("p.json", plan(*[{"id": f"t{n}", "prompt": script} for n in range(4)]))

    cli.args("run", "p.json", "--sequential", "--policy", "test").run().status(0)


def test_answers_are_written_to_a_folder(cli: Cli) -> None:
    """The whole of them, also where memory keeps a part; of those that succeed."""
    text = plan(
        {"id": "big", "prompt": "head -c 3000000 /dev/zero | tr '\\0' x"},
        {"id": "bad", "prompt": "echo half; exit 1"},
    )
    cli.file("p.json", text).args(
        "run", "p.json", "--output", "out/deep", "--policy", "test"
    )

    cli.run().status(1)

    (answer,) = (cli.folder / "out" / "deep").iterdir()
    assert answer.name == "big.txt"
    assert answer.read_bytes() == b"x" * 3_000_000


def test_agents_do_not_drive_the_terminal(cli: Cli) -> None:
    """Neither by their output nor by the error that is shown of it."""
    cli.file("p.json", plan({"id": "evil", "prompt": EVIL}))

    cli.args("run", "p.json", "--policy", "test").run().status(1).prints(
        "oops"
    ).is_civil()


def test_an_ascii_terminal_shows_any_plan(cli: Cli) -> None:
    """Nothing fails for a character that can't be written."""
    cli.env(LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    cli.file("p.json", plan({"id": "a", "prompt": "echo '日本' >&2; exit 1"}))

    ended = cli.args("run", "p.json", "--policy", "test").run().status(1).is_civil()

    ended.prints("\\u65e5\\u672c").says("\\u65e5\\u672c")


def test_secrets_are_masked_in_what_is_told(cli: Cli) -> None:
    """In lines, events and documents alike."""
    value = "s3cr3t-value-of-mine"
    script = f"echo 'failed with {value}' >&2; exit 1"
    cli.file("p.json", plan({"id": "a", "prompt": script})).env(SOME_API_KEY=value)

    for flag in ("--plain", "--json", "--jsonl"):
        ended = cli.args("run", "p.json", flag, "--policy", "test").run().status(1)
        assert value not in ended.out + ended.err
        assert "***" in ended.out


def test_muster_in_muster_has_a_depth(cli: Cli) -> None:
    """An agent that starts itself is stopped."""
    cli.file("p.json", plan({"id": "a", "prompt": "echo"})).env(MUSTER_DEPTH="4")

    cli.args("run", "p.json").run().status(2).says("MUSTER_DEPTH").is_civil()


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        (".muster/runs", 1, "results can't be kept"),
        # Whether somebody has halted can't be seen there, either: that comes first.
        (".muster", 7, "halt"),
    ],
)
def test_a_run_that_can_t_be_recorded_does_not_start(
    cli: Cli, file: str, code: int, said: str
) -> None:
    """Its results would be lost."""
    cli.file("p.json", plan({"id": "a", "prompt": "touch started"}))
    (cli.folder / file).parent.mkdir(exist_ok=True)
    cli.file(file, "")

    cli.args("run", "p.json").run().status(code).says(said).is_civil()

    assert not (cli.folder / "started").exists()


def test_flags_stand_above_the_plan_s_defaults_and_below_its_tasks(cli: Cli) -> None:
    """What a task says of itself wins."""
    defaults = {"tool": "claude", "policy": "patient", "model": "opus"}
    tasks = [{"id": "a", "prompt": "x"}, {"id": "b", "prompt": "x", "tool": "sh"}]
    cli.file("p.json", json.dumps({"defaults": defaults, "tasks": tasks}))
    words = ["run", "p.json", "--dry-run", "--json"]

    first, second = cli.args(*words, "--tool", "cat").run().status(0).document["tasks"]

    assert (first["tool"], second["tool"]) == ("cat", "sh")
    assert (first["policy"], first["model"]) == ("patient", "opus")


def test_an_agent_that_nobody_would_be_is_refused(cli: Cli) -> None:
    """codex would ignore the name in silence; a plain program gets it and decides."""
    (cli.folder / "bin").mkdir()
    codex = cli.file("bin/codex", "#!/bin/sh\necho codex\n").folder / "bin" / "codex"
    codex.chmod(0o755)
    cli.env(PATH=f"{codex.parent}:/usr/bin:/bin").file(
        "p.md", "- [ ] 1. a\n  - Agent: ann\n"
    )

    ended = cli.args("run", "p.md", "--tool", "codex").run().status(2)
    ended.says("agent 'ann' is unknown")
    assert not cli.runs
    cli.args("run", "p.md", "--tool", "cat").run().status(0)


SLEEPERS = [
    {"id": f"s{n}", "prompt": "echo $$ >> pids; exec sleep 60"} for n in range(3)
]
QUICK = [{"id": f"q{n}", "prompt": "echo quick"} for n in range(3)]


def pids_in(folder: Path) -> list[int]:
    """The processes that the sleepers are."""
    try:
        return [int(line) for line in (folder / "pids").read_text().split()]
    except FileNotFoundError:
        return []


def test_a_killed_run_leaves_its_results(cli: Cli) -> None:
    """SIGKILL after 3 of 6 tasks: three results can be read, and no agent survives."""
    cli.file("p.json", plan(*QUICK, *SLEEPERS))
    running = cli.args("run", "p.json", "--max-concurrent", "6").start()
    wait_until(
        lambda: (
            len(pids_in(cli.folder)) == 3
            and len(list(cli.folder.glob(".muster/runs/*/results/*.json"))) == 3
        ),
        "three results and three sleepers",
    )

    running.send(signal.SIGKILL).end().status(-9)

    stored = read_run(cli.folder / ".muster")
    assert sorted(stored.results) == ["q0", "q1", "q2"]
    assert all(each.output == "quick\n" for each in stored.results.values())
    assert stored.problems == ()
    assert stored.summary is None
    wait_until(lambda: not any(map(is_alive, pids_in(cli.folder))), "no agent is left")


def test_a_reader_that_leaves_ends_the_run(cli: Cli) -> None:
    """Nobody would hear of the rest: agents are ended, what is done is kept."""
    cli.file("p.json", plan(*SLEEPERS, {"id": "tick", "prompt": "sleep 1; echo"}))
    read, write = os.pipe()
    running = cli.args("run", "p.json", "--jsonl").start(stdout=write)
    os.close(write)
    assert b'"launch"' in os.read(read, 100)
    wait_until(lambda: len(pids_in(cli.folder)) == 3, "three sleepers")
    os.close(read)

    running.end().status(74).says("stdout can't be written").is_civil()

    results = read_run(cli.folder / ".muster").results
    assert results["s0"].failure is not None
    assert results["s0"].failure.cause is FailureCause.CANCELLED
    assert not any(map(is_alive, pids_in(cli.folder)))
