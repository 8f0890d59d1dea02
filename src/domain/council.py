"""Who deliberates about what: a council, its members, and the order of its rounds."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import Attribute, field, frozen

from muster.domain import presets
from muster.domain.suggestion import did_you_mean
from muster.domain.tool import ToolSpec
from muster.domain.voting_rule import Quorum, Rule


class Phase(StrEnum):
    """What a round is for."""

    ASSESS = "assess"
    POSITION = "position"
    CROSS_EXAMINE = "cross-examine"
    VOTE = "vote"


AGAIN: Final = "again"
# By the number of rounds: what is left out first where there are few.
_OPENINGS: Final = (
    (),
    (Phase.POSITION,),
    (Phase.POSITION, Phase.CROSS_EXAMINE),
    (Phase.ASSESS, Phase.POSITION, Phase.CROSS_EXAMINE),
)


def _name(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, str) or not value.strip() or value.startswith("-"):
        problem = f"a member's name must be text without a leading '-', not {value!r}"
        raise ValueError(problem)
    if not value.isprintable() or len(value) > presets.COUNCIL_NAME_CHARS:
        problem = f"a member's name is one line of {presets.COUNCIL_NAME_CHARS} "
        raise ValueError(problem + f"characters at most, not {value[:200]!r}")


@frozen
class Member:
    """Who votes. ``agent`` is its persona, ``tool`` and ``model`` what it runs on."""

    name: str = field(validator=_name)
    agent: str | None = None
    tool: str | ToolSpec | None = None
    model: str | None = None


def _members(value: Iterable[Member | str]) -> tuple[Member, ...]:
    return tuple(each if isinstance(each, Member) else Member(each) for each in value)


def _rule(value: Rule | str | float) -> Rule:
    return Rule.of(value)


def _quorum(value: Quorum | str | float) -> Quorum:
    return Quorum.of(value)


def _choices(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(" ".join(str(each).split()) for each in value)


@frozen
class Council:
    """Members, their question, and what decides it.

    ``max_rounds`` counts all rounds, the last of which is a vote: assess, position,
    cross-examine, vote, and votes again until one decides. With three the assessment is
    left out, with two the cross-examination too. Raises `ValueError`.
    """

    topic: str
    members: tuple[Member, ...] = field(converter=_members)
    choices: tuple[str, ...] = field(
        default=presets.COUNCIL_CHOICES, converter=_choices
    )
    rule: Rule = field(factory=lambda: Rule.of(presets.COUNCIL_RULE), converter=_rule)
    quorum: Quorum = field(
        factory=lambda: Quorum.of(presets.COUNCIL_QUORUM), converter=_quorum
    )
    max_rounds: int = presets.COUNCIL_ROUNDS
    _seats: Mapping[str, int] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        names = [each.name for each in self.members]
        seats = {name: seat for seat, name in enumerate(names)}
        object.__setattr__(self, "_seats", seats)
        problem = self._problem()
        if problem is not None:
            raise ValueError(problem)

    def phase(self, number: int) -> Phase:
        """What the round of that number is for; they count from 1."""
        opening = self.opening
        return opening[number - 1] if number <= len(opening) else Phase.VOTE

    @property
    def opening(self) -> tuple[Phase, ...]:
        """The rounds before the first vote."""
        return _OPENINGS[min(self.max_rounds, len(_OPENINGS)) - 1]

    def question_id(self, number: int, name: str, *, again: bool = False) -> str:
        """What a member is asked in a round, named: ``4-vote-alice``."""
        label = AGAIN if again else self.phase(number).value
        return f"{number}-{label}-{name}"

    def place(self, number: int, name: str, *, again: bool = False) -> int:
        """Where that question stands in the order of asking, from 0."""
        # A vote has a second place for those who are asked again.
        votes_before = max(0, number - len(self.opening) - 1)
        step = number - 1 + votes_before + again
        return step * len(self.members) + self._seats[name]

    @property
    def needed(self) -> int:
        """How many members must be present."""
        return self.quorum.needed(len(self.members))

    def _problem(self) -> str | None:
        names = [each.name for each in self.members]
        twice = None
        if len(self._seats) < len(names):
            twice = next(each for each in names if names.count(each) > 1)
        folded = [each.casefold() for each in self.choices]
        checks: Mapping[str, bool] = {
            "a council needs a topic": not self.topic.strip(),
            "a council needs members": not names,
            f"the member '{twice}' is there twice; names must differ": bool(twice),
            f"a council has at most {presets.COUNCIL_MEMBERS:,} members": (
                len(names) > presets.COUNCIL_MEMBERS
            ),
            "a vote needs two choices at least, which differ": (
                len(set(folded)) < len(folded) or len(folded) <= 1 or "" in folded
            ),
            f"rounds must be a number from 1 to {presets.COUNCIL_MAX_ROUNDS}": (
                not 1 <= self.max_rounds <= presets.COUNCIL_MAX_ROUNDS
            ),
            f"the quorum is {self.quorum}, and there are {len(names)} members": (
                self.needed > len(names)
            ),
        }
        return next((text for text, is_wrong in checks.items() if is_wrong), None)

    def member(self, name: str) -> Member:
        """The member of that name. Raises `ValueError` when there is none."""
        if name in self._seats:
            return self.members[self._seats[name]]
        known = [each.name for each in self.members]
        problem = f"the council has no member '{name}'{did_you_mean(name, known)}"
        raise ValueError(problem)
