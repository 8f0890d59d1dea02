"""Real agent CLIs whose backend says no: the cause, and soon."""

from typing import Any

import pytest

from muster.infrastructure.clock import SystemClock
from tests.integration.agent_clis.conftest import Stage
from tests.support.agent_clis import CLAUDE_PLAN, EACH, GROUPS

pytestmark = [pytest.mark.agent_cli, pytest.mark.timeout(240)]

# Some tenths of a second, as benchmarks/agent_clis.py measures; alone, opencode takes
# 77 s over a spent quota.
SOON = 40.0
TWO_HOURS = 7200.0
RESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "claude": ({"do": "usage_limit", "resets_in": TWO_HOURS}, {"env": CLAUDE_PLAN}),
    "codex": ({"do": "usage_limit", "resets_in": TWO_HOURS}, {}),
    "gemini": (
        {
            "do": "rate_limit",
            "retry_after": TWO_HOURS,
            "message": "You have exhausted your capacity on this model. "
            "Your quota will reset after 2h0m0s.",
        },
        {},
    ),
    "opencode": (
        {"do": "quota", "message": "Quota exceeded. Your limit resets in 2h 0m."},
        {},
    ),
}


@EACH
@pytest.mark.parametrize(
    ("turn", "causes"),
    [
        ("unauthorized", {"auth"}),
        # claude takes a 403 for a login that doesn't work.
        ("forbidden", {"forbidden", "auth"}),
        ("not_found", {"invalid_model"}),
        ("quota", {"quota"}),
    ],
)
async def test_a_refusal_for_good(
    name: str, turn: str, causes: set[str], stage: Stage
) -> None:
    """One attempt, the cause, and no wait for a tool that would try for minutes."""
    story = await stage.run(name, turn, retries=2)

    assert story.cause in causes, story.result.failure
    assert not story.result.success
    assert len(story.result.attempts) == 1
    assert story.verdict_after < SOON
    assert stage.place.alive_after(20) == []


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=GROUPS[each]) for each in RESETS]
)
async def test_a_quota_that_comes_back(name: str, stage: Stage) -> None:
    """When it does is known, from a field or from the words."""
    turn, settings = RESETS[name]
    began = SystemClock().epoch()

    story = await stage.run(name, turn, **settings)

    assert story.cause == "quota", story.result.failure
    assert story.result.failure is not None
    assert story.result.failure.resets_at is not None
    # Some name the minute only.
    assert story.result.failure.resets_at == pytest.approx(began + TWO_HOURS, abs=180)
    assert story.verdict_after < SOON
