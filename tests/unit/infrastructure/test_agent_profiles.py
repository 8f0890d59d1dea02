"""Agent profiles of a project, a home folder and the settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.agent_profile import AgentProfile
from muster.infrastructure.agent_profiles import AgentProfiles

FULL = """\
---
name: planner
description: Plans things
tools: Read, Grep
model: opus
color: blue
---

You plan.
"""


def write(root, path, text):
    """A profile file."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def discover(tmp_path, text):
    """What comes of one file."""
    write(tmp_path, ".muster/agents/sam.md", text)
    return AgentProfiles.discover(tmp_path)


def test_a_whole_profile(tmp_path):
    """Known keys are read, unknown ones kept, the body is the prompt."""
    file = write(tmp_path, ".claude/agents/deep/planner.md", FULL)
    agents = AgentProfiles.discover(tmp_path)

    assert agents.all() == [
        AgentProfile(
            name="planner",
            description="Plans things",
            tools=("Read", "Grep"),
            model="opus",
            prompt="You plan.",
            source=str(file),
            extra={"color": "blue"},
        )
    ]
    assert agents.find("@planner") == agents.find("planner") == agents.all()[0]
    assert agents.find("nobody") is None
    assert agents.problems == ()


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("---\ndescription: x\n---\n", "name", "sam"),
        ("\ufeff---\r\nname: max\r\n---\r\nhello\r\n", "name", "max"),
        ("---\ntools: [a, b]\n---", "tools", ("a", "b")),
        ("---\ntools:\n---", "tools", ()),
        ("---\nmodel: inherit\n---", "model", None),
        ("---\ntool: codex\n---", "tool", "codex"),
        ("---\n---\n# Only\n---\ntext", "prompt", "# Only\n---\ntext"),
        ("---\ndescription: Use when: always\n---", "description", "Use when: always"),
        ("---\ndate: 2024-01-01\n---", "name", "sam"),
    ],
)
def test_forms(tmp_path, text, field, value):
    """What other programs write is read too."""
    agents = discover(tmp_path, text)

    assert agents.problems == ()
    assert getattr(agents.all()[0], field) == value


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("You are Sam.", 1, "has no front matter"),
        ("---\nname: sam\n", 1, "never closed"),
        ("---\nname: [a]\n---", 2, "name must be"),
        ("---\nname: --yolo\n---", 2, "without a leading '-'"),
        ("---\ndescription: x\nmodel: 3\n---", 3, "model must be"),
        ("---\na: 1\nname: x\nname: y\n---", 4, "stands here twice"),
        ("---\na: !!python/name:os.system\n---", 2, "tags are refused"),
        ("---\na: !x {b: c: d}\n---", 2, "tags are refused"),
        ("---\na: [\n---", 3, "not valid YAML"),
        ("---\n- a\n---", 2, "must be a table"),
        ("---\na: " + "[" * 99 + "\n---", 2, "nested more than"),
        (b"---\nname: \xff\n---", None, "not UTF-8"),
        ("---\n---\n" + "x" * 1024 * 1024, None, "larger than"),
    ],
)
def test_what_is_wrong_is_reported_and_left_out(tmp_path, text, line, message):
    """The others are not touched by it."""
    write(tmp_path, ".gemini/agents/good.md", FULL)
    agents = discover(tmp_path, text)

    assert agents.names() == ["planner"]
    assert agents.problems
    assert message in str(agents.problems[0])
    assert "sam.md" in agents.problems[0].file
    assert agents.problems[0].line == line


def test_precedence(tmp_path):
    """Settings, then the project, then home; each hidden one is named with its rival."""
    project, home = tmp_path / "p", tmp_path / "h"
    text = "---\nname: {}\ndescription: {}\n---"
    write(project, ".muster/agents/a.md", text.format("a", "files lose"))
    write(project, ".muster/agents/b.md", text.format("b", "muster"))
    write(project, ".claude/agents/b.md", text.format("b", "claude"))
    write(project, ".gemini/agents/c.md", text.format("c", "project"))
    write(home, ".muster/agents/c.md", text.format("c", "home"))
    write(home, ".gemini/agents/d.md", text.format("d", "home"))

    agents = AgentProfiles.discover(
        project, home, {"a": AgentProfile("a", "settings win")}
    )

    said = {each.name: each.description for each in agents.all()}
    assert said == {"a": "settings win", "b": "muster", "c": "project", "d": "home"}
    texts = [str(each) for each in agents.problems]
    assert [text.rpartition("/")[2][0] for text in texts] != []
    assert len(texts) == 3
    assert "agent 'a' is defined in the settings already" in texts[0]
    assert ".muster/agents/b.md" in texts[1]
    assert ".claude/agents/b.md" in texts[1]


def test_nothing_there(tmp_path):
    """No folder, a file instead of a folder, a folder instead of a file, a pipe."""
    write(tmp_path, ".muster/agents", "")
    (tmp_path / ".claude/agents/x.md").mkdir(parents=True)

    agents = AgentProfiles.discover(tmp_path, tmp_path / "none")

    assert agents.names() == []
    assert [each.text for each in agents.problems] == ["is a directory; name a file"]


@given(st.text(max_size=60), st.sampled_from(["---\n{}\n---\nx", "{}", "---\n{}"]))
def test_any_text_is_a_profile_or_a_problem(tmp_path_factory, text, frame):
    """Nothing else comes out of it."""
    root = tmp_path_factory.mktemp("any")
    write(root, ".muster/agents/x.md", frame.replace("{}", text))
    agents = AgentProfiles.discover(root)

    assert bool(agents.names()) != bool(agents.problems)
