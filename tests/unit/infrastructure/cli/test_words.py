"""Words for people: short, in one line, and harmless."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import fleet_events as events
from muster.domain.outcome import Evidence, Failure, FailureCause
from muster.infrastructure.cli import words
from tests.unit.infrastructure.cli import story


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (-3, "0:00"),
        (59.9, "0:59"),
        (60, "1:00"),
        (3599, "59:59"),
        (3723, "1:02:03"),
    ],
)
def test_clock(seconds: float, text: str) -> None:
    """Minutes, and hours where there are some."""
    assert words.clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.254, "0.25 s"), (7.26, "7.3 s"), (61, "1:01")]
)
def test_took(seconds: float, text: str) -> None:
    """As exact as it is worth."""
    assert words.took(seconds) == text


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "task", "1 task"),
        (2, "retry", "2 retries"),
        (2, "process", "2 processes"),
        (0, "task", "0 tasks"),
    ],
)
def test_plural(count: int, noun: str, text: str) -> None:
    """English."""
    assert words.plural(count, noun) == text


@given(st.text(max_size=500), st.integers(10, 200))
def test_one_line_is_one_short_harmless_line(text: str, limit: int) -> None:
    """Whatever an agent prints."""
    line = words.one_line(text, limit)

    assert len(line) <= limit
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in line)


FAR = 2_000_000_000.0
LEAVE = "limit; Ctrl-C leaves it to resume"
STORY = [
    (story.started(0), "t0: started with sh"),
    (story.started(0, "ann", 2), "t0 (ann): started with sh, attempt 2"),
    (story.said(0, "hello"), None),
    (story.retry(0), "t0: retry 1 in 3.0 s after crash: ended with exit code 3"),
    (
        evolve(story.retry(0, 2.0, story.LIMIT), retry=0, free=True),
        (
            "t0: starts again in 2.0 s, which costs no retry, after rate_limit: "
            "Error: 429 rate limit exceeded"
        ),
    ),
    (
        story.retry(0, 0.0, story.LIMIT),
        "t0: waits after rate_limit: Error: 429 rate limit exceeded",
    ),
    (story.ended(0), "t0: done in 2.0 s"),
    (
        story.ended(0, agent="ann", simulated=True),
        "t0 (ann): done in 2.0 s [simulated]",
    ),
    (story.ended(0, retry_count=2), "t0: done in 2.0 s after 2 retries"),
    (
        story.ended(0, story.LIMIT, retry_count=1, fallback=True),
        (
            "t0: failed after 1 retry and a direct call: "
            "rate_limit: Error: 429 rate limit exceeded (seen after 0.25 s)"
        ),
    ),
    (
        story.ended(0, Failure(FailureCause.CANCELLED, "ended: interrupted")),
        "t0: ended: interrupted",
    ),
    (
        story.ended(
            0, Failure(FailureCause.DEADLINE, "over 2 s", detection_time_ms=2000.0)
        ),
        "t0: failed: deadline: over 2 s",
    ),
    (
        events.SilenceWarned(0, "t0", "llm", 15.0, 30.0),
        "t0: silent for 15.0 s; ended at 30.0 s",
    ),
    (events.AttemptEnded(0, "t0", "llm", 1, 2.0, None), None),
    (
        events.AttemptEnded(0, "t0", "llm", 1, 2.0, None, 2),
        "t0: ended 2 of its processes left behind",
    ),
    (
        events.FallbackStarted(0, "t0", "ann", "no luck"),
        "t0 (ann): falls back to a direct call: no luck",
    ),
    (events.CircuitBlocked(0, None, "ann", "open"), "#1 (ann): not started: open"),
    (
        events.LaneSlowed("claude", "rate limited", 1.5),
        "claude: waits 1.5 s: rate limited",
    ),
    (
        events.LaneParked("claude", "log in", None),
        "claude: nothing more is started: log in",
    ),
    (
        events.LaneParked("claude", "limit", FAR),
        f"claude: nothing more is started until {words.local_time(FAR)}: limit",
    ),
    (
        events.LaneParked("claude", "limit", FAR, 3700.0),
        f"claude: waits until {words.local_time(FAR)} (in 1:01:40): {LEAVE}",
    ),
]


@pytest.mark.parametrize(("event", "text"), STORY, ids=lambda each: type(each).__name__)
def test_each_event_in_words(event: events.FleetEvent, text: str | None) -> None:
    """One line each; what would only scroll has none."""
    assert words.event_words(event) == text


def test_every_kind_of_event_has_words() -> None:
    """A new event must not go unseen."""
    told = {type(event) for event, _ in STORY}

    assert told == set(events.FleetEvent.__args__)


def test_evidence_is_shown_where_the_message_lacks_it() -> None:
    """With the stream on which it stood."""
    failure = Failure(FailureCause.AUTH, "not logged in", Evidence("401", "stdout"))

    assert words.failure_words(failure) == "auth: not logged in (stdout: 401)"
    assert words.failure_words(story.LIMIT).count("429") == 1


@pytest.mark.parametrize("epoch", [1e300, float("inf"), float("nan"), -1e300])
def test_a_moment_that_is_none(epoch: float) -> None:
    """What a backend says of its reset may be nonsense."""
    assert words.local_time(epoch) == "?"
