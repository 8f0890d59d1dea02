"""When a used-up allowance comes back, as epoch seconds, from the words of a message.

Read are epochs, distances ("resets in 2h"), dates, HTTP dates, days of the week
and times of day ("resets 3pm (Europe/Rome)"), each only behind a word that says
that something comes back. A time without a date is the next one; a time without
a zone is this machine's.
"""

import re
from typing import Any, Final

from attrs import evolve, frozen

from muster.domain import presets, retry_notice
from muster.domain.civil_time import (
    DAY,
    ZoneOffset,
    Zones,
    days_from_civil,
    is_date,
    local_day,
    moments,
    weekday,
    year_of,
)
from muster.domain.outcome import Failure, FailureCause

_ANCHOR: Final = (
    r"(?:(?<![a-z])(?:quota)?resets?(?:at|on|in|time|date|timestamp)(?![a-z])"
    r"|(?<![a-z])(?:reset(?:s|ting)?|renew(?:s|al|ed)?|refresh(?:es)?"
    r"|replenish(?:es|ed)?|try(?:ing)? again|retry(?: again)?|available(?: again)?|come back"
    r"|be back|until|resumes?|lifted|unlocks?|unblocked)(?![a-z])|limit reached ?\|)"
)
_FILLER: Final = (
    r"(?:[-_ ]?(?:at|on|by|after|is|be|will|time|date|timestamp|requests|tokens|around|about|your"
    r"|next|from|approximately|approx\.?|it|the|local|you)(?![a-z]))"
)
_SEPARATOR: Final = r"[\"'`:=|·,~<* -]{0,6}"
_MONTH: Final = (
    r"(?:jan|ene|feb|fev|mar|apr|abr|avr|may|mai|mag|jun|jul|aug|ago|sep|set|oct|okt|out|ott"
    r"|nov|dec|dez|dic)[a-z]{0,7}\.?"
)
_WEEKDAY: Final = r"(?:mon|tue|wed|thu|fri|sat|sun)(?:[a-z]{0,3}day)?\.?(?![a-z])"
_NTH: Final = r"(?:st|nd|rd|th)?"
_DATE: Final = (
    r"(?:(?P<y1>\d{4})[-/](?P<m1>\d{1,2})[-/](?P<d1>\d{1,2})(?!\d)"
    r"|(?P<m2>\d{1,2})/(?P<d2>\d{1,2})/(?P<y2>\d{4})(?!\d)"
    rf"|(?P<d3>\d{{1,2}}){_NTH}[- ](?:(?:of|de) )?(?P<m3>{_MONTH})(?:,?[- ](?:de )?(?P<y3>\d{{4}}))?"
    rf"|(?P<m4>{_MONTH}) (?P<d4>\d{{1,2}}){_NTH}(?![\d:])(?:,? (?P<y4>\d{{4}})(?![\d:]))?)"
)
_CLOCK: Final = (
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d{1,9})?)?)?(?!\d)"
    r"(?: ?(?P<half>[ap])\.?m\b\.?)?|(?P<word>noon|midnight))"
)
_ZONE: Final = (
    r"(?: ?\(?(?P<zone>(?:UTC|GMT)(?:[+\u2212-]\d{1,2}(?::?\d\d)?)?(?![\w/])|Z(?!\w)"
    r"|[+\u2212-]\d\d:?\d\d(?!\d)|[A-Za-z_]{2,20}/[A-Za-z_+/0-9-]{2,40}"
    r"|(?:[PMCE][SD]?T|CES?T|BST|WES?T|EES?T|IST|JST|KST|AE[SD]T|Pacific|Eastern)(?!\w)))?"
)
_WHEN: Final = (
    rf"(?:(?P<epoch>\d{{10}})(?P<millis>\d{{3}})?(?!\d)"
    rf"|(?:(?P<weekday>{_WEEKDAY})[, ]{{0,2}})?(?:{_DATE}|(?P<near>today|tomorrow)\b)?"
    rf"(?:T|(?:,? ?(?:at|by|around|@))? ?,? ?)?(?:{_CLOCK})?{_ZONE})"
)
_SAID: Final = rf"{_ANCHOR}(?:{_SEPARATOR}{_FILLER}){{0,4}}{_SEPARATOR}{_WHEN}"
_AFTER: Final = (
    rf"\b(?:resets?|refresh(?:es)?|renews?|available(?: again)?)(?:[-_ ](?:in|after|requests|tokens))"
    rf"[\"' :=]{{1,5}}(?:about |around |approximately |less than |~)?({retry_notice.DURATION})"
)
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTH_NUMBERS: Final = {
    name: number
    for number, names in enumerate(
        ("jan ene", "feb fev", "mar", "apr abr avr", "may mai mag", "jun", "jul", "aug ago",
         "sep set", "oct okt out ott", "nov", "dec dez dic"),
        1,
    )
    for name in names.split()
}  # fmt: skip
_LIMITS: Final = frozenset(
    (FailureCause.RATE_LIMIT, FailureCause.QUOTA, FailureCause.OVERLOADED)
)


