"""What the recordings do not show: partial messages, limits, permissions, retries."""

from typing import Any

import pytest

from muster.domain.events import (
    AgentEvent,
    ModelServed,
    PermissionAsked,
    ProgressMade,
    RateLimited,
    RetryAnnounced,
    TerminalRecordSeen,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
)
from muster.domain.outcome import Usage
from tests.unit.infrastructure.stream_formats.recorded import read, read_records

Json = dict[str, Any]
INIT: Json = {"type": "system", "subtype": "init", "session_id": "s"}
GOOD: Json = {"type": "result", "subtype": "success", "is_error": False, "result": "ok"}


def events_of(tool: str, *records: Json) -> list[AgentEvent]:
    """What a stream reports, without mere progress."""
    import json  # noqa: PLC0415

    stream = "".join(json.dumps(each) + "\n" for each in records).encode()
    _, events = read(tool, stream)
    return [each for each in events if not isinstance(each, ProgressMade)]


def partial(kind: str, **fields: Any) -> Json:
    """A record of a message in the making."""
    return {"type": "stream_event", "event": {"type": kind, **fields}}


def delta(text: str) -> Json:
    """A piece of text."""
    return partial("content_block_delta", delta={"type": "text_delta", "text": text})


def assistant(*blocks: Json, **fields: Any) -> Json:
    """A whole message."""
    return {"type": "assistant", "message": {"id": "m", "content": [*blocks]}, **fields}


def retry(status: int | None, code: str = "unknown") -> Json:
    """claude tries again."""
    return {
        "type": "system",
        "subtype": "api_retry",
        "retry_delay_ms": 500,
        "error_status": status,
        "error": code,
    }


def test_deltas_are_told_once() -> None:
    """The whole message behind them adds nothing."""
    events = events_of(
        "claude",
        INIT,
        partial("message_start", message={"id": "m", "model": "big"}),
        partial("content_block_start", content_block={"type": "text"}),
        delta("hel"),
        delta("lo"),
        assistant({"type": "text", "text": "hello"}),
        {**GOOD, "result": "hello"},
    )

    told = "".join(each.text for each in events if isinstance(each, TextProduced))
    assert told == "hello\n"


def test_a_subagent_gives_no_answer() -> None:
    """Its text and its deltas are progress of the one that asked it."""
    inner = assistant({"type": "text", "text": "inner"}, parent_tool_use_id="t")

    events = events_of("claude", INIT, inner, {**delta("x"), "parent_tool_use_id": "t"})

    assert not any(isinstance(each, TextProduced) for each in events)


@pytest.mark.parametrize(
    ("tool", "record", "event"),
    [
        ("claude", {**INIT, "model": "m-1"}, ModelServed("m-1")),
        (
            "claude",
            assistant({"type": "tool_use", "id": "t", "name": "Bash"}),
            ToolCallOpened("t", "Bash"),
        ),
        (
            "claude",
            {
                "type": "rate_limit_event",
                "rate_limit_info": {
                    "status": "rejected",
                    "resetsAt": 1795258510,
                    "rateLimitType": "five_hour",
                },
            },
            RateLimited(None, 1795258510.0, "usage limit five_hour"),
        ),
        (
            "claude",
            {
                "type": "control_request",
                "request": {"subtype": "can_use_tool", "tool_name": "Bash"},
            },
            PermissionAsked("Bash", waits=True),
        ),
        ("claude", GOOD, TerminalRecordSeen(success=True)),
        ("claude", {**GOOD, "is_error": True}, TerminalRecordSeen(success=False)),
        ("claude", {"type": "result"}, TerminalRecordSeen(success=False)),
        (
            "codex",
            {"type": "item.started", "item": {"id": "i", "type": "mcp_tool_call"}},
            ToolCallOpened("i", "mcp_tool_call"),
        ),
        (
            "codex",
            {
                "type": "item.completed",
                "item": {
                    "id": "i",
                    "type": "command_execution",
                    "command": "rm x",
                    "status": "declined",
                },
            },
            PermissionAsked("rm x"),
        ),
    ],
)
def test_reports(tool: str, record: Json, event: AgentEvent) -> None:
    """One record, one report."""
    assert event in events_of(tool, record)


def test_an_allowed_limit_is_no_limit() -> None:
    """The event comes with every answer of a subscription."""
    record = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}

    assert events_of("claude", record) == []


@pytest.mark.parametrize(
    ("source", "causes"),
    [("ANTHROPIC_API_KEY", ["auth", "auth"]), ("none", [None, "auth"])],
)
def test_a_refused_login_may_be_renewed_once(
    source: str, causes: list[str | None]
) -> None:
    """By the tool itself, where it has one; a key can't be."""
    events = events_of(
        "claude",
        {**INIT, "apiKeySource": source},
        retry(401, "authentication_failed"),
        retry(401, "authentication_failed"),
    )

    found = [
        each.failure and each.failure.cause.value
        for each in events
        if isinstance(each, RetryAnnounced)
    ]
    assert found == causes


def test_the_moment_of_a_limit_is_kept() -> None:
    """A field of the limit's record beats the words of the result."""
    limit = {
        "type": "rate_limit_event",
        "rate_limit_info": {"status": "rejected", "resetsAt": 1795258510},
    }
    end = {
        "type": "result",
        "subtype": "success",
        "is_error": True,
        "api_error": "usage_limit_reached",
        "result": "You've hit your limit, resets in 9h",
    }

    outcome = read_records("claude", INIT, limit, end)

    assert outcome.failure is not None
    assert (outcome.failure.cause.value, outcome.failure.resets_at) == (
        "quota",
        1795258510.0,
    )


def test_usage_adds_up_and_the_result_has_the_last_word() -> None:
    """Messages that are counted twice under one id count once."""
    used = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 2}
    first = {"type": "assistant", "message": {"id": "1", "usage": used}}
    second = {"type": "assistant", "message": {"id": "2", "usage": used}}

    running = read_records("claude", first, first, second)
    done = read_records("claude", first, {**GOOD, "usage": used, "total_cost_usd": 0.5})

    assert running.usage == Usage(10, 2, 4)
    assert done.usage == Usage(5, 1, 2, 0.5)


def test_a_session_that_would_be_an_option_is_none() -> None:
    """It becomes an argument some day."""
    bad = read_records("claude", {**INIT, "session_id": "--dangerous"})

    assert bad.session_id is None


def test_codex_warnings_and_notices_are_no_failures() -> None:
    """Items of the kind error are advice; what follows a reconnection is forgotten."""
    outcome = read_records(
        "codex",
        {"type": "item.completed", "item": {"type": "error", "message": "401"}},
        {"type": "error", "message": "Reconnecting... 1/5 (status 503 Overloaded)"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "ok"}},
    )

    assert (outcome.text, outcome.failure) == ("ok", None)


def test_only_the_last_message_is_the_answer() -> None:
    """What codex says on its way is told, and not returned."""
    says = [
        {"type": "item.completed", "item": {"type": "agent_message", "text": text}}
        for text in ("on my way", "there")
    ]

    assert read_records("codex", *says).text == "there"
    assert ToolCallClosed("x") not in events_of("codex", *says)
