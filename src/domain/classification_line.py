"""Whether a line of text reports an error, or only talks about one.

Agents speak of 429s, quote tracebacks and load lists of forbidden words while
they are in good health. A phrase of the table counts only where it opens the
line (behind a time stamp, a level, a program's name), where a word that marks
errors stands before it, or where the phrase itself can be nothing but a report.
"""

import re
from itertools import islice
from typing import Final

from attrs import frozen

from muster.domain import presets
from muster.domain.classification_row import Row, expression
from muster.domain.classification_table import TABLE
from muster.domain.terminal_text import strip_terminal

_MARKER: Final = re.compile(
    r"(?<![\w/.-])(?:error|errors:|err|errno|fail(?:ed|ure|s)?|fatal|exception"
    r"|panic(?:ked)?|critical|abort(?:ed|ing)|denied|refused|rejected|cannot|can't"
    r"|could not|couldn't|unable|invalid|problem|severe|alert|emerg"
    r"|(?:\w+\.){0,6}\w{2,40}(?:error|exception)|(?:\w+\.){1,6}\w{2,40}timeout)(?![\w/-]|\.\w)|[✘❌✗⎿]|\bE\d{4} ",
    re.IGNORECASE,
)
# What may stand before the phrase that opens a line.
_LEAD: Final = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ]?[\d:.,]*(?:Z|[+-]\d\d:?\d\d)?|\d\d:\d\d:\d\d[.,\d]*"
    r"|\[[^\]]{0,60}\]|\([^)]{0,40}\)"
    r"|(?:[a-z][\w.@/-]{0,60}|[A-Z][A-Z_]{1,30}|\w*[a-z][A-Z.]\w*|[\w.]+\.[A-Z]\w+)(?:\[\d+\])?:(?= )"
    r"|(?:http|https|api|the|your|you|you've|you have|a|an|got|received|request|response"
    r"|status|status code|code|provider|server|service|this|model|openai|anthropic|google|gemini|claude"
    r"|codex|copilot|qwen|upstream|remote|you are|you're|we|we're|we are|currently|oauth|it|has|is|was|llm|http/\d(?:\.\d)?"
    r"|access|permission)(?= )"
    r"|[^\w\s\"'`|]{1,4})\s*",
    re.IGNORECASE,
)
_MAX_LEADS: Final = 8
_MAX_TRIES: Final = 8
# Nouns that turn the phrase before them into the name of a thing.
_TALK_AFTER: Final = re.compile(
    r"[\"'`]?[- _]?(?:s?[- ])?(?:errors? )?(?:tests?|handl\w+|checks?|checked|words?|lists?|listed"
    r"|loaded|pages?|fixtures?|counters?|cases?|limiter|passed|docs?|documentation"
    r"|middleware|logic|polic(?:y|ies)|settings?|config\w*|rate|count|imports?|paths?"
    r"|patterns?|messages?|strings?|classes|users?|names?|module|retr(?:y|ies) enabled"
    r"|detection|support|scenarios?|responses?|windows?|enabled|disabled|remaining|table)\b",
    re.IGNORECASE,
)
_HEALTHY: Final = re.compile(
    r"^\W{0,3}(?:info|debug|trace|notice|verbose|ok|pass|passed|success)\b[\])]?[:\s]"
    r"|^[\[(]?[\d:T.,Z /+-]{0,40}[\])]?\s*[\[(]?(?:INFO|DEBUG|TRACE|NOTICE)\b"
    r"|\b(?:0|no|zero) (?:(?:api|new|other|known) )?(?:errors?|failures?|problems?|issues"
    r"|matches|violations?|hits?)\b|\b0 (?:failed|found|skipped)\b"
    r"|\b\d+ (?:passed|found|ok)\b|\berrors?\s?[:=]\s?0\b"
    r"|\b(?:passed|ok|successful(?:ly)?|succeeded|recovered|fixed|resolved|loaded|handled)[.!]?$"
    r"|^\W{0,3}[✓✔☑]|\bgracefully\b|[:=] ?(?:none|0|\[\]|false|null)[^\w}]*$|\bin (?:the )?cache\b"
    r"|\b(?:no|without) (?:\w+ ){0,2}limits?\b",
    re.IGNORECASE,
)
# A program that goes on by another way; a side road failed, not the run.
_DETOUR: Final = re.compile(
    r"\b(?:falling back|fall(?:s|en)? back|defaulting to|proceeding (?:without|anyway|with)"
    r"|continuing|carry(?:ing)? on|ignor(?:ed|ing)|skipp(?:ed|ing)|using (?:cached|default|local|fallback)"
    r"|instead of|deprecat(?:ed|ion)|will be ignored|not fatal|non-fatal|best effort"
    r"|recovered)\b",
    re.IGNORECASE,
)
_WARNING: Final = re.compile(
    r"^\W{0,3}(?:\S{1,60}\s){0,4}?[\[(]?\w{0,30}:?warn(?:ing)?\b|\bswitching to\b"
    # A library's own log: the program above it may well get over it.
    r"|\bERROR \w+(?:::\w+)+:",
    re.IGNORECASE,
)
_PROSE: Final = re.compile(
    r"^(?:i|i'm|i've|i'll|here|here's|you asked|fixed|done|summary|translated|security note"
    r"|note that|root cause|recommendation|tests?)\b(?! limit)|^[-*•] [\"'`]|^\|.*\|.*\|\s*$|^\s*raise \w",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"`[^`]{0,200}`|(?<=\w )'[^']{1,80}'(?=[ ,.])")


