"""What gemini's log on stderr tells of retries, of which its stream says nothing."""

import random

import pytest

from muster.domain.events import AgentEvent, RateLimited, RetryAnnounced
from muster.infrastructure.adapters.local_process.stream_formats import parser_for

CAPACITY = "You have exhausted your capacity on this model. Your quota will reset after 2h59m12s."
DOWN = '{"error":{"code":503,"message":"The model is overloaded. Please try again later."}}'
NOISE = (
    "Loaded cached credentials.",
    "    at async retryWithBackoff (file:///gemini-cli/chunk.js:308039:23)",
    "I saw that Attempt 1 failed: no quota. Retrying after 10ms...",
    "Attempt 3 failed: The model is overloaded. Please try again later.. Max attempts reached",
)
NOW = 1_760_000_000.0


def read(*lines: str, seed: int = 0) -> list[AgentEvent]:
    """What the parser makes of stderr, cut anywhere."""
    events: list[AgentEvent] = []
    parser = parser_for("gemini_stream_json", events.append, epoch=lambda: NOW)
    assert parser is not None
    data = "".join(f"{each}\n" for each in lines).encode()
    pieces = random.Random(seed)  # noqa: S311 -- no secret
    begin = 0
    while begin < len(data):
        size = pieces.choice((1, 7, 200, 5000))
        parser.feed_log(data[begin : begin + size])
        begin += size
    return events


@pytest.mark.parametrize(
    ("lines", "delay", "cause"),
    [
        ([f"Attempt 1 failed: {CAPACITY}. Retrying after 1044ms..."], 1.044, "quota"),
        (
            [
                "Attempt 1 failed: Please slow down, too many requests.",
                "Suggested retry after 7200s.. Retrying after 8326285ms...",
            ],
            8326.285,
            "rate_limit",
        ),
        (
            [f"Attempt 2 failed with status 503. Retrying with backoff... E: {DOWN}"],
            None,
            "overloaded",
        ),
        (["Attempt 1 failed with status 500. Retrying with backoff..."], None,
         "server_error"),
        (
            [
                ("Attempt 1 failed with 429 error (no Retry-After header). "
                "Retrying with backoff... Error: Resource exhausted")
            ],
            None,
            "rate_limit",
        ),
        (
            [
                ("Attempt 1 failed. Retrying with backoff... "
                "Error: exception TypeError: fetch failed sending request")
            ],
            None,
            "network",
        ),
    ],
)  # fmt: skip
def test_a_failed_attempt_is_news_of_a_retry(
    lines: list[str], delay: float | None, cause: str
) -> None:
    """With the wait that gemini names, and the cause."""
    events = read(*NOISE, *lines, *NOISE)

    (notice,) = [each for each in events if isinstance(each, RetryAnnounced)]
    assert notice.failure is not None
    assert (notice.delay, notice.failure.cause.value) == (delay, cause)


def test_the_reset_of_a_quota_is_known() -> None:
    """So that its lane can be parked until then."""
    (notice,) = read(f"Attempt 1 failed: {CAPACITY}. Retrying after 1044ms...")

    assert isinstance(notice, RetryAnnounced)
    assert notice.failure is not None
    assert notice.failure.resets_at == NOW + 2 * 3600 + 59 * 60 + 12


@pytest.mark.parametrize("seed", range(5))
def test_other_lines_are_not_looked_at(seed: int) -> None:
    """Nor is a wait that stands far from the attempt that failed."""
    far = ["Attempt 1 failed: why", *["    at line"] * 9, "Retrying after 1044ms..."]

    assert read(*NOISE, *far, seed=seed) == []


def test_a_rate_limit_is_told_to_the_lane() -> None:
    """While the agent goes on."""
    events = read("Attempt 1 failed: Too many requests. Retrying after 2000ms...")

    assert [type(each) for each in events] == [RateLimited, RetryAnnounced]
