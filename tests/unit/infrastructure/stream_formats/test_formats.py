"""What single records of gemini, qwen, opencode and copilot mean."""

import json
from typing import Any

import pytest

from muster.domain.events import (
    ModelServed,
    PermissionAsked,
    ProgressMade,
    RateLimited,
    RetryAnnounced,
    SessionStarted,
    TerminalRecordSeen,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
)
from muster.domain.outcome import FailureCause, Usage
from muster.domain.stream_outcome import judge_stream
from tests.unit.infrastructure.stream_formats.recorded import read, read_records

Json = dict[str, Any]


def part(kind: str, **fields: Any) -> Json:
    """A record of opencode."""
    fields = {"messageID": "m1", **fields}
    return {"type": kind, "sessionID": "s1", "part": fields}


def data(kind: str, **fields: Any) -> Json:
    """A record of copilot."""
    return {"type": kind, "data": fields}


def delta(text: str) -> Json:
    """A record of gemini."""
    return {"type": "message", "role": "assistant", "content": text, "delta": True}


GEMINI_END = {"type": "result", "status": "success", "stats": {"total_tokens": 0}}
STOP = part("step_finish", reason="stop", tokens={"input": 3, "output": 2}, cost=0)
RESULT = {"type": "result", "sessionId": "s1", "exitCode": 0}
QWEN_END = {"type": "result", "subtype": "success", "is_error": False, "result": "hi"}
GOOD = {
    "gemini": [delta("h"), delta("i"), GEMINI_END],
    "opencode": [part("step_start"), part("text", text="hi"), STOP],
    "copilot": [data("assistant.message", content="hi", messageId="1"), RESULT],
    "qwen": [QWEN_END],
}


@pytest.mark.parametrize("tool", sorted(GOOD))
def test_an_answer_and_its_end_are_a_success(tool: str) -> None:
    """Only together with the exit code 0."""
    outcome = read_records(tool, *GOOD[tool])

    assert outcome.text == "hi"
    assert judge_stream(outcome, exit_code=0) is None
    assert judge_stream(outcome, exit_code=1) is not None
    assert judge_stream(outcome, exit_code=-15) is not None


@pytest.mark.parametrize("tool", sorted(GOOD))
def test_without_the_end_there_is_no_success(tool: str) -> None:
    """Nor with unknown records in its place."""
    outcome = read_records(tool, *GOOD[tool][:-1], {"type": "farewell"})

    assert judge_stream(outcome, exit_code=0) is not None
    assert outcome.unknown == ("farewell",)


@pytest.mark.parametrize(
    ("tool", "records", "cause", "words"),
    [
        (
            "gemini",
            [
                delta("half an ans"),
                {"type": "error", "severity": "error", "message": "status 503"},
                {"type": "result", "status": "error"},
            ],
            "server_error",
            "503",
        ),
        (
            "gemini",
            [
                {
                    "type": "result",
                    "status": "error",
                    "error": {
                        "type": "unknown",
                        "message": '[API Error: {"error":{"code":429,"status":'
                        '"RESOURCE_EXHAUSTED","message":"You exceeded your daily quota"}}]',
                    },
                }
            ],
            "quota",
            "daily quota",
        ),
        (
            "gemini",
            [
                {"type": "error", "severity": "warning", "message": "401"},
                {"type": "result", "status": "error"},
            ],
            "inference",
            "",
        ),
        (
            "qwen",
            [
                {
                    "type": "result",
                    "subtype": "error_during_execution",
                    "is_error": True,
                    "error": {"message": "[API Error: 401 Incorrect API key provided]"},
                }
            ],
            "auth",
            "API key",
        ),
        (
            "opencode",
            [
                {
                    "type": "error",
                    "error": {
                        "name": "APIError",
                        "data": {"message": "slow down", "statusCode": 429,
                                 "responseHeaders": {"retry-after": "7"}},
                    },
                }
            ],
            "rate_limit",
            "slow down",
        ),
        (
            "opencode",
            [part("step_finish", reason="content-filter")],
            "invalid_request",
            "content-filter",
        ),
        (
            "copilot",
            [
                data("model.call_failure", statusCode=402, errorMessage="no quota"),
                data("session.error", errorType="query", message="it went wrong"),
                {"type": "result", "exitCode": 1},
            ],
            "quota",
            "no quota",
        ),
        (
            "copilot",
            [
                data("model.call_failure", statusCode=500, errorMessage="oops"),
                data("session.error", errorType="authentication", statusCode=401,
                     message="Authentication failed"),
                {"type": "result", "exitCode": 1},
            ],
            "auth",
            "Authentication",
        ),
        ("copilot", [{"type": "result", "exitCode": 1}], "inference", "not why"),
    ],
)  # fmt: skip
def test_failures(tool: str, records: list[Json], cause: str, words: str) -> None:
    """By their fields, whatever the exit code."""
    outcome = read_records(tool, *records)

    for exit_code in (0, 1):
        failure = judge_stream(outcome, exit_code=exit_code)
        assert failure is not None
        assert failure.cause is FailureCause(cause)
        assert words in failure.message


