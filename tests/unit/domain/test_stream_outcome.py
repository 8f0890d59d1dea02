"""Whether a run succeeded, by its stream, its exit code and who ended it."""

from typing import Any

import pytest

from muster.domain.outcome import Failure, FailureCause
from muster.domain.stream_outcome import StreamOutcome, judge_stream

SAID = Failure(FailureCause.AUTH, "log in")
LACK = Failure(FailureCause.QUOTA, "all used up")
GOOD = {"complete": True, "success": True, "text": "yes"}


@pytest.mark.parametrize(
    ("fields", "exit_code", "stopped"),
    [(GOOD, 0, False), (GOOD, -15, True), ({**GOOD, "denied": ("rm",)}, 0, False)],
)
def test_success(fields: dict[str, Any], exit_code: int, *, stopped: bool) -> None:
    """The terminal record says so, there is a text, and no signal but ours."""
    outcome = StreamOutcome(**fields)

    assert judge_stream(outcome, exit_code=exit_code, stopped=stopped) is None


@pytest.mark.parametrize(
    ("fields", "exit_code", "stderr", "cause"),
    [
        ({}, 0, "", "inference"),
        ({"text": "yes"}, 0, "", "inference"),
        ({**GOOD, "text": " \n"}, 0, "", "inference"),
        (GOOD, 1, "", "crash"),
        (GOOD, -15, "", "killed"),
        ({"complete": True, "failure": SAID, "text": "x"}, 0, "", "auth"),
        ({"complete": True, "failure": SAID}, 1, "Error: 429 rate limit", "auth"),
        ({"complete": True}, 0, "", "inference"),
        ({"failure": SAID}, 1, "", "auth"),
        ({"failure": SAID}, 0, "", "auth"),
        ({"failure": SAID}, 143, "", "killed"),
        ({"failure": SAID}, 127, "", "tool_not_found"),
        ({"failure": SAID}, -9, "", "out_of_memory"),
        ({"failure": LACK}, -9, "", "quota"),
        ({}, 1, "Error: 429 rate limit exceeded", "rate_limit"),
        ({"unread": "Error: Invalid API key"}, 1, "", "auth"),
        ({"denied": ("rm -r",)}, 0, "", "needs_approval"),
        ({**GOOD, "denied": ("rm -r",), "blocked": True}, 0, "", "needs_approval"),
        ({"denied": ("x",), "complete": True, "failure": SAID}, 1, "", "auth"),
    ],
)
def test_failures(
    fields: dict[str, Any], exit_code: int, stderr: str, cause: str
) -> None:
    """Records before stderr, stderr before the exit code; a killer before all of them."""
    outcome = StreamOutcome(**fields)

    failure = judge_stream(outcome, exit_code=exit_code, stderr=stderr, tool="t")

    assert failure is not None
    assert failure.cause.value == cause


def test_what_was_asked_is_said() -> None:
    """And which kinds of records nobody knows."""
    asked = judge_stream(StreamOutcome(denied=("rm -r /",)), exit_code=0)
    strange = judge_stream(StreamOutcome(unknown=("a.b",)), exit_code=0)

    assert asked is not None
    assert "rm -r /" in asked.message
    assert strange is not None
    assert "a.b" in strange.message
