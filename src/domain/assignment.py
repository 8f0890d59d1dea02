"""Who works on a subgoal: an agent that is known here, or one made up for it."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Self

from attrs import field, frozen

from muster.domain import presets
from muster.domain.agent_profile import AgentProfile
from muster.domain.subgoals import MatchQuality, Subgoal
from muster.domain.word_overlap import coverage

_NO_NAME: Final = re.compile(r"[^a-z0-9]+")
_MAX_NAME: Final = 40


class Way(StrEnum):
    """How an agent was found."""

    EXACT = "exact"
    CAPABILITY = "capability"
    ADHOC = "ad-hoc"


@frozen
class Assignment:
    """The agent of one subgoal, by its number from 1. ``agent`` is None when made up.

    ``name`` is what reports call it; ``persona`` is who a made-up agent is told to be.
    """

    subgoal: int
    agent: str | None
    name: str
    way: Way = field(converter=Way)
    persona: str = ""

    @property
    def is_spawn(self) -> bool:
        """Whether nobody has written a profile for it."""
        return self.agent is None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "subgoal": self.subgoal,
            "agent": self.agent,
            "name": self.name,
            "way": self.way.value,
            "is_spawn": self.is_spawn,
            "persona": self.persona,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        fields = {key: each for key, each in document.items() if key != "is_spawn"}
        return cls(**fields)


def assign(
    subgoals: Sequence[Subgoal], profiles: Sequence[AgentProfile] | None
) -> tuple[Assignment, ...]:
    """Who works on each: by name, else by what a profile says it can, else ad hoc.

    Without any matcher (``profiles`` is None) everybody is made up on the spot.
    """
    taken: dict[str, int] = {}
    return tuple(
        _assigned(number, subgoal, profiles or (), taken)
        for number, subgoal in enumerate(subgoals, start=1)
    )


def persona_of(subgoal: Subgoal) -> str:
    """Who an agent without a profile is told to be."""
    role = " ".join(subgoal.ideal_agent.replace("-", " ").replace("_", " ").split())
    role = role.removesuffix("specialist").strip()
    who = f"act as a {role} specialist" if role else "act as a specialist in its field"
    desc = " ".join(subgoal.ideal_agent_desc.split())
    return f"For this task, {who}{f' ({desc})' if desc else ''}."


def _assigned(
    number: int,
    subgoal: Subgoal,
    profiles: Sequence[AgentProfile],
    taken: dict[str, int],
) -> Assignment:
    found = None
    if subgoal.match_quality is not MatchQuality.INSUFFICIENT:
        found = _by_name(subgoal, profiles) or _by_capability(subgoal, profiles)
    if found is not None:
        profile, way = found
        return Assignment(number, profile.name, profile.name, way)
    stem = _NO_NAME.sub("-", subgoal.ideal_agent.casefold()).strip("-")[:_MAX_NAME]
    name = f"adhoc-{stem or 'agent'}"
    taken[name] = taken.get(name, 0) + 1
    if taken[name] > 1:
        name = f"{name}-{taken[name]}"
    return Assignment(number, None, name, Way.ADHOC, persona_of(subgoal))


def _by_name(
    subgoal: Subgoal, profiles: Sequence[AgentProfile]
) -> tuple[AgentProfile, Way] | None:
    by_name = {each.name.casefold(): each for each in profiles}
    for name in (subgoal.assigned_agent, subgoal.ideal_agent):
        profile = by_name.get((name or "").casefold())
        if profile is not None:
            return profile, Way.EXACT
    return None


def _by_capability(
    subgoal: Subgoal, profiles: Sequence[AgentProfile]
) -> tuple[AgentProfile, Way] | None:
    wanted = f"{subgoal.ideal_agent} {subgoal.ideal_agent_desc}"
    scored = [
        (coverage(wanted, f"{each.name} {each.description}"), each) for each in profiles
    ]
    best = max(scored, key=lambda each: each[0], default=None)
    if best is None or best[0] < presets.SOAR_CAPABILITY_MATCH:
        return None
    return best[1], Way.CAPABILITY
