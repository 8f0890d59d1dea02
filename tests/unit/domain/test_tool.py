"""Tools: from a row of data to a command line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.tool import ToolSpec

CLAUDE: dict[str, Any] = {
    "name": "claude",
    "command": ["claude", "-p"],
    "extra_args": ["--verbose"],
    "bypass_args": ["--yes"],
    "agent_args": ["--agent", "{agent}"],
    "model_args": ["--model={model}"],
    "session_resume_args": ["--resume", "{session_id}"],
}


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        ({}, {}, "claude -p --verbose"),
        ({}, {"agent": None, "model": None}, "claude -p --verbose"),
        ({}, {"agent": "a"}, "claude -p --verbose --agent a"),
        ({}, {"model": "m"}, "claude -p --verbose --model=m"),
        (
            {},
            {"session_id": "s", "agent": "a", "model": "m"},
            "claude -p --verbose --agent a --model=m --resume s",
        ),
        ({"permissions": "bypass"}, {}, "claude -p --verbose --yes"),
        ({}, {"prompt": "hello"}, "claude -p --verbose"),
        ({"prompt": "argv"}, {"prompt": "hello"}, "claude -p --verbose hello"),
        (
            {"prompt": "file"},
            {"prompt_file": "/p"},
            "claude -p --verbose /p",
        ),
        (
            {"prompt": "argv", "command": ["x", "--ask={prompt}"]},
            {"prompt": "hi"},
            "x --ask=hi --verbose",
        ),
        (
            {"prompt": "file", "command": ["x", "@{prompt_file}"]},
            {"prompt_file": "/p"},
            "x @/p --verbose",
        ),
        ({"command": "one-word"}, {}, "one-word --verbose"),
        ({"command": ["x", "{other}", "{}"]}, {}, "x {other} {} --verbose"),
    ],
)
def test_argv(
    fields: dict[str, Any], values: dict[str, str | None], expected: str
) -> None:
    """A group whose value is missing is left out; unknown braces stay."""
    spec = ToolSpec(**{**CLAUDE, **fields})

    assert spec.argv(**values) == tuple(expected.split())


def test_shell() -> None:
    """One string, one shell, and nothing is filled in."""
    spec = ToolSpec("x", "echo $HOME | wc -c; echo {prompt}", shell=True)  # noqa: S604 (data, nothing runs)

    assert spec.argv(prompt="$(rm -rf /)") == (
        "/bin/sh",
        "-c",
        "echo $HOME | wc -c; echo {prompt}",
    )


@given(st.text(), st.text(), st.text())
def test_a_value_is_one_argument_and_is_never_filled_again(
    agent: str, model: str, prompt: str
) -> None:
    """Spaces, quotes and braces in a value have no meaning."""
    spec = ToolSpec(
        "x",
        ["x"],
        prompt="argv",
        agent_args=["-a", "{agent}"],
        model_args=["{model}{agent}"],
    )

    argv = spec.argv(agent=agent + "{model}", model=model + "{prompt}", prompt=prompt)

    assert argv == (
        "x",
        "-a",
        agent + "{model}",
        model + "{prompt}" + agent + "{model}",
        prompt,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"A": "1", "B": None}, {"A": "1", "B": None}),
        (["A", "B_*"], {"A": None, "B_*": None}),
        ("A", {"A": None}),
        ({}, {}),
    ],
)
def test_env(given: Any, expected: dict[str, str | None]) -> None:
    """A list of names means the caller's values."""
    assert ToolSpec("x", "x", env=given).env == expected
