"""`muster spawn` from the outside: the answer alone on stdout."""

import json
from pathlib import Path

import pytest

from muster.infrastructure.stored_runs import read_run
from tests.support.cli import Cli

PROFILE = "---\nname: ann\ntool: sh\n---\nYou are Ann.\n"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """An empty folder."""
    return Cli(tmp_path)


@pytest.mark.parametrize(
    "prompt",
    ["hello", "no newline\n\n", "- [ ] 1. {{task.1.output}}x", "日本", " "],
    ids=repr,
)
def test_one_answer_stands_alone(cli: Cli, prompt: str) -> None:
    """Byte for byte; the talk is on stderr."""
    ended = cli.args("spawn", "--tool", "cat", "--", prompt).run().status(0)

    ended.stdout(prompt).says("1: done in").is_civil()


def test_an_answer_that_outgrows_memory_is_whole(cli: Cli) -> None:
    """All of it, not head and tail."""
    script = "head -c 3000000 /dev/zero | tr '\\0' x"

    cli.args("spawn", script, "--tool", "sh", "--quiet").run().status(0).stdout(
        "x" * 3_000_000
    )


def test_a_failure_has_no_answer(cli: Cli) -> None:
    """stdout stays empty; stderr says why."""
    script = "echo half an answer; echo broken >&2; exit 4"
    cli.args("spawn", script, "--tool", "sh", "--retries", "0", "--quiet")

    cli.run().status(1).stdout("").says("failed: crash: ended with exit code 4: broken")


def test_several_answers_are_labelled(cli: Cli) -> None:
    """In the order in which they were asked."""
    cli.args("spawn", "echo a", "exit 3", "echo c", "--tool", "sh", "--retries", "0")

    ended = cli.run().status(1)

    ended.stdout(
        "--- 1: echo a\na\n"
        "--- 2: exit 3\nfailed: crash: ended with exit code 3\n"
        "--- 3: echo c\nc\n"
    )


@pytest.mark.parametrize("source", ["prompts.txt", "-"])
def test_prompts_from_a_file(cli: Cli, source: str) -> None:
    """One a line; blank lines are none."""
    text = "echo one\n\n  \necho two"
    cli.file("prompts.txt", text).stdin(text)

    ended = cli.args("spawn", "--from", source, "--tool", "sh").run().status(0)

    ended.stdout("--- 1: echo one\none\n--- 2: echo two\ntwo\n")


def test_an_empty_file_asks_nothing(cli: Cli) -> None:
    """That is a success without an answer."""
    cli.args("spawn", "--from", "-", "--tool", "cat").run().status(0).stdout("")


def test_the_documents(cli: Cli) -> None:
    """``--json`` and ``--jsonl`` are those of ``muster run``."""
    document = (
        cli.args("spawn", "hi", "--tool", "cat", "--json").run().status(0).document
    )
    assert document["results"][0]["output"] == "hi"
    assert document["report"] == str(cli.runs[0])

    events = cli.args("spawn", "hi", "--tool", "cat", "--jsonl").run().status(0).events
    assert [events[0]["event"], events[-1]["event"]] == ["launch", "done"]


def test_it_is_stored_as_a_run(cli: Cli) -> None:
    """Its plan can be run again."""
    cli.args("spawn", "echo a", "echo b", "--tool", "sh", "--quiet").run().status(0)

    assert [
        each.output for each in read_run(cli.folder / ".muster").results.values()
    ] == [
        "a\n",
        "b\n",
    ]
    plan = (cli.runs[0] / "plan").read_text()
    assert [each["prompt"] for each in json.loads(plan)["tasks"]] == [
        "echo a",
        "echo b",
    ]
    cli.args("run", "-", "--tool", "sh").stdin(plan).run().status(0)


def test_an_agent_is_found_and_told(cli: Cli) -> None:
    """Its profile names the tool."""
    (cli.folder / ".muster" / "agents").mkdir(parents=True)
    cli.file(".muster/agents/ann.md", PROFILE)

    ended = cli.args("spawn", "echo $MUSTER_AGENT", "--agent", "@ann").run()

    ended.status(0).stdout("ann\n")


def test_retries_and_timeout(cli: Cli) -> None:
    """As many as asked for; the timeout spans them all."""
    script = "echo x >> tries; exit 1"
    cli.args("spawn", script, "--tool", "sh", "--retries", "2", "--quiet").run().status(
        1
    )
    assert (cli.folder / "tries").read_text() == "x\n" * 3

    cli.args("spawn", "sleep 60", "--tool", "sh", "--timeout", "0.5", "--json")
    result = cli.run().status(1).document["results"][0]
    assert result["failure"]["cause"] == "deadline"


@pytest.mark.parametrize(
    ("flag", "is_fallback"), [("--fallback", True), ("--no-fallback", False)]
)
def test_fallback_is_a_choice(cli: Cli, flag: str, *, is_fallback: bool) -> None:
    """A failed agent's prompt goes to a direct call, or not."""
    script = 'test -z "$MUSTER_AGENT" && echo direct'
    cli.args(
        "spawn",
        script,
        "--agent",
        "ann",
        "--tool",
        "sh",
        "--retries",
        "0",
        "--json",
        flag,
    )

    document = cli.run().status(0 if is_fallback else 1).document

    assert document["results"][0]["fallback"] is is_fallback


def test_prompts_that_are_no_text(cli: Cli) -> None:
    """Bytes that are no UTF-8 are refused before anything starts."""
    cli.args("spawn", "a", "\udcff\udcfe", "--tool", "cat")

    cli.run().status(2).says("prompt 2 is no text").is_civil()
