"""Which texts are about the same, going by the words that carry meaning."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W_]{3,}")
_ENDINGS: Final = ("ations", "ation", "ings", "ing", "ers", "er", "ed", "es", "s")
_SHORTEST: Final = 4
_COMMON: Final = frozenset(
    _WORD.findall(
        "the and for with from that this into are was were has have had not but you "
        "your our their its can will what which how why when where who all any use "
        "uses used using agent specialist expert"
    )
)


def significant_words(text: str) -> frozenset[str]:
    """The words of a text without the common ones, in any case, without endings."""
    return frozenset(
        _stem(word) for word in _WORD.findall(text.casefold()) if word not in _COMMON
    )


def likeness(one: str, other: str) -> float:
    """What two texts share of all their words, from 0 to 1."""
    mine, theirs = significant_words(one), significant_words(other)
    together = mine | theirs
    return len(mine & theirs) / len(together) if together else 0.0


def coverage(wanted: str, offered: str) -> float:
    """Which share of the wanted words is offered, from 0 to 1."""
    mine = significant_words(wanted)
    return len(mine & significant_words(offered)) / len(mine) if mine else 0.0


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            return word[: -len(ending)]
    return word
