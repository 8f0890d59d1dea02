"""Verify: subgoals that can be worked on, or one more try, or a clear failure."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from muster.application.soar.decompose import Decomposer, UndecomposedError
from muster.application.soar.ledger import Ledger
from muster.domain.subgoal_issues import Issue, find_issues
from muster.domain.subgoals import Subgoal


@frozen
class Verified:
    """Subgoals that form a plan; ``warnings`` name what is wrong and can be lived with."""

    subgoals: tuple[Subgoal, ...]
    warnings: tuple[str, ...] = ()


async def verify(
    ledger: Ledger, decomposer: Decomposer, first: Sequence[Subgoal]
) -> Verified:
    """Raises `UndecomposedError` with its issues when a second answer is no better."""

    async def make() -> Mapping[str, Any]:
        subgoals = tuple(first)
        issues = _issues(decomposer, subgoals)
        if issues:
            named = "; ".join(map(str, issues))
            decomposer.warn(f"verify: {named}; asked once more")
            subgoals = await decomposer.better(issues)
            issues = _issues(decomposer, subgoals)
        fatal = [each for each in issues if not each.is_survivable]
        if fatal:
            raise UndecomposedError("; ".join(map(str, fatal)), fatal)
        return {
            "subgoals": [each.to_dict() for each in subgoals],
            "warnings": [str(each) for each in issues],
        }

    inputs = [each.to_dict() for each in first]
    said = await ledger.phase("verify", [inputs, decomposer.limit], make)
    return Verified(
        tuple(Subgoal.from_dict(each) for each in said["subgoals"]),
        tuple(said["warnings"]),
    )


def _issues(decomposer: Decomposer, subgoals: Sequence[Subgoal]) -> tuple[Issue, ...]:
    names = frozenset(each.name for each in decomposer.profiles)
    return find_issues(subgoals, limit=decomposer.limit, agents=names)