def test_an_answer_that_was_cut_is_one_and_says_so() -> None:
    """The tool ends with 0; the result is marked."""
    cut = part("step_finish", reason="length")

    outcome = read_records("opencode", part("text", text="half"), cut)

    assert judge_stream(outcome, exit_code=0) is None
    assert outcome.truncated
    assert judge_stream(read_records("opencode", cut), exit_code=0) is not None


def test_the_waiting_time_of_a_header_is_kept() -> None:
    """opencode shows the headers of the answer."""
    headers = {"retry-after": "7"}
    error = {"data": {"message": "no", "statusCode": 429, "responseHeaders": headers}}

    outcome = read_records("opencode", {"type": "error", "error": error})

    assert outcome.failure is not None
    assert outcome.failure.retry_after == 7


def test_a_failure_that_was_got_over_is_forgotten() -> None:
    """The tool tried again by itself, and got on."""
    failure = data("model.call_failure", statusCode=529, errorMessage="overloaded")
    retry = data("assistant.turn_retry", reason="api_error")

    outcome = read_records("copilot", failure, retry, *GOOD["copilot"])

    assert judge_stream(outcome, exit_code=0) is None


def test_an_opencode_session_that_goes_on_is_not_over() -> None:
    """A step behind the last one takes its end back; another one gives it again."""
    more = [part("step_start"), part("text", text="more", messageID="m2")]

    open_end = read_records("opencode", *GOOD["opencode"], *more)
    ended = read_records("opencode", *GOOD["opencode"], *more, STOP)

    assert judge_stream(open_end, exit_code=0) is not None
    assert judge_stream(ended, exit_code=0) is None
    assert ended.text == "more"


def test_an_opencode_that_stopped_is_not_hurried() -> None:
    """Its stop is no terminal record by which a lingering process would be ended."""
    lines = "\n".join(map(json.dumps, GOOD["opencode"])).encode()

    _, events = read("opencode", lines)

    assert not [event for event in events if isinstance(event, TerminalRecordSeen)]


def test_a_refused_permission_without_an_answer_needs_approval() -> None:
    """What was refused is named."""
    state = {
        "status": "error",
        "error": "The user rejected permission to use this specific tool call.",
        "input": {"command": "touch x"},
    }
    refused = part("tool_use", tool="bash", callID="c1", state=state)

    outcome = read_records("opencode", part("step_start"), refused)
    answered = read_records("opencode", refused, *GOOD["opencode"])

    failure = judge_stream(outcome, exit_code=0)
    assert failure is not None
    assert failure.cause is FailureCause.NEEDS_APPROVAL
    assert "bash: touch x" in failure.message
    assert judge_stream(answered, exit_code=0) is None


def test_a_tool_that_copilot_may_not_use_is_told() -> None:
    """By the error of its call."""
    error = {"code": "denied", "message": "Permission denied"}
    lines = json.dumps(
        data("tool.execution_complete", toolCallId="1", success=False, error=error)
    )

    outcome, events = read("copilot", lines.encode())

    assert outcome.denied == ("a tool: Permission denied",)
    assert PermissionAsked("a tool: Permission denied") in events