def resets_at(
    text: str, *, now_epoch: float | None = None, zone_offset: ZoneOffset | None = None
) -> float | None:
    """Epoch seconds at which the limit named in ``text`` is lifted, or None.

    What is said relative to now ("in 2h", "at 3pm") is None without ``now_epoch``;
    what names no offset is None where ``zone_offset`` doesn't know the zone. A time
    of day is after now, and within eight days; a date may have passed.
    """
    reading = _Reading(now_epoch, Zones(zone_offset or _nowhere))
    for said in re.finditer(_SAID, text, re.IGNORECASE):
        moment = reading.moment(said.groupdict())
        if moment is not None:
            return moment
    relative = re.search(_AFTER, text, re.IGNORECASE)
    if relative is None or now_epoch is None:
        return None
    return now_epoch + retry_notice.duration(relative[1])


def dated(failure: Failure, now_epoch: float, zone_offset: ZoneOffset) -> Failure:
    """``failure`` with ``resets_at``, where it is a limit and its text says when it ends.

    A pause of minutes counts from now; shorter ones are a matter of ``retry_after``.
    """
    if failure.resets_at is not None or failure.cause not in _LIMITS:
        return failure
    said = failure.message
    if failure.evidence is not None and failure.evidence.text not in said:
        said = f"{said} {failure.evidence.text}"
    moment = resets_at(said, now_epoch=now_epoch, zone_offset=zone_offset)
    wait = failure.retry_after
    if moment is None and wait is not None and wait > presets.LANE_PARK_AFTER:
        moment = now_epoch + wait
    return failure if moment is None else evolve(failure, resets_at=moment)


def _nowhere(zone: str | None, epoch: float) -> None:
    """The zone look-up of whoever has none."""


@frozen
class _Reading:
    now: float | None
    zones: Zones

    def moment(self, said: dict[str, Any]) -> float | None:
        if said["epoch"]:
            # Ten digits are seconds of 2001 to 2286, thirteen are milliseconds.
            return int(said["epoch"]) + int(said["millis"] or 0) / 1000.0
        date = _date(said)
        seconds = _seconds(said)
        if date is not None:
            return self._on_date(date, seconds or 0.0, said["zone"])
        if said["near"] or said["weekday"]:
            return self._on_day(said, seconds or 0.0)
        # "Retry 5" is no time of day.
        if seconds is None or not (said["minute"] or said["half"] or said["word"]):
            return None
        return self._next(range(-1, 3), seconds, said["zone"])

    def _on_date(
        self, date: tuple[int | None, int, int], seconds: float, zone: str | None
    ) -> float | None:
        year, month, day = date
        if year is not None:
            if not is_date(year, month, day):
                return None
            days = days_from_civil(year, month, day)
            return next(iter(moments(days, seconds, zone, self.zones)), None)
        today = self._today(zone)
        if today is None or self.now is None:
            return None
        this_year = year_of(today)
        candidates = [
            moment
            for candidate in (this_year - 1, this_year, this_year + 1)
            if is_date(candidate, month, day)
            for moment in moments(
                days_from_civil(candidate, month, day), seconds, zone, self.zones
            )
        ]
        # The nearest: a date that has just passed is not meant for next year.
        now = self.now
        return min(candidates, key=lambda moment: abs(moment - now), default=None)

    def _on_day(self, said: dict[str, Any], seconds: float) -> float | None:
        today = self._today(said["zone"])
        if today is None:
            return None
        if said["near"]:
            ahead = 1 if said["near"].lower() == "tomorrow" else 0
            return self._next((ahead, ahead + 1), seconds, said["zone"])
        wanted = _WEEKDAYS.index(said["weekday"][:3].lower())
        ahead = (wanted - weekday(today)) % 7
        return self._next((ahead - 7, ahead, ahead + 7), seconds, said["zone"])

    def _next(
        self, days: "range | tuple[int, ...]", seconds: float, zone: str | None
    ) -> float | None:
        """The first moment after now at which clocks show that on one of the days."""
        today = self._today(zone)
        if today is None or self.now is None:
            return None
        for ahead in days:
            for moment in moments(today + ahead, seconds, zone, self.zones):
                # Whoever reads "resets 3pm" a few seconds after three must not
                # wait for a day.
                if moment > self.now - presets.RESET_JUST_PASSED:
                    return max(moment, self.now + 1.0)
        return None

    def _today(self, zone: str | None) -> int | None:
        return None if self.now is None else local_day(self.now, zone, self.zones)


def _date(said: dict[str, Any]) -> tuple[int | None, int, int] | None:
    for form in "1234":
        day = said[f"d{form}"]
        if day:
            year, month = said[f"y{form}"], said[f"m{form}"]
            number = int(month) if month.isdecimal() else _month(month)
            if form == "2" and number > 12:  # noqa: PLR2004 -- day first
                number, day = int(day), number
            return int(year) if year else None, number, int(day)
    return None


def _month(name: str) -> int:
    return _MONTH_NUMBERS[name[:3].lower()]


def _seconds(said: dict[str, Any]) -> float | None:
    """Seconds since midnight, None where no time of day is said."""
    if said["word"]:
        return 0.0 if said["word"].lower() == "midnight" else DAY / 2
    if not said["hour"]:
        return None
    hour, minute = int(said["hour"]), int(said["minute"] or 0)
    if said["half"]:
        if not 1 <= hour <= 12:  # noqa: PLR2004
            return None
        hour = hour % 12 + (12 if said["half"].lower() == "p" else 0)
    if hour > 23 or minute > 59:  # noqa: PLR2004
        return None
    return hour * 3600.0 + minute * 60 + int(said["second"] or 0)
