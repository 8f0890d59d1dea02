"""Which agent names were made up on the spot, going by the name alone."""

import itertools
import re

_SEPARATORS = re.compile(r"[^a-z0-9]+")
_MARKERS = frozenset({"generated", "dynamic", "inferred"})


def is_adhoc_name(name: str) -> bool:
    """Whether the name says that nobody wrote a profile for this agent.

    True for the word "adhoc" or "ad-hoc" anywhere ("task-adhoc-1"), and for
    "generated", "dynamic" or "inferred" as a word beside "agent" or a number
    ("report-generated-3"), or with at most one other word ("inferred-x").
    Parts of words never count ("thermodynamic"), nor does a marker in a longer
    name that describes a trade ("dynamic-pricing-analyst").
    """
    words = [word for word in _SEPARATORS.split(name.lower()) if word]
    pairs = list(itertools.pairwise(words))
    if "adhoc" in words or ("ad", "hoc") in pairs:
        return True
    if len(words) <= 2:  # noqa: PLR2004 (a marker and the one word beside it)
        return not _MARKERS.isdisjoint(words)
    return any(
        (left in _MARKERS and _is_index(right))
        or (right in _MARKERS and _is_index(left))
        for left, right in pairs
    )


def _is_index(word: str) -> bool:
    return word == "agent" or word.isdecimal()
