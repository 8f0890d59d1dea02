"""Which names say that an agent was made up on the spot."""

import pytest

from muster.domain.adhoc import is_adhoc_name

ADHOC = [
    "adhoc",
    "ad-hoc",
    "Adhoc",
    "AD-HOC",
    "adhoc-1",
    "adhoc_agent",
    "task-adhoc-1",
    "task.ad-hoc.1",
    "my-ad_hoc-helper",
    "generated",
    "dynamic",
    "inferred",
    "generated-3",
    "dynamic-agent",
    "agent-dynamic",
    "inferred-x",
    "generated_agent_3",
    "task-generated-3",
    "report-3-generated-x",
    "the-agent-inferred-here",
    "DYNAMIC-AGENT",
    "dynamic/agent",
]
NAMED = [
    "planner",
    "thermodynamic",
    "thermodynamic-agent",
    "dynamic-pricing-analyst",
    "adhocracy",
    "adhocracy-expert",
    "hydrodynamics-3",
    "code-generated-reviewer",
    "regenerated-3",
    "ad-server",
    "hoc-ad",
    "ad-x-hoc",
    "inferred-type-checker",
    "agent",
    "agent-3",
    "3",
    "dynamics-agent",
    "-",
    "_",
]


@pytest.mark.parametrize("name", ADHOC)
def test_adhoc(name: str) -> None:
    """A word of its own says so."""
    assert is_adhoc_name(name)


@pytest.mark.parametrize("name", [*NAMED, "", "ünï", "динамика-3"])
def test_named(name: str) -> None:
    """Parts of words, and words of a trade, do not."""
    assert not is_adhoc_name(name)
