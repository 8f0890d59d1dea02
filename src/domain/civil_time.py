"""Dates and times of day as people write them, turned into epoch seconds.

What a zone's clocks show at a moment is asked of a `ZoneOffset`: the domain
knows no calendar of summer times.
"""

from collections.abc import Callable
from typing import Final

from attrs import frozen

ZoneOffset = Callable[[str | None, float], float | None]
"""(zone, epoch seconds) -> seconds east of UTC then; zone None is this machine's,
the answer None means that there is no such zone."""

DAY: Final = 86400
_EPOCH_DAY: Final = 719468  # days from 0000-03-01 to 1970-01-01
_ERA: Final = 146097  # days in 400 years
_THURSDAY: Final = 3  # the weekday of 1970-01-01, Monday being 0
_MONTHS: Final = 12
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@frozen
class Zones:
    """Reads zone names: IANA names and offsets ("UTC+2"), and what people abbreviate."""

    offset_of: ZoneOffset

    def offset(self, zone: str | None, epoch: float) -> float | None:
        """Seconds east of UTC, or None for a zone that nobody knows."""
        if zone is None:
            return self.offset_of(None, epoch)
        fixed = fixed_offset(zone)
        if fixed is not None:
            return fixed
        return self.offset_of(_ABBREVIATED.get(zone.upper(), zone), epoch)


# What people call their zone the whole year, though the letters name one half of it.
_ABBREVIATED: Final = {
    name: zone
    for zone, names in {
        "America/Los_Angeles": "PT PACIFIC",
        "America/Denver": "MT",
        "America/Chicago": "CT",
        "America/New_York": "ET EASTERN",
    }.items()
    for name in names.split()
}
_FIXED_HOURS: Final = {
    "Z": 0.0, "UTC": 0.0, "GMT": 0.0, "PST": -8.0, "PDT": -7.0, "MST": -7.0, "MDT": -6.0,
    "CST": -6.0, "CDT": -5.0, "EST": -5.0, "EDT": -4.0, "BST": 1.0, "WET": 0.0, "WEST": 1.0,
    "CET": 1.0, "CEST": 2.0, "EET": 2.0, "EEST": 3.0, "IST": 5.5, "JST": 9.0, "KST": 9.0,
    "AEST": 10.0, "AEDT": 11.0,
}  # fmt: skip


def fixed_offset(zone: str) -> float | None:
    """Seconds east of UTC of "UTC", "GMT-3", "+02:00", "CEST"; None for other names."""
    name = zone.upper().replace("\u2212", "-")
    if name in _FIXED_HOURS:
        return _FIXED_HOURS[name] * 3600
    digits = name.removeprefix("UTC").removeprefix("GMT")
    if digits[:1] not in ("+", "-") or not digits[1:].replace(":", "").isdecimal():
        return None
    hours, colon, minutes = digits[1:].partition(":")
    if not colon and len(hours) > 2:  # noqa: PLR2004 -- "+0530"
        hours, minutes = hours[:-2], hours[-2:]
    seconds = int(hours) * 3600 + int(minutes or 0) * 60
    if seconds > DAY:
        return None
    return float(-seconds if digits[0] == "-" else seconds)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date of the Gregorian calendar.

    The algorithm is Howard Hinnant's: years begin in March, so that a leap day
    is the last day of its year.
    """
    year -= month <= 2  # noqa: PLR2004
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1  # noqa: PLR2004
    return (
        era * _ERA + of_era * 365 + of_era // 4 - of_era // 100 + of_year - _EPOCH_DAY
    )


def year_of(days: int) -> int:
    """The year in which a day since 1970-01-01 lies."""
    year = 1970 + days // 366
    while days_from_civil(year + 1, 1, 1) <= days:
        year += 1
    return year


def is_date(year: int, month: int, day: int) -> bool:
    """Whether the calendar has such a day."""
    if not (1 <= month <= _MONTHS and 1 <= day <= _LENGTHS[month - 1]):
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return leap or (month, day) != (2, 29)


def weekday(days: int) -> int:
    """The day of the week, Monday is 0."""
    return (days + _THURSDAY) % 7


def local_day(epoch: float, zone: str | None, zones: Zones) -> int | None:
    """Days since 1970-01-01 by the clocks of ``zone``."""
    offset = zones.offset(zone, epoch)
    return None if offset is None else int((epoch + offset) // DAY)


def moments(days: int, seconds: float, zone: str | None, zones: Zones) -> list[float]:
    """Epoch seconds at which clocks in ``zone`` show this time of that day, in order.

    Two where the clocks are set back over it. Where they are set forward over it
    the one at which they would have shown it. None in an unknown zone.
    """
    shown = days * DAY + seconds
    offsets = {zones.offset(zone, shown + side) for side in (-DAY, DAY)}
    known = [offset for offset in offsets if offset is not None]
    right = [
        shown - offset
        for offset in known
        if zones.offset(zone, shown - offset) == offset
    ]
    if right or not known:
        return sorted(right)
    return [shown - min(known)]
