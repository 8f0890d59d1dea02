"""Tasks: what is refused before anything is started."""

from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.budget import BudgetLimits
from muster.domain.errors import PlanError
from muster.domain.plan import PlanTask
from muster.domain.task import AgentRequest, ContextBundle, Expectation, SpawnTask

BAD_NAMES = [
    "",
    "-",
    "--dangerously-skip-permissions",
    "a\0b",
    "a\nb",
    "\x1b[31mred",
    "tab\t",
    "del\x7f",
    "csi\x9b31m",
    3,
    b"bytes",
]


@pytest.mark.parametrize("field", ["agent", "model"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_a_foreign_program_would_misread(field: str, name: object) -> None:
    """No option, no control character, nothing but text; the error names the field."""
    with pytest.raises(ValueError, match=field):
        SpawnTask("hello", **{field: name})  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["agent", "model"])
@pytest.mark.parametrize(
    "name",
    ["planner", "a-b", "claude-3.5/sonnet:beta", "Ünï cödé", "名前", "a b", None],
)
def test_names_that_are_fine(field: str, name: str | None) -> None:
    """Whatever else people call their agents."""
    assert getattr(SpawnTask("hello", **{field: name}), field) == name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cwd", "/work/\0"),
        ("env", {"A\0": "b"}),
        ("env", {"A": "b\0"}),
    ],
)
def test_nul_has_no_place_in_paths_and_environments(field: str, value: object) -> None:
    """The kernel would cut it there."""
    with pytest.raises(ValueError, match=f"{field} holds a NUL"):
        SpawnTask("hello", **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [0, -1, 0.0, float("nan"), float("inf"), 10**400, "10", True]
)
def test_time_limits_without_meaning(value: object) -> None:
    """A deadline lies in the future."""
    with pytest.raises(ValueError, match="timeout"):
        SpawnTask("hello", timeout=value)  # type: ignore[arg-type]


@given(st.text())
def test_every_prompt_is_allowed(prompt: str) -> None:
    """Empty, with NUL, with a leading dash: it goes through stdin."""
    assert SpawnTask(prompt).prompt == prompt


def test_what_is_given_is_what_is_kept() -> None:
    """Paths become text, lists become tuples, a limit stays."""
    task = SpawnTask(
        "hello",
        "planner",
        cwd=PurePosixPath("/work"),  # type: ignore[arg-type]
        env={"A": "b"},
        depends=["x", "y"],
        timeout=3,
    )

    assert (task.cwd, task.depends, task.timeout) == ("/work", ("x", "y"), 3)
    assert SpawnTask("hello").cwd is None


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "llm"),
        ({"task_id": "t1"}, "t1"),
        ({"task_id": "t1", "agent": "planner"}, "planner"),
        ({"task_id": "t1", "agent": "planner", "display_name": "Plan"}, "Plan"),
    ],
)
def test_label(fields: dict[str, Any], label: str) -> None:
    """What people read."""
    assert SpawnTask("hello", **fields).label == label


@pytest.mark.parametrize(
    ("prompt", "context", "text"),
    [
        ("do it", None, "do it"),
        ("do it", ContextBundle("t", "topic"), "do it"),
        ("", ContextBundle("t", "topic"), ""),
        (None, ContextBundle("t", "topic"), "topic"),
        (None, None, ""),
    ],
)
def test_text_of_a_request(
    prompt: str | None, context: ContextBundle | None, text: str
) -> None:
    """The prompt, an empty one too, before the topic."""
    assert AgentRequest("a", context, prompt=prompt).text == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({}, Expectation()),
        ({"regex": "x"}, Expectation(regex="x")),
        ({"command": "pytest"}, Expectation(command=("pytest",))),
        ({"command": ["pytest", "-q"]}, Expectation(command=("pytest", "-q"))),
        (Expectation(file="x"), Expectation(file="x")),
    ],
)
def test_an_expectation_may_be_a_table(
    value: Any, expected: Expectation | None
) -> None:
    """Of the same names, in a task and in a plan."""
    assert SpawnTask("x", expect=value).expect == expected
    assert PlanTask("a", "x", expect=value).expect == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [({"regexp": "x"}, "no 'regexp'; there are command"), ("x", "not 'x'")],
)
def test_an_expectation_that_is_none(value: Any, words: str) -> None:
    """Says which key is wrong, or what it should be."""
    with pytest.raises(ValueError, match=words):
        SpawnTask("x", expect=value)
    with pytest.raises(PlanError, match=words):
        PlanTask("a", "x", expect=value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"prompt": 3}, "the prompt of a task must be text, not 3"),
        ({"prompt": b"x"}, "must be text"),
        ({"prompt": None}, "must be text, not an object of type NoneType"),
        ({"tool": 3}, "tool must be a name, a path or a ToolSpec, not 3"),
        ({"policy": 3}, "policy must be a SpawnPolicy or the name of a preset"),
        ({"task_id": 3}, "task_id must be text"),
        ({"display_name": 3}, "display_name must be text"),
        ({"env": "A"}, "env must be a table of texts, not a str"),
        ({"env": {"KEY": 3}}, "env must be a table of texts, but not all"),
        ({"limits": 3}, "limits must be BudgetLimits or a table"),
        ({"limits": {"dollars": 3}}, "limits has no 'dollars'; there are agents"),
        ({"limits": {"usd": "3"}}, "limits.usd must be a number from 0, not '3'"),
        ({"limits": {"usd": -1}}, "limits.usd must be a number from 0"),
        ({"limits": {"tokens": True}}, "limits.tokens must be a number"),
        ({"limits": {"minutes": float("nan")}}, "limits.minutes must be a number"),
    ],
)
def test_wrong_kinds(wrong: dict[str, Any], words: str) -> None:
    """What is wrong, and what would be right; no secret of an environment is told."""
    with pytest.raises(ValueError, match=words) as caught:
        SpawnTask(**{"prompt": "x", **wrong})
    assert "KEY" not in str(caught.value)


def test_a_lone_dependency_is_one() -> None:
    """Not one per letter."""
    assert SpawnTask("x", depends="ab").depends == ("ab",)  # type: ignore[arg-type]


def test_a_table_of_limits() -> None:
    """Is as good as the limits."""
    assert SpawnTask("x", limits={"usd": 1}).limits == BudgetLimits(usd=1)  # type: ignore[arg-type]
