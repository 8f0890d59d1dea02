"""`muster soar` from the outside: programs as model and agents, kills, caches, consent."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.cli import Cli, wait_until

# Counts itself, keeps its prompt, and says what a file in its folder says. `hold-ID`
# holds it up, `fail-ID` makes it fail.
AGENT = """#!/bin/sh
echo x >> "$SOAR/count-$MUSTER_TASK_ID"
cat > "$SOAR/prompt-$MUSTER_TASK_ID"
while [ -e "$SOAR/hold-$MUSTER_TASK_ID" ]; do sleep 0.05; done
[ -e "$SOAR/fail-$MUSTER_TASK_ID" ] && { echo "invalid API key" >&2; exit 3; }
[ -e "$SOAR/say-$MUSTER_TASK_ID" ] && exec cat "$SOAR/say-$MUSTER_TASK_ID"
echo "$MUSTER_TASK_ID found something"
"""
SETTINGS = """
tool = "scripted"
[policies.quick]
preset = "test"
[tools.scripted]
command = ["{folder}/agent.sh"]
{more}
[tools.scripted.env]
SOAR = "{folder}/soar"
"""
HARD = "Refactor the whole parser, migrate its schema, and then write tests for it"
CODER = "---\nname: coder\ndescription: Writes Python code\n---\nYou write code.\n"
SPLIT = {
    "subgoals": [
        {
            "description": "Read the parser; touch pwned",
            "ideal_agent": "reader",
            "match_quality": "insufficient",
            "command": "touch pwned",
        },
        {
            "description": "Change the parser",
            "ideal_agent": "coder",
            "assigned_agent": "coder",
            "match_quality": "excellent",
            "is_critical": True,
            "depends_on": [1],
        },
    ]
}
ANSWER = {
    "answer": "The parser is small.",
    "confidence": 0.9,
    "claims": [{"claim": "it is small", "subgoals": [1, 2]}],
}


def said(document: object) -> str:
    """As models say it."""
    return f"Of course!\n```json\n{json.dumps(document)}\n```\n"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A project with a parser, an agent profile, and a program that plays everybody."""
    folder = tmp_path / "project"
    (folder / ".muster" / "agents").mkdir(parents=True)
    (tmp_path / "soar").mkdir()
    found = Cli(folder)
    found.file("parser.py", "def parse(text):\n    return text  # the parser\n")
    found.file(".muster/agents/coder.md", CODER)
    return set_up(found)


def set_up(cli: Cli, more: str = "") -> Cli:
    """With settings and a script for everybody; what they write is no source."""
    base = cli.folder.parent
    (base / "agent.sh").write_text(AGENT)
    (base / "agent.sh").chmod(0o755)
    (base / "soar" / "say-decompose").write_text(said(SPLIT))
    (base / "soar" / "say-synthesize").write_text(said(ANSWER))
    return cli.file("muster.toml", SETTINGS.format(folder=base, more=more))


def ask(cli: Cli, *more: str) -> Cli:
    """The question."""
    return cli.args("soar", HARD, "--policy", "test", *more)


def script(cli: Cli, name: str, text: str = "") -> Path:
    """A file for the program."""
    path = cli.folder.parent / "soar" / name
    path.write_text(text)
    return path


def counts(cli: Cli) -> dict[str, int]:
    """How often each task was run, by the program's own account."""
    found = sorted((cli.folder.parent / "soar").glob("count-*"))
    return {
        each.name.removeprefix("count-"): len(each.read_text()) // 2 for each in found
    }


def prompt(cli: Cli, task_id: str) -> str:
    """What was asked there."""
    return (cli.folder.parent / "soar" / f"prompt-{task_id}").read_text()


def test_an_answer(cli: Cli) -> None:
    """On stdout, with the phases on stderr; nothing of what was said is executed."""
    ended = ask(cli).run().status(0).is_civil()

    ended.prints("The parser is small.", "confidence 0.90, 2 of 2 subgoals answered")
    ended.says("assess: complex", "route: 1 agents known, 1 ad hoc", "collect: 2 of 2")
    assert counts(cli) == {"decompose": 1, "s1": 1, "s2": 1, "synthesize": 1}
    assert "> def parse(text):" in prompt(cli, "decompose")
    assert "- coder: Writes Python code" in prompt(cli, "decompose")
    assert "act as a reader specialist" in prompt(cli, "s1")
    assert "✓ [s1]: s1 found something" in prompt(cli, "s2")
    assert not list(cli.folder.parent.rglob("pwned"))
    [log] = (cli.folder / ".muster" / "soar" / "conversations").glob("*.md")
    assert "The parser is small." in log.read_text()


