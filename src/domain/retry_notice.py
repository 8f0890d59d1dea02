"""How long a message asks us to wait, and whether a program says that it retries itself."""

import re
from typing import Final

from muster.domain import presets

_UNIT_SECONDS: Final = {
    "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
    "w": 604800.0,
}  # fmt: skip
_NUMBER: Final = r"\d{1,9}(?:\.\d{1,6})?"
_UNIT: Final = (
    r"(?:milliseconds?|millis|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m"
    r"|hours?|hrs?|hr|h|days?|d|weeks?|w)(?![a-z])"
)
_PART: Final = rf"({_NUMBER})[ -]?({_UNIT})"
_ONE: Final = r"\b(?:an?|one) (second|minute|hour|day|week)\b"
DURATION: Final = (
    rf"(?:{_NUMBER} ?{_UNIT}(?:,? ?(?:and )?{_NUMBER} ?{_UNIT}){{0,3}}"
    r"|(?:an?|one) (?:second|minute|hour|day|week)\b)"
)

# A key of a header or of JSON: "retry-after: 7", "retryDelay": "3600s".
_KEYED: Final = (
    r"retry[-_ ]?(?:after|delay|in)([-_ ]?(?:ms|millis|seconds|secs?|s))?(?![a-z])"
    rf"[\"']{{0,2}} ?[:=]? ?[\"']?({DURATION}|{_NUMBER})"
)
_SPOKEN: Final = (
    r"\b(?:try(?:ing)?(?: again)?|retry(?:ing)?|retries|available(?: again)?|wait(?:ing)?"
    r"|resets?|refresh(?:es)?|back|sleep(?:ing)?(?: for)?|back(?:ing)?[- ]?off"
    r"|delay|next (?:attempt|try|retry))"
    r"(?: (?:will be|is|at|request|your request))?,? ?(?:in|after|for|of|is|:|=|\.{2,3}|\u2026)? ?"
    rf"(?:about |around |approximately |approx\.? |another |less than |~)?({DURATION})"
)
_BARE: Final = rf"\b(?:in|after) ({DURATION})"

_OWN_RETRY: Final = (
    r"\b(?:re-?trying|re-?connecting|(?:will|going to|about to) (?:re-?try|try again"
    r"|re-?connect)|backing[- ]off|back-?off|trying again|waiting before (?:retry|next)"
    r"|(?:before|until) (?:the )?(?:re-?try|next (?:attempt|try|retry))"
    r"|next (?:attempt|try|retry) in|waiting for network)\b"
    r"|\b(?:re-?try|attempt|try)(?: attempt)?(?: #| no\.? ?)? ?\d{1,6} ?(?:/|of) ?\d{1,6}\b"
)
_OWN_RETRY_NEEDS: Final = (
    "try",
    "retr",
    "attempt",
    "connect",
    "back",
    "waiting for network",
)
_LAST_TRY: Final = (
    r"\b(?:not|no(?: more)?|never|won't|without|stopped|exceeded)"
    r" (?:re-?try(?:ing)?|retries|attempts?|backoff)\b"
    r"|\bgiving up\b|\bgave up\b|\bretry limit\b|\bretries (?:exceeded|exhausted)\b"
)
_COUNTED: Final = r"\b(\d{1,6}) ?(?:/|of) ?(\d{1,6})\b[^a-z]{0,3}(?:failed|failure)"


def retry_after(text: str, *, bare: bool = False) -> float | None:
    """Seconds that ``text`` asks to wait before the next try, or None.

    ``bare`` also takes an "in 28 seconds" that no word about retrying introduces;
    sensible only where the text is known to be about a limit.
    """
    keyed = re.search(_KEYED, text, re.IGNORECASE)
    if keyed:
        return _keyed_seconds(keyed[1] or "", keyed[2])
    spoken = re.search(_SPOKEN, text, re.IGNORECASE)
    if not spoken and bare:
        spoken = re.search(_BARE, text, re.IGNORECASE)
    return duration(spoken[1]) if spoken else None


def announced_delay(line: str) -> float | None:
    """Seconds until the program itself tries again, None where it says no such thing.

    An unnamed delay counts as `presets.UNNAMED_RETRY_PATIENCE`.
    """
    lowered = line.lower()
    if not any(word in lowered for word in _OWN_RETRY_NEEDS):
        return None
    if not re.search(_OWN_RETRY, line, re.IGNORECASE) or _is_last_try(line):
        return None
    named = re.search(_SPOKEN, line, re.IGNORECASE)
    return duration(named[1]) if named else presets.UNNAMED_RETRY_PATIENCE


def duration(text: str) -> float:
    """Seconds of "2h 13m", "1500ms", "28 seconds"; a number alone is seconds."""
    parts = re.findall(_PART, text, re.IGNORECASE)
    if not parts:
        one = re.search(_ONE, text, re.IGNORECASE)
        return _unit_seconds(one[1]) if one else float(text)
    return sum(float(number) * _unit_seconds(unit) for number, unit in parts)


def _unit_seconds(unit: str) -> float:
    unit = unit.lower()
    return _UNIT_SECONDS["ms" if unit.startswith(("ms", "mil")) else unit[0]]


def _keyed_seconds(key_unit: str, value: str) -> float:
    if "ms" in key_unit.lower() or "mil" in key_unit.lower():
        return float(re.match(_NUMBER, value)[0]) / 1000.0  # type: ignore[index]
    return duration(value)


def _is_last_try(line: str) -> bool:
    if re.search(_LAST_TRY, line, re.IGNORECASE):
        return True
    counted = re.search(_COUNTED, line, re.IGNORECASE)
    return bool(counted) and int(counted[1]) >= int(counted[2])  # type: ignore[index]
