"""Route: an agent for every subgoal, known here or made up for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from muster.application.ports.agent_registry import AgentRegistry
from muster.application.soar.ledger import Ledger
from muster.domain.agent_profile import AgentProfile
from muster.domain.assignment import Assignment, assign
from muster.domain.subgoals import Subgoal


def profiles_in(registry: AgentRegistry | None) -> tuple[AgentProfile, ...] | None:
    """All profiles, by name; None where there is nobody who could match any."""
    if registry is None:
        return None
    found = (registry.find(name) for name in registry.names())
    return tuple(each for each in found if each is not None)


async def route(
    ledger: Ledger,
    subgoals: Sequence[Subgoal],
    profiles: Sequence[AgentProfile] | None,
) -> tuple[Assignment, ...]:
    """Who works on each subgoal, in their order."""

    async def make() -> Mapping[str, Any]:
        found = assign(subgoals, profiles)
        return {"assignments": [each.to_dict() for each in found]}

    # Not by the profiles: a run that is taken up again keeps whom it had chosen.
    said = await ledger.phase("route", [each.to_dict() for each in subgoals], make)
    return tuple(Assignment.from_dict(each) for each in said["assignments"])
