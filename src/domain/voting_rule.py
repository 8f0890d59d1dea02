"""When a vote is decided, and how many must be present. Exact: no float is involved."""

import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from typing import Final, Self

from attrs import field, frozen

from muster.domain import presets

MAJORITY: Final = "majority"
SUPERMAJORITY: Final = "supermajority"
UNANIMITY: Final = "unanimity"
_HALF: Final = Fraction(1, 2)
_WHOLE: Final = Fraction(1)
_OF_ALL: Final = ("all", "unanimous", UNANIMITY)
_PERCENT: Final = 100
# Not all that Fraction() reads: it would build 1e999999999 digit by digit.
_NUMBER: Final = re.compile(
    r"(?P<number>\d{0,9}\.\d{1,20}|\d{1,9})(?:/(?P<below>\d{1,9}))?(?P<percent> ?%)?",
    re.ASCII,
)


@frozen
class Rule:
    """Which share of the votes cast a choice needs. Abstentions are no votes.

    With a ``strict`` rule it needs more than that share. No two choices can meet it.
    """

    name: str
    share: Fraction
    strict: bool = False

    def __attrs_post_init__(self) -> None:
        lowest = self.share >= _HALF if self.strict else self.share > _HALF
        if not lowest or self.share > _WHOLE:
            problem = f"a rule needs more than half of the votes, not {self.share}"
            raise ValueError(problem)

    @classmethod
    def of(cls, text: "str | float | Fraction | Rule") -> Self:
        """``majority``, ``unanimous``, ``supermajority`` (2/3), or a share: ``2/3``,
        ``0.75``, ``75%``. Raises `ValueError`.
        """
        if isinstance(text, cls):
            return text
        named = _RULES.get(str(text).strip().lower())
        if named is not None:
            return cls(*named)
        share = _share(str(text), "rule", "majority, unanimous, 2/3, 0.75 or 75%")
        return cls(SUPERMAJORITY, share)

    def is_met(self, votes: int, cast: int) -> bool:
        """Whether ``votes`` of ``cast`` decide."""
        if not cast:
            return False
        part = Fraction(votes, cast)
        return part > self.share if self.strict else part >= self.share

    def __str__(self) -> str:
        if self.name == SUPERMAJORITY:
            return f"{self.share} of the votes"
        return self.name


@frozen
class Quorum:
    """How many members must be present: so many, or a share of them; at least one."""

    share: Fraction | None = None
    count: int = field(default=1)
    strict: bool = False

    @classmethod
    def of(cls, text: "str | float | Fraction | Quorum") -> Self:
        """``majority`` (more than half), ``all``, a number of members (``5``), or a
        share of them (``1/2``, ``0.5``, ``50%``). Raises `ValueError`.
        """
        if isinstance(text, cls):
            return text
        word = str(text).strip().lower()
        if word == MAJORITY:
            return cls(_HALF, strict=True)
        if word in _OF_ALL:
            return cls(_WHOLE)
        if isinstance(text, int) or word.isdecimal():
            if int(word) < 1:
                problem = f"a quorum is at least 1 member, not {word}"
                raise ValueError(problem)
            return cls(count=int(word))
        example = "majority, all, 5, 1/2, 0.5 or 50%"
        return cls(_share(str(text), "quorum", example))

    def needed(self, members: int) -> int:
        """The least number of present members of so many that is enough."""
        if self.share is None:
            return self.count
        exact = self.share * members
        return max(1, exact.__floor__() + 1 if self.strict else ceil(exact))

    def __str__(self) -> str:
        if self.share is None:
            return f"{self.count} present"
        return f"{'more than ' if self.strict else ''}{self.share} present"


_RULES: Final[Mapping[str, tuple[str, Fraction, bool]]] = {
    MAJORITY: (MAJORITY, _HALF, True),
    SUPERMAJORITY: (SUPERMAJORITY, Fraction(presets.COUNCIL_SUPERMAJORITY), False),
    **dict.fromkeys(_OF_ALL, (UNANIMITY, _WHOLE, False)),
}


def _share(text: str, what: str, examples: str) -> Fraction:
    found = _NUMBER.fullmatch(text.strip())
    if found is None or (found["below"] is not None and not int(found["below"])):
        problem = f"a {what} must be {examples}, not {text!r}"
        raise ValueError(problem)
    share = Fraction(found["number"]) / int(found["below"] or 1)
    share /= _PERCENT if found["percent"] else 1
    if not 0 < share <= 1:
        problem = f"a {what} is a share above 0 and up to 1, not {text!r}"
        raise ValueError(problem)
    return share
