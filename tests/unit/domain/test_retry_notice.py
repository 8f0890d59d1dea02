"""Delays as messages word them, and retries that programs announce."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.domain.reset_time import resets_at
from muster.domain.retry_notice import announced_delay, retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("retry after 30s", 30),
        ("try again in 2h 13m", 7980),
        ("retry-after: 7", 7),
        ('"retryDelay": "3600s"', 3600),
        ("retryDelayMs: 3600000", 3600),
        ("retry_after_ms=1500", 1.5),
        ("Please retry in 41s.", 41),
        ("Your quota will reset after 2h59m12s.", 10752),
        ("Rate limit is exceeded. Try again in 11 seconds.", 11),
        ("try again in 3 hours 12 minutes.", 11520),
        ("Please try again in 1s. Visit https://x", 1),
        ("wait 28 seconds", 28),
        ("try again in a moment", None),
        ("try again later", None),
        ("total retry wait time: 5.59 seconds", None),
        ("timed out after 30s", None),
    ],
)
def test_the_delay_asked_for(text: str, seconds: float | None) -> None:
    """Header, JSON and prose give the same number of seconds."""
    assert retry_after(text) == seconds


def test_a_bare_delay_counts_only_where_it_is_asked_for() -> None:
    """ "In 28 seconds" alone may be anything."""
    assert retry_after("limit lifted in 28 seconds") is None
    assert retry_after("limit lifted in 28 seconds", bare=True) == 28


UNNAMED = presets.UNNAMED_RETRY_PATIENCE


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("got 429, retrying in 1s", 1),
        ("Retrying in 16.0 seconds...", 16),
        ("Connection error · Retrying in 4 seconds… (attempt 4/10)", 4),
        ("Retrying in 240s (attempt 3/10): [API Error: 429]", 240),
        ("backing off for 2.5s", 2.5),
        ("attempt 2/5", UNNAMED),
        ("Reconnecting... 5/5", UNNAMED),
        ("Attempt 2 failed with status 503. Retrying with backoff...", UNNAMED),
        ("will retry", UNNAMED),
        ("retrying after rate limit", UNNAMED),
        ("attempt 5/5 failed", None),
        ("not retrying", None),
        ("retried 5 times, giving up", None),
        ("exceeded retry limit", None),
        ("Please retry in 3s", None),
        ("page 2/5", None),
    ],
)
def test_a_retry_of_the_program_itself(line: str, seconds: float | None) -> None:
    """Its delay, the patience for an unnamed one, or None."""
    assert announced_delay(line) == seconds


@pytest.mark.parametrize(
    ("text", "now", "epoch"),
    [
        ("Claude AI usage limit reached|1762952400", None, 1762952400),
        ('{"resetsAt":1762952400}', None, 1762952400),
        ('"reset_at": 1762952400500', None, 1762952400.5),
        ("quota will reset after 2h", 1000.0, 8200.0),
        ("quota will reset after 2h", None, None),
        ("resets 3pm (Europe/Rome)", 1000.0, None),
        ("order 1762952400", None, None),
    ],
)
def test_the_time_of_reset(text: str, now: float | None, epoch: float | None) -> None:
    """Epochs as they stand, distances only from a given now."""
    assert resets_at(text, now_epoch=now) == epoch


@given(st.text(alphabet="retry afin0123456789.smhd-:=\"'…·", max_size=200))
def test_no_text_breaks_the_readers(text: str) -> None:
    """Whatever stands there, the answer is a number or None."""
    for answer in (
        retry_after(text, bare=True),
        announced_delay(text),
        resets_at(text),
    ):
        assert answer is None or answer >= 0
