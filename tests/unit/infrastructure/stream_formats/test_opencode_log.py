"""What opencode's log on stderr tells of retries, of which its stream says nothing."""

import random
from typing import Any

import pytest

from muster.domain.events import AgentEvent, RetryAnnounced, SessionStarted
from muster.domain.stream_outcome import StreamOutcome
from muster.infrastructure.adapters.local_process.stream_formats import parser_for

QUOTA = "AI_APICallError: You exceeded your current quota, please check your plan"
NOISE = (
    'timestamp=2026-11-21T19:13:44Z level=ERROR run=f message=process error="429"',
    "error: stream error",
    'I read: message="stream error" small=false error.error="401 unauthorized"',
    "x" * 10_000,
    "\udcff\x00",
)


def line(why: str, **fields: str) -> str:
    """A line of the log."""
    said = {"level": "ERROR", "message": '"stream error"', "small": "false"} | fields
    return (
        f"timestamp=2026-11-21T19:13:42.390Z level={said['level']} run=fff0ffb9 "
        f"message={said['message']} providerID=mock modelID=test-model "
        f"session.id=ses_1 small={said['small']} agent=build mode=primary "
        f"error.error={why}"
    )


def read(*lines: str, seed: int | None = None) -> tuple[StreamOutcome, list[Any]]:
    """What the parser makes of stderr, fed in pieces with a ``seed``."""
    events: list[AgentEvent] = []
    parser = parser_for("opencode_json", events.append, epoch=lambda: 1_760_000_000.0)
    assert parser is not None
    data = "".join(f"{each}\n" for each in lines).encode("utf-8", "surrogateescape")
    pieces = random.Random(seed)  # noqa: S311 -- no secret
    begin = 0
    while begin < len(data):
        size = len(data) if seed is None else pieces.choice((1, 7, 200, 5000))
        parser.feed_log(memoryview(data)[begin : begin + size])
        begin += size
    return parser.finish(), events


@pytest.mark.parametrize(
    ("why", "cause", "message"),
    [
        (f'"{QUOTA}"', "quota", QUOTA.partition(": ")[2]),
        ('"AI_APICallError: Rate limit \\"tier 1\\" reached"', "rate_limit", None),
        ('"AI_APICallError: Cannot connect to API: ECONNREFUSED"', "network", None),
        ("Overloaded", "overloaded", "Overloaded"),
        ('"AI_APICallError: Something else"', None, "Something else"),
    ],
)
def test_a_refusal_is_news_of_a_retry(
    why: str, cause: str | None, message: str | None
) -> None:
    """With its cause, where that is known, and the session to continue."""
    outcome, events = read(line(why))

    (notice,) = [each for each in events if isinstance(each, RetryAnnounced)]
    found = None if notice.failure is None else notice.failure.cause.value
    assert found == cause
    assert message is None or notice.message == message
    assert SessionStarted("ses_1") in events
    assert not outcome.complete


@pytest.mark.parametrize("seed", range(5))
def test_other_lines_are_not_looked_at(seed: int) -> None:
    """What a tool prints, what names the session, what is no error: however it is cut."""
    lines = (
        *NOISE,
        line(f'"{QUOTA}"', small="true"),
        line(f'"{QUOTA}"', level="WARN"),
        line(f'"{QUOTA}"', message='"stream begun"'),
    )

    outcome, events = read(*lines, seed=seed)

    assert events == []
    assert outcome.failure is None


def test_lines_cut_anywhere_are_read_once() -> None:
    """Two refusals are two, in whatever pieces they come."""
    for seed in range(20):
        _, events = read(NOISE[3], line(f'"{QUOTA}"'), line("Overloaded"), seed=seed)

        assert sum(isinstance(each, RetryAnnounced) for each in events) == 2
