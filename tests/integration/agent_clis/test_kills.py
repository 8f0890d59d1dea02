"""Real agent CLIs whose shell tools start what would outlive them."""

import pytest

from tests.support.agent_cli_kills import killing
from tests.support.agent_clis import EACH, Place

pytestmark = [pytest.mark.agent_cli, pytest.mark.timeout(240)]

# Two seconds are the promise; benchmarks/agent_clis.py holds it.
PATIENCE = 20.0


@EACH
@pytest.mark.parametrize("way", ["cancel", "host killed"])
async def test_nothing_is_left_of_a_tool_call(
    name: str, way: str, place: Place
) -> None:
    """Background jobs and sessions of their own end with the agent, and it with muster."""
    with killing(name, place.folder) as trials:
        outcome = await trials.trial(way, PATIENCE)

    assert outcome.had_begun
    assert outcome.survivors == ()
