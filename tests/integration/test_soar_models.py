"""A question to models that are served on this machine: one is limited, one hangs."""

import json
from pathlib import Path

from tests.support.cli import Cli
from tests.support.model_server import served

HARD = "Refactor the whole parser, migrate its schema, and then write tests for it"
SETTINGS = """
tool = "local"
model = "boss"
[policies.quick]
preset = "test"
[policies.quick.timeout]
timeout = 3.0
first_output_timeout = 1.0
no_activity_timeout = 1.0
[tools.local]
adapter = "openai_compatible"
base_url = "{url}/v1"
"""
PROFILE = "---\nname: {name}\ndescription: Reads {name} code\nmodel: {name}\n---\nYou are {name}.\n"
AGENTS = ("steady", "limited", "silent")


def part(name: str) -> dict[str, object]:
    """The subgoal of one agent."""
    return {
        "description": f"What does {name} know?",
        "ideal_agent": name,
        "assigned_agent": name,
        "match_quality": "excellent",
        "is_critical": name == "steady",
        "depends_on": [],
    }


def test_the_answer_says_who_was_limited_and_who_hung(tmp_path: Path) -> None:
    """A question about the project is split, routed, collected and put together."""
    subgoals = json.dumps({"subgoals": [part(each) for each in AGENTS]})
    answer = {
        "answer": "The parser returns its text.",
        "confidence": 0.9,
        "claims": [{"claim": "it returns its text", "subgoals": [1]}],
    }
    models = {
        "boss": [
            {"do": "ok", "text": f"Gladly: {subgoals}"},
            {"do": "ok", "text": json.dumps(answer)},
        ],
        "steady": [{"do": "ok", "text": "parse() returns its text"}],
        "limited": ["rate_limit"],
        "silent": ["hang"],
    }
    (tmp_path / ".muster" / "agents").mkdir(parents=True)
    with served({"models": models}) as server:
        cli = Cli(tmp_path).file("muster.toml", SETTINGS.format(url=server.url))
        cli.file("parser.py", "def parse(text):\n    return text  # the parser\n")
        for each in AGENTS:
            cli.file(f".muster/agents/{each}.md", PROFILE.format(name=each))
        cli.args("soar", HARD, "--policy", "quick", "--no-fallback", "--timeout", "4")

        ended = cli.args(*cli.words, "--json").run().status(1)
        asked = server.requests()

    found = ended.document
    assert found["answer"] == "The parser returns its text."
    assert found["claims"] == [{"claim": "it returns its text", "subgoals": [1]}]
    reasons = {each["subgoal"]: each["reason"] for each in found["missing"]}
    assert set(reasons) == {2, 3}
    assert "rate_limit" in reasons[2]
    assert reasons[3].startswith(("no_activity", "timeout", "deadline"))
    assert found["confidence"] == 0.3
    assert "parser.py:1-2" in found["sources"]
    assert found["execution_metadata"]["failed_subgoals"] == 2
    cost = {each["phase"]: each["usage"] for each in found["phases"]}
    assert cost["decompose"]["input_tokens"] == 11
    assert cost["collect"]["output_tokens"] == 7
    boss = [each["body"]["messages"] for each in asked if each["model"] == "boss"]
    assert "def parse(text):" in boss[0][-1]["content"]
    assert "must say what is missing" in boss[1][-1]["content"]