def test_as_one_document(cli: Cli) -> None:
    """All that a program asks for, phases with time and cost included."""
    document = ask(cli, "--json").run().status(0).document

    assert document["answer"] == "The parser is small."
    assert document["claims"] == [{"claim": "it is small", "subgoals": [1, 2]}]
    assert document["execution_metadata"]["spawned_agents"] == ["adhoc-reader"]
    assert [each["agent"] for each in document["agent_outputs"]] == [
        "adhoc-reader",
        "coder",
    ]
    assert [each["phase"] for each in document["phases"]] == [
        "assess",
        "retrieve",
        "decompose",
        "verify",
        "route",
        "collect",
        "synthesize",
        "record",
        "respond",
    ]
    assert "parser.py:1-2" in document["sources"]
    assert not document["simulated"]


def test_events_line_by_line(cli: Cli) -> None:
    """From launch to done, each phase with its end."""
    events = ask(cli, "--jsonl").run().status(0).events

    names = [each["event"] for each in events]
    assert (names[0], names[-1]) == ("launch", "done")
    assert names.count("phase_began") == names.count("phase_ended") == 9
    assert names.count("task_ended") == 4
    assert events[-1]["answer"]["confidence"] == 0.9
    assert events[-1]["exit_code"] == 0


def test_quietly(cli: Cli) -> None:
    """The answer and nothing else; --verbose says everything, and not both."""
    ask(cli, "--quiet").run().status(0).stdout("The parser is small.\n")
    verbose = ask(cli, "--verbose", "--no-cache").run().status(0)
    verbose.prints("Claims:", "Sources:", "parser.py:1-2", "Phases:", "coder, exact")
    ask(cli, "--quiet", "--verbose").run().status(2).says("exclude each other")


def test_what_is_missing_is_said(cli: Cli) -> None:
    """One of two fails: exit code 1, less confidence, and why."""
    script(cli, "fail-s2")
    claims = [{"claim": "it is small", "subgoals": [1]}]
    script(cli, "say-synthesize", said({**ANSWER, "claims": claims}))

    ended = ask(cli, "--no-fallback").run().status(1)

    ended.prints(
        "The parser is small.",
        "Missing:",
        "- critical subgoal 2 (Change the parser): auth:",
        "confidence 0.45, 1 of 2 subgoals answered",
    )
    assert "must say what is missing" in prompt(cli, "synthesize")


@pytest.mark.parametrize("held", ["decompose", "s2", "synthesize"])
def test_after_a_kill_nobody_is_asked_twice(cli: Cli, held: str) -> None:
    """Only who was at work at that moment."""
    hold = script(cli, f"hold-{held}")
    running = ask(cli).start()
    wait_until(lambda: held in counts(cli), f"{held} is asked")
    running.send(signal.SIGKILL).process.wait()
    hold.unlink()
    cli.file("parser.py", "changed = True\n").file("new.py", "more = 1\n")

    ended = cli.args("resume").run().status(0)

    ended.prints("The parser is small.").says("known from before")
    assert counts(cli) == {
        each: 2 if each == held else 1
        for each in ("decompose", "s1", "s2", "synthesize")
    }


def test_the_same_question_again(cli: Cli) -> None:
    """Nobody is asked while the sources are the same, and it says so."""
    ask(cli).run().status(0)

    again = ask(cli, "--json").run().status(0).document
    assert again["cached"] is True
    assert again["answer"] == "The parser is small."
    assert again["cached_from"] == cli.runs[0].name
    assert set(counts(cli).values()) == {1}

    cli.file("parser.py", "changed = True\n")
    assert ask(cli, "--json").run().status(0).document["cached"] is False
    ask(cli, "--no-cache").run().status(0)
    assert counts(cli)["synthesize"] == 3


