"""What a run cost, from the outside: told, estimated by list price, or unknown."""

import json
from pathlib import Path
from typing import Any

import pytest

from muster.infrastructure.stored_runs import read_run
from tests.support.cli import Cli

# An agent that tells of tokens and of no money, as codex does. It counts its whole thread.
CODEX = """#!/bin/sh
cat >/dev/null
echo '{"type":"thread.started","thread_id":"t-1"}'
read_before=0
case "$*" in *resume*) read_before=100000;; esac
if [ -e "fail-$MUSTER_TASK_ID" ]; then
  rm "fail-$MUSTER_TASK_ID"
  echo '{"type":"item.completed","item":{"type":"agent_message","text":"half"}}'
  exit 9
fi
echo '{"type":"item.completed","item":{"type":"agent_message","text":"fine"}}'
echo '{"type":"turn.completed","usage":{"input_tokens":'$((100000 + read_before))',
"cached_input_tokens":0,"output_tokens":10000}}' | tr -d '\\n'
echo
"""
TOOL = """[tools.thinker]
command = "./codex.sh"
output = "codex_json"
model_args = ["-m", "{model}"]
agent_args = ["--persona", "{agent}"]
session_resume_args = ["resume", "{session_id}"]
provider = "openai"
is_agent = true
"""
RUN = ("run", "plan.json", "--tool", "thinker", "--no-fallback")
EACH = 0.225  # dollars for 100,000 tokens in and 10,000 out


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with such an agent and a plan of two."""
    found = Cli(tmp_path).file("codex.sh", CODEX).file("muster.toml", TOOL)
    (tmp_path / "codex.sh").chmod(0o755)
    tasks = [{"id": each, "prompt": each, "agent": f"agent-{each}"} for each in "ab"]
    return found.file("plan.json", json.dumps({"tasks": tasks}))


def usage(document: dict[str, Any]) -> tuple[Any, ...]:
    """What a summary says of it."""
    used = document["summary"]["usage"]
    return used["input_tokens"], used["cost_usd"], used["cost_estimated"]


def test_a_list_price_is_an_estimate_and_says_so(cli: Cli) -> None:
    """In the summary, in what is shown, in the report, in the JSON; per agent too."""
    document = cli.args(*RUN, "--model", "gpt-5-codex", "--json").run().status(0)
    page = (cli.runs[0] / "report.html").read_text()

    assert usage(document.document) == (200_000, pytest.approx(2 * EACH), True)
    by_agent = document.document["summary"]["usage_by_agent"]
    costs = {name: each["cost_usd"] for name, each in by_agent.items()}
    assert costs == pytest.approx({"agent-a": EACH, "agent-b": EACH})
    shown = cli.args("show").run().status(0)
    shown.prints("220,000 tokens, ~$0.4500 by list price", "agent-b: 110,000 tokens")
    cli.args("show", "last", "a").run().prints("110,000 tokens, ~$0.2250 by list price")
    assert "<td>agent-a</td>" in page
    assert page.count("~$0.2250") == 4
    again = cli.args(*RUN, "--model", "gpt-5-codex").run().status(0)
    again.prints("220,000 tokens, ~$0.4500 by list price")


def test_an_unknown_price_is_no_price(cli: Cli) -> None:
    """Tokens are known, and the cost is not 0."""
    document = cli.args(*RUN, "--model", "some-model", "--json").run().status(0)

    assert usage(document.document) == (200_000, None, False)
    assert "$" not in cli.args("show").run().out


def test_a_budget_of_money_holds_for_tools_that_tell_no_money(cli: Cli) -> None:
    """What the first agent cost by list price leaves no room for a second."""
    limits = ("--model", "gpt-5-codex", "--sequential", "--budget-usd", "0.3")

    ended = cli.args(*RUN, *limits).run().status(4)

    ended.prints("1 of 2 done, 1 not done", "$0.2250 of $0.3")


def test_a_session_that_goes_on_is_paid_once(cli: Cli) -> None:
    """The tool counts its thread again; what was told before is not known to be paid."""
    cli.file("fail-a", "")
    document = cli.args(*RUN, "--json").run().status(0).document
    first = read_run(cli.folder / ".muster").results["a"]

    assert [each.continued for each in first.attempts] == [None, "t-1"]
    # The attempt that was cut off had told nothing: its tokens are in the next one's sum.
    assert document["summary"]["usage"]["input_tokens"] == 300_000
