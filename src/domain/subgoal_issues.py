"""What is wrong with a decomposition, each issue by its name."""

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

from muster.domain import graph
from muster.domain.subgoals import MatchQuality, Subgoal
from muster.domain.suggestion import did_you_mean


class IssueKind(StrEnum):
    """The names of issues."""

    NO_SUBGOALS = "no_subgoals"
    TOO_MANY = "too_many_subgoals"
    EMPTY_DESCRIPTION = "empty_description"
    UNKNOWN_AGENT = "unknown_agent"
    UNKNOWN_DEPENDENCY = "unknown_dependency"
    CYCLE = "cyclic_dependency"


# Whom nobody knows can be made up on the spot; the others leave nothing to run.
_SURVIVABLE: Final = frozenset((IssueKind.UNKNOWN_AGENT,))


@frozen
class Issue:
    """One thing that is wrong; ``subgoal`` is its number, None for the whole."""

    kind: IssueKind
    message: str
    subgoal: int | None = None

    @property
    def is_survivable(self) -> bool:
        """Whether the subgoals can be worked on all the same."""
        return self.kind in _SURVIVABLE

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.message}"


def find_issues(
    subgoals: Sequence[Subgoal], *, limit: int, agents: Collection[str]
) -> tuple[Issue, ...]:
    """All of them; ``limit`` is how many subgoals there may be, ``agents`` who is known."""
    if not subgoals:
        return (Issue(IssueKind.NO_SUBGOALS, "there are no subgoals"),)
    if len(subgoals) > limit:
        text = f"there are {len(subgoals)} subgoals; at most {limit} are allowed"
        return (Issue(IssueKind.TOO_MANY, text),)
    numbered = list(enumerate(subgoals, start=1))
    found = [issue for number, each in numbered for issue in _of(number, each, agents)]
    known = frozenset(number for number, _ in numbered)
    for number, each in numbered:
        for need in each.depends_on:
            if need not in known:
                text = (
                    f"subgoal {number} depends on {need}; there are 1 to "
                    f"{len(subgoals)}"
                )
                found.append(Issue(IssueKind.UNKNOWN_DEPENDENCY, text, number))
    needs = {
        str(number): [str(need) for need in each.depends_on if need in known]
        for number, each in numbered
    }
    cycle = graph.find_cycle(needs)
    if cycle is not None:
        text = f"subgoals wait for each other: {' -> '.join(cycle)}"
        found.append(Issue(IssueKind.CYCLE, text, int(cycle[0])))
    return tuple(found)


def _of(number: int, subgoal: Subgoal, agents: Collection[str]) -> Iterator[Issue]:
    if not subgoal.description.strip():
        text = f"subgoal {number} has no description"
        yield Issue(IssueKind.EMPTY_DESCRIPTION, text, number)
    agent = subgoal.assigned_agent
    is_used = subgoal.match_quality is not MatchQuality.INSUFFICIENT
    if is_used and agent is not None and agent not in agents:
        hint = did_you_mean(agent, agents)
        text = f"subgoal {number} is assigned to '{agent}', whom nobody knows{hint}"
        yield Issue(IssueKind.UNKNOWN_AGENT, text, number)
