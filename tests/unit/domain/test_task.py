"""Tasks: what is refused before anything is started."""

from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
