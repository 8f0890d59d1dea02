"""Who works on a subgoal: by name, by what a profile can, or made up on the spot."""

import pytest

from muster.domain.agent_profile import AgentProfile
from muster.domain.assignment import Assignment, Way, assign
from muster.domain.subgoals import MatchQuality, Subgoal

CODER = AgentProfile("coder", "Writes and refactors Python code")
AUDITOR = AgentProfile("sec-bot", "Audits security: finds vulnerabilities in code")
BOTH = (CODER, AUDITOR)
E, A, NONE = MatchQuality.EXCELLENT, MatchQuality.ACCEPTABLE, MatchQuality.INSUFFICIENT


@pytest.mark.parametrize(
    ("subgoal", "name", "way"),
    [
        (Subgoal("x", "whoever", "", "coder", E), "coder", Way.EXACT),
        (Subgoal("x", "Coder", "", None, A), "coder", Way.EXACT),
        (
            Subgoal("x", "auditor", "finds vulnerabilities", None, A),
            "sec-bot",
            Way.CAPABILITY,
        ),
        (
            Subgoal("x", "poet", "writes sonnets in Latin metre", None, A),
            "adhoc-poet",
            Way.ADHOC,
        ),
        (Subgoal("x", "coder", "", "coder", NONE), "adhoc-coder", Way.ADHOC),
        (Subgoal("x", "poet", "", "ghost", E), "adhoc-poet", Way.ADHOC),
        (Subgoal("x", "", "", None, A), "adhoc-agent", Way.ADHOC),
        (
            Subgoal("x", "../../etc; rm -rf", "", None, NONE),
            "adhoc-etc-rm-rf",
            Way.ADHOC,
        ),
    ],
)
def test_who_is_chosen(subgoal: Subgoal, name: str, way: Way) -> None:
    """The name first, then the capability; insufficient is always made up."""
    [found] = assign([subgoal], BOTH)

    assert (found.name, found.way) == (name, way)
    assert found.is_spawn is (way is Way.ADHOC)
    assert found.agent == (None if found.is_spawn else name)


@pytest.mark.parametrize("profiles", [None, ()])
def test_without_a_matcher_everybody_is_made_up(profiles: tuple[()] | None) -> None:
    """And told who to be."""
    subgoal = Subgoal("x", "security-auditor", "finds holes", "coder", E)

    [found] = assign([subgoal], profiles)

    assert found.is_spawn
    assert found.persona == (
        "For this task, act as a security auditor specialist (finds holes)."
    )


def test_made_up_agents_have_names_of_their_own() -> None:
    """Also where two are alike."""
    found = assign([Subgoal("x", "poet"), Subgoal("y", "poet"), Subgoal("z")], None)

    names = [each.name for each in found]
    assert names == ["adhoc-poet", "adhoc-poet-2", "adhoc-agent"]
    assert "act as a specialist in its field" in found[2].persona
    again = [Assignment.from_dict(each.to_dict()) for each in found]
    assert tuple(again) == found
