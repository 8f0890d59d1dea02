"""Budgets from the outside: exit 4, what to type next, and a resume that goes on."""

import json
from pathlib import Path

import pytest

from tests.support.cli import Cli

# An agent that counts its starts, costs a dollar and a hundred tokens, and may pass that.
AGENT = """#!/bin/sh
echo x >> "count-$MUSTER_TASK_ID"
told() {
  echo '{"type":"result","subtype":"success","is_error":false,"result":"fine",
"total_cost_usd":'$1',"usage":{"input_tokens":90,"output_tokens":10}}' | tr -d '\\n'
  echo
}
[ -e "fail-$MUSTER_TASK_ID" ] && { rm "fail-$MUSTER_TASK_ID"; exit 3; }
told 1.0
"""
TOOL = '[tools.model]\ncommand = "./agent.sh"\noutput = "claude_stream_json"\nis_agent = true\n'
RUN = ("--tool", "model", "--no-fallback", "--policy", "test", "--sequential")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with an agent that costs a dollar."""
    found = Cli(tmp_path).file("agent.sh", AGENT).file("muster.toml", TOOL)
    (tmp_path / "agent.sh").chmod(0o755)
    return found


def write_plan(cli: Cli, ids: str, **options: object) -> None:
    """A chain of tasks."""
    tasks = [
        {"id": each, "prompt": each, "depends": list(before), **options}
        for before, each in zip(["", *ids], ids, strict=False)
    ]
    cli.file("plan.json", json.dumps({"tasks": tasks}))


def starts(cli: Cli, ids: str) -> list[int]:
    """How often each agent ran, as they say themselves."""
    files = [cli.folder / f"count-{each}" for each in ids]
    return [len(each.read_text()) // 2 if each.exists() else 0 for each in files]


@pytest.mark.parametrize(
    ("flag", "limit", "higher", "words"),
    [
        ("--budget-usd", "2", "9", "$2.0000 of $2"),
        ("--budget-tokens", "200", "900", "200 of 200 tokens"),
        ("--max-agents", "2", "9", "2 of 2 starts"),
    ],
)
def test_a_budget_ends_a_run_and_a_higher_one_goes_on(
    cli: Cli, flag: str, limit: str, higher: str, words: str
) -> None:
    """Exit 4, nothing lost, nothing repeated; what was used before still counts."""
    write_plan(cli, "abcd")

    ended = cli.args("run", "plan.json", *RUN, flag, limit).run().status(4).is_civil()
    ended.prints("budget reached: 2 of 4 done, 2 not done", words, "not done c, d")
    ended.prints(f"resume {cli.runs[0].name.rpartition('-')[2]} {flag} ")
    assert starts(cli, "abcd") == [1, 1, 0, 0]

    cli.args("resume").run().status(4).says("2 kept, 0 re-run, 2 new")
    assert starts(cli, "abcd") == [1, 1, 0, 0]

    cli.args("resume", flag, higher).run().status(0).prints("4 of 4 done")
    assert starts(cli, "abcd") == [1, 1, 1, 1]


def test_what_a_replaced_result_had_cost_still_counts(cli: Cli) -> None:
    """A failed attempt that is run again was paid for, too."""
    write_plan(cli, "abc")
    cli.file("fail-a", "")
    limit = ("--max-agents", "2")
    cli.args("run", "plan.json", *RUN, *limit).run().status(1)
    assert starts(cli, "abc") == [1, 0, 0]

    cli.args("resume", "--retry-failed").run().status(4)
    assert starts(cli, "abc") == [2, 0, 0]
    cli.args("resume", "--max-agents", "3").run().status(4)
    assert starts(cli, "abc") == [2, 1, 0]
    cli.args("resume", "--max-agents", "4", "--json").run().status(0)
    assert starts(cli, "abc") == [2, 1, 1]


def test_the_settings_of_a_folder_are_a_budget_too(cli: Cli) -> None:
    """For spawn as for run; the report of a program says what was used."""
    cli.file("muster.toml", f"{TOOL}[limits]\nagents = 1\n")

    ended = cli.args("spawn", "x", "y", *RUN[:5], "--max-concurrent", "1", "--json")

    document = ended.run().status(4).document
    assert document["status"] == "budget"
    assert document["summary"]["by_cause"] == {"budget": 1}
    assert document["summary"]["budget"]["reached"] == "agents"


def test_a_task_s_own_limits(cli: Cli) -> None:
    """They bound its attempts; --retry-failed and a higher limit run it again."""
    write_plan(cli, "a", limits={"agents": 1, "budget_usd": 5})
    recovery = "[recovery]\nmax_retries = 1\nbase_delay = 0.01\n"
    cli.file("muster.toml", TOOL + recovery)
    cli.file("fail-a", "")
    ended = cli.args("run", "plan.json", *RUN).run().status(4).is_civil()
    ended.prints("budget of the task reached", "--retry-failed")
    cli.args("resume").run().status(4).says("failed   a")
    cli.args("resume", "--retry-failed").run().status(0)
    assert starts(cli, "a") == [2]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("--budget-usd", "0"),
            "--budget-usd: limits.budget_usd must be dollars above 0",
        ),
        (("--budget-tokens", "-1"), "--budget-tokens: limits.tokens must be a whole"),
        (("--max-agents", "many"), "--max-agents"),
        (("--max-minutes", "nan"), "--max-minutes: limits.minutes must be minutes"),
    ],
)
def test_a_budget_that_is_none(cli: Cli, words: tuple[str, str], problem: str) -> None:
    """It is refused before anything starts."""
    write_plan(cli, "a")

    cli.args("run", "plan.json", *RUN, *words).run().status(2).says(problem).is_civil()
    assert starts(cli, "a") == [0]