@pytest.mark.parametrize(
    ("tool", "record", "event"),
    [
        (
            "gemini",
            {"type": "init", "session_id": "s", "model": "m"},
            [SessionStarted("s"), ModelServed("m")],
        ),
        (
            "gemini",
            {"type": "tool_use", "tool_id": "t", "tool_name": "shell"},
            [ToolCallOpened("t", "shell")],
        ),
        (
            "opencode",
            part("tool_use", callID="c", tool="bash"),
            [SessionStarted("s1"), ToolCallOpened("c", "bash"), ToolCallClosed("c")],
        ),
        (
            "copilot",
            data("assistant.message_delta", messageId="1", deltaContent="hi"),
            [TextProduced("hi")],
        ),
        (
            "copilot",
            data("tool.execution_start", toolCallId="c", toolName="bash"),
            [ToolCallOpened("c", "bash")],
        ),
        (
            "qwen",
            {"type": "system", "subtype": "retry",
             "data": {"reason": "retry", "attempt": 2, "delayMs": 60000}},
            [RetryAnnounced(60.0, "retry (attempt 2)")],
        ),
    ],
)  # fmt: skip
def test_reports(tool: str, record: Json, event: list[object]) -> None:
    """What the supervisor hears of a record."""
    _, events = read(tool, json.dumps(record).encode() + b"\n")

    assert [each for each in events if each != ProgressMade()] == event


def test_a_limit_that_copilot_meets_slows_the_lane() -> None:
    """While it tries again by itself."""
    limit = data("model.call_failure", statusCode=429, errorMessage="try again in 7s")
    retry = data("assistant.turn_retry", reason="api_error")
    lines = f"{json.dumps(limit)}\n{json.dumps(retry)}\n".encode()

    _, events = read("copilot", lines)

    assert [each.retry_after for each in events if isinstance(each, RateLimited)] == [7]


def test_deltas_are_not_told_twice() -> None:
    """A message that repeats its deltas adds nothing, another message replaces it."""
    one = data("assistant.message_delta", messageId="1", deltaContent="hi")
    same = data("assistant.message", messageId="1", content="hi")
    other = data("assistant.message", messageId="2", content="ho")
    lines = "\n".join(map(json.dumps, [one, same, other])).encode()

    outcome, events = read("copilot", lines)

    told = "".join(each.text for each in events if isinstance(each, TextProduced))
    assert told == "hi\nho\n"
    assert outcome.text == "ho"


def test_what_gemini_said_before_a_tool_call_is_not_the_answer() -> None:
    """It is told, and then replaced."""
    call = {"type": "tool_use", "tool_id": "t"}
    over = {"type": "tool_result", "tool_id": "t"}

    outcome = read_records("gemini", delta("let me see"), call, over, *GOOD["gemini"])

    assert outcome.text == "hi"


def test_usage_is_what_the_tool_counts_and_never_a_made_up_zero() -> None:
    """Summed over steps; a price of 0 is an unknown price, and no tokens are none told."""
    stats = {"total_tokens": 9, "input_tokens": 5, "output_tokens": 4, "cached": 1}
    gemini = {"type": "result", "status": "success", "stats": stats}
    priced = part("step_finish", reason="stop", tokens={"input": 1}, cost=0.5)

    assert read_records("gemini", gemini).usage == Usage(4, 4, 1)
    assert read_records("gemini", GEMINI_END).usage is None
    assert read_records("opencode", STOP, STOP).usage == Usage(6, 4)
    assert read_records("opencode", STOP, priced).usage == Usage(4, 2, None, 0.5)
    assert read_records("copilot", *GOOD["copilot"]).usage is None


@pytest.mark.parametrize(("preserved", "text"), [(True, "half"), (False, "")])
def test_qwen_says_whether_a_retry_takes_its_text_back(
    preserved: bool,  # noqa: FBT001 -- a row of a table
    text: str,
) -> None:
    """In the record of the retry."""
    said = {"type": "content_block_delta", "delta": {"text": "half"}}
    retry = {"subtype": "retry", "data": {"preserveText": preserved}}

    outcome = read_records(
        "qwen", {"type": "stream_event", "event": said}, {"type": "system", **retry}
    )

    assert outcome.text == text
