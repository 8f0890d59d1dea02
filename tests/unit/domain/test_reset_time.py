"""When limits end, as tools word it, in the right zone and always ahead."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.domain.civil_time import days_from_civil, fixed_offset, weekday, year_of
from muster.domain.outcome import Evidence, Failure, FailureCause
from muster.domain.reset_time import dated, resets_at
from muster.infrastructure.time_zones import zone_offset

HERE = "America/New_York"
NOW = datetime(2025, 10, 18, 12, 20, tzinfo=UTC).timestamp()  # a Saturday
DAY = 86400.0
ZONES = st.sampled_from(
    ["Europe/Rome", "America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe", "UTC",
     "America/Santiago", "Pacific/Apia", "Asia/Tokyo", "Etc/GMT+5"]
)  # fmt: skip
MOMENTS = st.integers(1_600_000_000, 2_000_000_000).map(float)


def here(zone: str | None, epoch: float) -> float | None:
    """Zones of a machine that stands in New York."""
    return zone_offset(zone or HERE, epoch)


def read(text: str, now: float = NOW) -> str | None:
    """The moment in UTC, as "10-18 13:00"."""
    moment = resets_at(text, now_epoch=now, zone_offset=here)
    if moment is None:
        return None
    form = "%m-%d %H:%M"
    if abs(moment - now) > 200 * DAY:
        form = "%Y-" + form
    return datetime.fromtimestamp(moment, UTC).strftime(form)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        # claude
        ("You've hit your limit · resets 3pm (Europe/Rome)", "10-18 13:00"),
        ("You've hit your session limit · resets 4:50am (Europe/Rome)", "10-19 02:50"),
        ("resets 12:50am (America/Los_Angeles)", "10-19 07:50"),
        ("Your limit will reset at 9am (America/Chicago).", "10-18 14:00"),
        ("Your limit will reset at 1pm (Etc/GMT+5).", "10-18 18:00"),
        ("limit reached ∙ resets 8:30pm", "10-19 00:30"),
        ("weekly limit · resets Oct 21 at 9am (Europe/Rome)", "10-21 07:00"),
        ("resets Oct 21, 9am", "10-21 13:00"),
        ("resets Jan 2, 10:59am (UTC)", "01-02 10:59"),
        ("Claude AI usage limit reached|1760000000", "10-09 08:53"),
        ("usage limit reached and won't reset|1760832000", "10-19 00:00"),
        ('{"rate_limit_info":{"resetsAt":1760832000}}', "10-19 00:00"),
        # codex
        ("hit your usage limit, or try again at 3:30 PM.", "10-18 19:30"),
        ("try again at 4:50 AM", "10-19 08:50"),
        ("or try again at Nov 11th, 2025 1:36 PM.", "11-11 18:36"),
        ("or try again at Jul 5th, 2026 8:19 PM.", "2026-07-06 00:19"),
        ("try again at 10 de dez. de 2025, 11:52.", "12-10 16:52"),
        ("or try again after November 6, 2025, 11:15.", "11-06 16:15"),
        ('"resets_at": 1760832000', "10-19 00:00"),
        # copilot, gemini, opencode
        ("wait for your limit to reset on October 20, 2025 at 2:00 AM", "10-20 06:00"),
        ("Usage limit reached. Access resets at 10:57 PM GMT-3.", "10-19 01:57"),
        ("It will reset in 5 days 10 hours.", "10-23 22:20"),
        ("Your quota will reset after 2h59m12s.", "10-18 15:19"),
        # headers and fields
        ("Retry-After: Wed, 22 Oct 2025 07:28:00 GMT", "10-22 07:28"),
        ("anthropic-ratelimit-requests-reset: 2025-10-19T10:00:00Z", "10-19 10:00"),
        ('"resets_at": "2025-10-19T10:00:00.123+02:00"', "10-19 08:00"),
        ("resetTime: 2025-10-19T10:00:00+0200", "10-19 08:00"),
        ("x-ratelimit-reset: 1760832000000", "10-19 00:00"),
        ("x-ratelimit-reset-requests: 6m0s", "10-18 12:26"),
        ("limit resets at: 2025-10-19 10:00:00 UTC", "10-19 10:00"),
        ("resets 10/22/2025, 2:00 PM", "10-22 18:00"),
        ("resets 22/10/2025 14:00", "10-22 18:00"),
        # days
        ("resets Monday 10:00", "10-20 14:00"),
        ("resets on Monday at 10:00 AM UTC", "10-20 10:00"),
        ("resets on Saturday at 8:00 UTC", "10-25 08:00"),
        ("resets tomorrow at 9am", "10-19 13:00"),
        ("available again at 15:00 CEST", "10-18 13:00"),
        ("resets at midnight UTC", "10-19 00:00"),
        ("resets at noon PT", "10-18 19:00"),
        ("try again at 9am PST", "10-18 17:00"),
        # nothing
        ("resets 3pm (Middle/Earth)", None),
        ("resets 25:00", None),
        ("resets Feb 30 at 9am", None),
        ("resets 13pm", None),
        ("retry 5 times", None),
        ("every 5h and every week", None),
        ("order 1760832000", None),
        ("at 3pm", None),
        ("", None),
    ],
)
def test_wordings(text: str, utc: str | None) -> None:
    """Of real tools, seen from New York on a Saturday at 8:20 in the morning."""
    assert read(text) == utc


def test_without_a_calendar_only_what_needs_none_is_read() -> None:
    """Epochs and offsets stand for themselves; "3pm" needs now and a zone."""
    assert resets_at("resets 2025-10-19T10:00:00Z") == 1760868000
    assert resets_at("resets 3pm UTC") is None
    assert resets_at("resets 3pm UTC", now_epoch=NOW) is not None
    assert resets_at("resets 3pm", now_epoch=NOW) is None
    assert resets_at("resets in 2h") is None


@given(
    ZONES, MOMENTS, st.integers(1, 12), st.integers(0, 59), st.sampled_from(["am", "PM"])
)  # fmt: skip
def test_a_time_of_day_is_the_next_one_by_the_clocks_of_its_zone(
    zone: str, now: float, hour: int, minute: int, half: str
) -> None:
    """Ahead, at most a day and a change of clocks away, and the clocks show it."""
    text = f"resets {hour}:{minute:02}{half} ({zone})"

    moment = resets_at(text, now_epoch=now, zone_offset=zone_offset)

    assert moment is not None
    # A day that the calendar of a zone has left out makes it two.
    assert now < moment <= now + 2 * DAY + 3600
    _assert_shown(moment, now, zone, hour % 12 + 12 * (half == "PM"), minute)


@given(ZONES, MOMENTS, st.integers(0, 6), st.integers(0, 23), st.integers(0, 59))
def test_a_day_of_the_week_is_the_next_one(
    zone: str, now: float, day: int, hour: int, minute: int
) -> None:
    """Ahead, at most a week and a day away, that day, and the clocks show it."""
    name = ["Monday", "Tue", "wed", "Thursday", "fri", "SAT", "Sunday"][day]

    moment = resets_at(
        f"resets {name} {hour:02}:{minute:02} ({zone})",
        now_epoch=now,
        zone_offset=zone_offset,
    )

    assert moment is not None
    assert now < moment <= now + 8 * DAY
    _assert_shown(moment, now, zone, hour, minute)
    shown = datetime.fromtimestamp(moment, ZoneInfo(zone))
    if moment > now + 1 and shown.hour == hour:
        assert shown.weekday() == day


def _assert_shown(moment: float, now: float, zone: str, hour: int, minute: int) -> None:
    if moment <= now + 1:
        moment -= 1 + presets.RESET_JUST_PASSED / 2
        wanted = {0, 1, 1439}
    else:
        wanted = {0}
    shown = datetime.fromtimestamp(moment, ZoneInfo(zone))
    distance = (shown.hour * 60 + shown.minute - hour * 60 - minute) % 1440
    gap = {30, 60}  # the clocks are set forward over it
    assert distance in wanted | (gap if _clocks_change(moment, zone) else set())


def _clocks_change(moment: float, zone: str) -> bool:
    return zone_offset(zone, moment - DAY) != zone_offset(zone, moment + 3600)


@pytest.mark.parametrize(
    ("now", "text", "utc"),
    [
        # Set forward: 2:30 does not exist, and would have been 3:30.
        ("2025-03-29T23:00", "resets 2:30am (Europe/Rome)", "03-30 01:30"),
        ("2025-03-29T23:00", "resets 3:30am (Europe/Rome)", "03-30 01:30"),
        # Set back: 2:30 comes twice, the next one counts.
        ("2025-10-25T23:00", "resets 2:30am (Europe/Rome)", "10-26 00:30"),
        ("2025-10-26T00:45", "resets 2:30am (Europe/Rome)", "10-26 01:30"),
        ("2025-10-26T01:45", "resets 2:30am (Europe/Rome)", "10-27 01:30"),
        # The day is that of the zone, not of UTC.
        ("2025-12-31T15:30", "resets 12:15am (Asia/Tokyo)", "01-01 15:15"),
        ("2025-12-31T14:30", "resets 12:15am (Asia/Tokyo)", "12-31 15:15"),
        ("2025-12-31T12:00", "resets Jan 1 at 9am UTC", "01-01 09:00"),
        # A date that has just passed is not meant for next year.
        ("2025-10-21T07:00", "resets Oct 21 at 6am UTC", "10-21 06:00"),
        ("2024-02-20T07:00", "resets Feb 29 at 6am UTC", "02-29 06:00"),
    ],
)
def test_changes_of_clocks_days_and_years(now: str, text: str, utc: str) -> None:
    """Now is in UTC, and so is the moment."""
    begin = datetime.fromisoformat(now + "+00:00").timestamp()

    assert read(text, begin) == utc


def test_a_reset_that_came_while_we_read_is_now() -> None:
    """Seconds after three "resets 3pm" is no day to wait; minutes after three it is."""
    three = datetime(2025, 10, 18, 15, tzinfo=UTC).timestamp()
    text = "resets 3pm (UTC)"

    assert resets_at(text, now_epoch=three + 5, zone_offset=here) == three + 6
    assert resets_at(text, now_epoch=three + 120, zone_offset=here) == three + DAY


@pytest.mark.parametrize(
    ("cause", "text", "retry_after", "wait"),
    [
        ("quota", "try again in 3 hours", 10800.0, 10800.0),
        ("rate_limit", "try again in 5s", 5.0, None),
        ("quota", "resets 3pm UTC", None, 9600.0),
        ("auth", "token valid until 3pm UTC", None, None),
    ],
)
def test_a_limit_gets_its_end(
    cause: str, text: str, retry_after: float | None, wait: float | None
) -> None:
    """From its message, or from a pause too long to sit out; other failures get none."""
    failure = Failure(FailureCause(cause), text, retry_after=retry_after)

    found = dated(failure, NOW, here)

    assert found.resets_at == (None if wait is None else NOW + wait)


def test_a_known_end_and_the_evidence_count() -> None:
    """What stands in a field is kept; what only the evidence says is read."""
    cause = FailureCause.QUOTA
    known = Failure(cause, "resets 3pm UTC", resets_at=5.0)
    hidden = Failure(cause, "limit", Evidence("limit resets 3pm UTC"))

    assert dated(known, NOW, here) is known
    assert dated(hidden, NOW, here).resets_at == NOW + 9600


@given(st.text(alphabet="resetsatmonoct:0123456789/-+()TZpm. |,GUCdayin", max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever stands there."""
    for said in (text, f"resets {text}", f"try again at {text}"):
        moment = resets_at(said, now_epoch=NOW, zone_offset=here)
        assert moment is None or isinstance(moment, float)


@given(st.dates())
def test_days_are_those_of_the_calendar(day: date) -> None:
    """Number, weekday and year agree with the standard library."""
    days = (day - date(1970, 1, 1)) // timedelta(days=1)

    assert days_from_civil(day.year, day.month, day.day) == days
    assert weekday(days) == day.weekday()
    if days >= 0:
        assert year_of(days) == day.year


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", 0), ("gmt-3", -3), ("UTC+05:30", 5.5), ("+0200", 2), ("CEST", 2), ("Z", 0),
     ("-02:00", -2), ("GMT+99", None), ("Europe/Rome", None), ("+", None), ("", None)],
)  # fmt: skip
def test_offsets_by_name(zone: str, hours: float | None) -> None:
    """In seconds east of UTC."""
    assert fixed_offset(zone) == (None if hours is None else hours * 3600)