@frozen
class Match:
    """A row of the table found in a text, and where."""

    row: Row
    text: str
    start: int


def folded(text: str) -> str:
    """``text`` as the table wants it: no terminal codes, single blanks, plain quotes."""
    text = strip_terminal(text[: presets.JUDGED_LINE_CHARS])
    return " ".join(text.split()).replace("\u2019", "'").replace("\u2018", "'")


def match(message: str) -> Match | None:
    """The first row that a folded message holds; the message is known to report an error."""
    lowered = message.lower()
    for row in TABLE:
        if any(word in lowered for word in row.needs):
            found = expression(row).search(message)
            if found:
                return Match(row, found[0], found.start())
    return None


def match_line(line: str) -> Match | None:
    """The first row that a folded line of any origin reports, or None if it only talks."""
    if is_benign(line):
        return None
    spoken = _QUOTED.sub(_blanked, line)
    lowered = spoken.lower()
    for row in TABLE:
        if any(word in lowered for word in row.needs):
            for found in islice(expression(row).finditer(spoken), _MAX_TRIES):
                if _reports(spoken, row, found):
                    text = line[found.start() : found.end()]
                    return Match(row, text, found.start())
    return None


def is_benign(line: str) -> bool:
    """Whether a folded line is plainly no report: good news, prose, a table, a detour."""
    return bool(_HEALTHY.search(line) or _PROSE.search(line) or _DETOUR.search(line))


def is_warning(line: str) -> bool:
    """Whether a folded line calls itself a warning, or names the way around its trouble."""
    return bool(_WARNING.search(line) or _DETOUR.search(line))


def has_marker(line: str) -> bool:
    """Whether a word that marks errors stands in the first part of a folded line."""
    return bool(_MARKER.search(line, 0, presets.JUDGED_HEAD_CHARS))


def _reports(line: str, row: Row, found: re.Match[str]) -> bool:
    if _TALK_AFTER.match(line, found.end()):
        return False
    return (
        row.says_so
        or _opens(line, found.start())
        or bool(_MARKER.search(line, 0, found.start()))
    )


def _opens(line: str, start: int) -> bool:
    position = 0
    for _ in range(_MAX_LEADS):
        if position >= start:
            return True
        lead = _LEAD.match(line, position)
        if lead is None or lead.end() == position:
            return line[position:start].strip("\"'([{<") == ""
        position = lead.end()
    return position >= start


def _blanked(quoted: re.Match[str]) -> str:
    return "…" * len(quoted[0])
