"""Words as they are searched for: names in code come apart, and stay whole as well.

`parseHTTPHeader` is found by parse, http and header, and by itself; so is
`parse_http_header`. FTS5 does the rest: small letters, accents, word stems.
"""

import re
from collections import Counter
from typing import Final

from muster.domain import presets

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_HINT: Final = re.compile(r"[A-Z](?<=[a-z0-9][A-Z])|[A-Z](?=[A-Z][a-z])")
# A pattern that begins with few letters is searched for seven times as fast as one
# that looks at each word: so words from their first capital on, and, backwards, what
# stands before that.
_TAIL: Final = re.compile(r"[A-Z][A-Za-z0-9]*")
_HEAD_BACKWARDS: Final = re.compile(r"[A-Z]([a-z0-9]+)(?![A-Za-z0-9])")
_JOINED: Final = re.compile(r"[^\W_]+(?:_+[^\W_]+)+")
_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST: Final = 64
_SHORTEST: Final = 2

# Of questions, not of code: "not", "if" and "for" say nothing about what is sought.
STOP_WORDS: Final = frozenset(
    """
    a an and any are as at be been but by can could did do does doing for from had has
    have how i if in into is it its me my no not of on or our out shall should so some
    such than that the their them then there these they this those to up us was we
    were what when where which who whose why will with would you your please tell
    show explain describe give about
    """.split()  # noqa: SIM905 - a word a line is no table
)


def beside(text: str) -> str:
    """The parts of names with humps, each once; capitalised words may be among them.

    FTS5 finds the rest by itself: it parts words at all signs but letters and digits.
    """
    if not _HINT.search(text):
        return ""
    heads = dict.fromkeys(_HEAD_BACKWARDS.findall(text[::-1]))
    tails = dict.fromkeys(_TAIL.findall(text))
    return f"{' '.join(heads)[::-1]} {_HUMP.sub(' ', ' '.join(tails))}"


def terms(query: str) -> list[str]:
    """What a question asks for, at most `presets.QUERY_TERMS` words.

    Where there are more, what it says most often, then first. Letters, digits and
    underscores only, so that in quotes no sign of it means anything to FTS5; what has
    underscores is a phrase.
    """
    text = query[: presets.QUERY_CHARS]
    found = (*_WORD.findall(f"{text} {beside(text)}"), *_JOINED.findall(text))
    words = Counter(word.lower()[:_LONGEST] for word in found)
    sought = {
        word: count
        for word, count in words.items()
        if len(word) >= _SHORTEST and word not in STOP_WORDS
    }
    ranked = sorted(sought, key=lambda word: -sought[word])
    return ranked[: presets.QUERY_TERMS]
