"""Words as they are searched for: names in code come apart, and stay whole as well.

`parseHTTPHeader` and `parse_http_header` are the words parse, http, header and
parsehttpheader. FTS5 does the rest: small letters, accents, word stems.
"""

import re
from collections import Counter
from functools import lru_cache
from itertools import chain
from typing import Final

from muster.domain import presets

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")
# Begins where no letter precedes it, so that each long word is looked at once.
_COMPOUND: Final = re.compile(
    r"(?<![A-Za-z0-9_])_{0,2}[A-Za-z][a-z0-9]*(?:[A-Z][A-Za-z0-9_]*|_[A-Za-z0-9_]+)"
)
_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST: Final = 64
_LONGEST_NAME: Final = 256
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
    """What FTS5 does not find in the text by itself: names taken apart, or joined."""
    return " ".join(
        chain.from_iterable(map(_forms, dict.fromkeys(_COMPOUND.findall(text))))
    )


@lru_cache(maxsize=4096)
def _forms(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in _HUMP.split(name[:_LONGEST_NAME]) if part)
    if len(parts) == 1:
        return ()
    # FTS5 parts words at underscores, and nowhere else in a name.
    return (
        ("".join(parts),)
        if "_" in name and name.islower()
        else (*parts, "".join(parts))
    )


def terms(query: str) -> list[str]:
    """What a question asks for, at most `presets.QUERY_TERMS` words.

    Where there are more, what it says most often, then first. Letters and digits
    only, so that no sign in it means anything to FTS5.
    """
    text = query[: presets.QUERY_CHARS]
    words = Counter(
        word.lower()[:_LONGEST] for word in _WORD.findall(f"{text} {beside(text)}")
    )
    sought = {
        word: count
        for word, count in words.items()
        if len(word) >= _SHORTEST and word not in STOP_WORDS
    }
    ranked = sorted(sought, key=lambda word: -sought[word])
    return ranked[: presets.QUERY_TERMS]
