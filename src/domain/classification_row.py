"""One row of the table of failure texts, and how the rows write an HTTP status."""

import re
from functools import cache
from typing import Final

from attrs import field, frozen

from muster.domain.outcome import FailureCause


def _alternatives(words: str) -> tuple[str, ...]:
    return tuple(words.split("|"))


@frozen
class Row:
    """One kind of failure text. ``needs``: words of which a text must hold one to be tried.

    ``says_so``: the phrase reports an error wherever in a line it stands; other
    rows count in a loose line only where the line itself reports one. Rows that are not
    ``live`` are what an agent's own shell commands print in a healthy run.
    """

    name: str
    cause: FailureCause = field(converter=FailureCause)
    needs: tuple[str, ...] = field(converter=_alternatives)
    pattern: str
    says_so: bool = False
    live: bool = True


@cache
def expression(row: Row) -> re.Pattern[str]:
    """The row's regular expression, made on first use: all at once takes too long."""
    return re.compile(row.pattern, re.IGNORECASE)


# A number is a status only where something says so: never a line number, a
# count, a port, or a version.
_SAYS_STATUS: Final = (
    r"(?:\b(?:status(?:[ _-]?code)?|code|http(?:/\d(?:\.\d)?)?|error|err|errors|failed"
    r"|rejected|got|received|returned|returns|response|responded with|exception|answered"
    r"|statuscode|gave|last error|status of|a)"
    r"[\"']{0,2} ?(?:is|was|of|an?|http)? ?[:=(\[]{0,2} ?[\"'(]?)"
)
_NO_COUNT: Final = (
    r"(?![\w%/-]|[.:,]\d| (?:[a-z-]{2,20} )?(?:records?|rows?|lines?|files?|tests?|passed"
    r"|items?|tokens|ms|bytes|[kmg]i?b|results?|seconds?|found|entries|words|cases|users"
    r"|times|steps|docs|pages|commits|modules|objects|requests? (?:ok|done|served))\b)"
)


def status(codes: str, *reasons: str) -> str:
    """The regular expression of an HTTP status in prose, header or JSON."""
    said = rf"{_SAYS_STATUS}(?:{codes}){_NO_COUNT}"
    alone = (
        rf"(?:^|[\[({{\]] ?)(?:{codes})(?= ?(?:$|[])}}:{{\"'\u2013—·,;]|\.(?!\d)|- ))"
    )
    named = "|".join(reasons)
    with_reason = rf"|(?<![\w.:/-])(?:{codes})\)?[:,]? (?:{named})" if reasons else ""
    failed = rf"|\bfailed\b[^:]{{0,60}}: (?:{codes})$"
    return f"{said}|{alone}{with_reason}{failed}"