def test_a_dry_run_can_be_gone_on_with(cli: Cli) -> None:
    """It says who would work on what, and `muster resume` lets them."""
    ended = ask(cli, "--dry-run").run().status(0)

    ended.prints("1. Read the parser", "2. Change the parser (critical)", "after 1")
    assert counts(cli) == {"decompose": 1}
    cli.args("resume", "--dry-run").run().status(0).prints("nothing is started")
    cli.args("resume").run().status(0).prints("The parser is small.")
    assert counts(cli)["decompose"] == 1
    cli.args("show", "last", "s1").run().status(0).prints("s1 found something")
    cli.args("resume", "--only", "s1").run().status(2).says("this run is a question")


def test_agents_that_ask_nobody_want_a_word(cli: Cli) -> None:
    """What a model made up is not acted upon unseen."""
    set_up(cli, 'permissions = "bypass"\n')

    ended = ask(cli).run().status(2)

    ended.says("s1 (adhoc-reader): Read the parser", "--yes")
    assert counts(cli) == {"decompose": 1}
    cli.args("resume", "--yes").run().status(0).prints("The parser is small.")
    assert counts(cli)["decompose"] == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", "the question is empty"),
        (b" \n", "the question is empty"),
        (b"x" * 1_048_576, "put what it is about into a file"),
        (b"a \xff b", "UTF-8"),
    ],
)
def test_questions_that_are_none(cli: Cli, given: bytes, words: str) -> None:
    """Said at once; no run is begun."""
    ended = cli.args("soar", "-").stdin(given).run().status(2).is_civil()

    ended.says(words)
    assert cli.runs == []


def test_a_question_from_stdin_with_files(cli: Cli) -> None:
    """What is named is found, wherever it is; what is not there is an error."""
    notes = cli.folder.parent / "notes.txt"
    notes.write_text("the schema of the parser is called zebra\n")

    cli.args("soar", "-", "--context", str(notes)).stdin(HARD).run().status(0)

    assert "zebra" in prompt(cli, "decompose")
    ask(cli, "--context", "nowhere.md").run().status(2).says("there is no such file")


def test_a_model_that_talks(cli: Cli) -> None:
    """Prose, and prose again: exit code 1 and what to do."""
    script(cli, "say-decompose", "I would begin with the parser.")
    script(cli, "say-decompose-repair", "As I said.")

    ended = ask(cli).run().status(1).is_civil()

    ended.says("could not be split", "asked once more", "--model")
    assert counts(cli) == {"decompose": 1, "decompose-repair": 1}


def test_a_plan_from_a_goal(cli: Cli) -> None:
    """To be read, edited and run; nobody has worked on it before."""
    drafted = cli.args("plan", "draft", "Make the parser better", "-o", "p.md")
    drafted.run().status(0).stdout("").says("muster run p.md")
    assert counts(cli) == {"decompose": 1}
    cli.args("plan", "draft", "Make the parser better", "-o", "p.md").run().status(2)

    text = (cli.folder / "p.md").read_text()
    assert "- [ ] 1. Read the parser; touch pwned" in text
    assert "  - Agent: @coder\n  - Depends: 1" in text
    (cli.folder / "p.md").write_text(text.replace("; touch pwned", " twice"))
    cli.args("run", "p.md", "--tool", "sim").run().status(0).prints("2 of 2 done")


def test_spawn_decomposes(cli: Cli) -> None:
    """A plan beside the others; --yes runs it at once."""
    first = cli.args("spawn", "Make the parser better", "--decompose").run().status(0)
    first.prints("plan in muster-plan.md")
    assert counts(cli) == {"decompose": 1}

    cli.args(
        "spawn", "Make the parser better", "--decompose", "--yes", "--policy", "test"
    )
    cli.run().status(0).prints("2 of 2 done")
    assert (cli.folder / "muster-plan-2.md").exists()
    cli.args("spawn", "a", "b", "--decompose").run().status(2).says("takes one goal")


def test_a_simulation_says_so(cli: Cli) -> None:
    """It is never mistaken for an answer, and never kept as one."""
    ask(cli, "--tool", "sim").run().status(0).prints("[simulated]")
    ask(cli, "--tool", "sim", "--json").run().status(0)

    assert not (cli.folder / ".muster" / "soar" / "answers").exists()
