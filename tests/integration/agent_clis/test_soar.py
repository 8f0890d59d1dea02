"""A question about a project to real agent CLIs: one is limited, one hangs, one answers."""

import json

import pytest

from tests.support.agent_clis import MODELS, Place
from tests.support.cli import Cli, wait_until
from tests.support.model_server import served

pytestmark = [
    pytest.mark.agent_cli,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("soar"),
]

HARD = "Refactor the whole parser, migrate its schema, and then write tests for it"
SETTINGS = """
tool = "claude"
[policies.quick]
preset = "test"
[policies.quick.timeout]
timeout = 90.0
first_output_timeout = 60.0
no_activity_timeout = 8.0
"""
PROFILE = "---\nname: {name}\ndescription: d\ntool: {tool}\n---\nYou are {name}.\n"
WHO = {"steady": "claude", "limited": "codex", "silent": "gemini"}


def part(name: str) -> dict[str, object]:
    """The subgoal of one agent."""
    return {
        "description": f"What does {name} know of the parser?",
        "ideal_agent": name,
        "assigned_agent": name,
        "match_quality": "excellent",
    }


def test_the_answer_says_who_was_limited_and_who_hung(place: Place) -> None:
    """Decomposed and put together by claude; of its parts one comes back."""
    subgoals = json.dumps({"subgoals": [part(each) for each in WHO]})
    answer = {
        "answer": "The parser returns its text.",
        "confidence": 0.9,
        "claims": [{"claim": "it returns its text", "subgoals": [1]}],
    }
    models = {
        MODELS["claude"]: [
            {"do": "ok", "text": f"Gladly: {subgoals}"},
            {"do": "ok", "text": "parse() returns its text"},
            {"do": "ok", "text": json.dumps(answer)},
        ],
        MODELS["codex"]: ["rate_limit"],
        MODELS["gemini"]: ["hang_in_stream"],
    }
    cli = Cli(place.work)
    # claude knows the agents in its own folder only, and the others know none.
    (place.work / ".claude" / "agents").mkdir(parents=True)
    cli.file("parser.py", "def parse(text):\n    return text  # the parser\n")
    with served({"models": models, "tools_only": True}) as server:
        for name, tool in WHO.items():
            text = PROFILE.format(name=name, tool=tool)
            text = text.replace("description:", f"model: {MODELS[tool]}\ndescription:")
            cli.file(f".claude/agents/{name}.md", text)
        lines = [SETTINGS]
        for tool in WHO.values():
            table = place.settings(tool, server.url)["tools"][tool]
            lines += [
                f"[tools.{tool}]",
                'permissions = "bypass"',
                f"[tools.{tool}.env]",
            ]
            lines += [
                f"{key} = {json.dumps(value)}" for key, value in table["env"].items()
            ]
        cli.file("muster.toml", "\n".join(lines))
        cli.args(
            "soar",
            HARD,
            *("--policy", "quick", "--no-fallback", "--timeout", "25", "--yes"),
            *("--model", MODELS["claude"], "--json"),
        )
        running = cli.start()
        wait_until(lambda: running.process.poll() is not None, "an answer", 200)
        found = running.end().status(1).document

    assert found["answer"] == "The parser returns its text."
    assert found["claims"] == [{"claim": "it returns its text", "subgoals": [1]}]
    reasons = {each["subgoal"]: each["reason"] for each in found["missing"]}
    assert set(reasons) == {2, 3}, found
    assert "rate_limit" in reasons[2], reasons
    assert reasons[3].startswith(("no_activity", "timeout", "deadline")), reasons
    assert "parser.py:1-2" in found["sources"]
    assert place.alive_after(20) == []
