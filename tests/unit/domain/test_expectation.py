"""Exit codes and patterns that an answer must have."""

from typing import Any

import pytest

from muster.domain import expectation
from muster.domain.task import Expectation


@pytest.mark.parametrize(
    ("expect", "exit_code", "output", "words"),
    [
        ({}, 0, "", None),
        ({"exit_code": 0}, 0, "", None),
        ({"exit_code": 0}, None, "", None),
        ({"exit_code": 3}, 3, "", None),
        ({"exit_code": 3}, 0, "", "was 0, not 3"),
        ({"exit_code": 0}, -9, "", "was -9, not 0"),
        ({"regex": "done"}, 0, "all done.", None),
        ({"regex": "^done$"}, 0, "not yet\ndone\nbye", None),
        ({"regex": "^done$"}, 0, "almost done", "does not match"),
        ({"regex": "(?i)DONE"}, 0, "done", None),
        ({"regex": ""}, 0, "", None),
        ({"regex": "x", "exit_code": 1}, 0, "", "exit code"),
    ],
)
def test_complaints(
    expect: dict[str, Any], exit_code: int | None, output: str, words: str | None
) -> None:
    """The first thing that is wrong, or nothing."""
    found = expectation.complaint(
        Expectation(**expect), exit_code=exit_code, output=output
    )

    assert found is None if words is None else words in str(found)


@pytest.mark.parametrize(
    ("regex", "words"),
    [
        (None, None),
        ("a+", None),
        ("(", "no regular expression"),
        ("a{1000000000000}", "no regular expression"),
    ],
)
def test_obstacles(regex: str | None, words: str | None) -> None:
    """A pattern that is none is found before anybody runs."""
    found = expectation.obstacle(Expectation(regex=regex))

    assert found is None if words is None else words in str(found)


@pytest.mark.parametrize(
    ("expect", "needs"),
    [
        ({}, False),
        ({"exit_code": 1, "regex": "x"}, False),
        ({"file": "x"}, True),
        ({"json_schema": {}}, True),
        ({"command": ("true",)}, True),
    ],
)
def test_what_needs_the_world(
    expect: dict[str, Any],
    needs: bool,  # noqa: FBT001
) -> None:
    """Files, schemas and commands do."""
    assert expectation.needs_the_world(Expectation(**expect)) is needs


def test_the_prompt_of_the_further_attempt() -> None:
    """What was asked, and what was wrong."""
    prompt = expectation.with_complaint("count to 3", "there was no 2")

    assert prompt.startswith("count to 3\n\n")
    assert prompt.endswith("not accepted: there was no 2")
