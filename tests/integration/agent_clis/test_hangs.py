"""Real agent CLIs whose backend falls silent: muster's limits end them."""

import pytest

from muster import TimeoutPolicy
from tests.integration.agent_clis.conftest import Stage
from tests.support.agent_clis import EACH

pytestmark = [pytest.mark.agent_cli, pytest.mark.timeout(240)]

SHORT = TimeoutPolicy("fixed", 150, first_output_timeout=8, no_activity_timeout=4)


@EACH
async def test_a_hang_in_the_stream(name: str, stage: Stage) -> None:
    """Silence, and the tool goes away with its connection and all that it had started."""
    story = await stage.run(name, "hang_in_stream", limits=SHORT)

    assert story.cause == "no_activity", story.result.failure
    assert [each.ended for each in story.asked] == ["closed by client"]
    assert story.verdict_after < 10 * 8
    assert stage.place.alive_after(20) == []


@EACH
async def test_a_session_goes_on_after_a_hang(name: str, stage: Stage) -> None:
    """The next attempt continues what the first has begun: its work is not done twice."""
    call = {"do": "tool_call", "command": "echo once >> work.txt"}

    story = await stage.run(
        name,
        call,
        "hang",
        {"do": "ok", "text": "done"},
        prompt="Do the thing.",
        limits=SHORT,
        retries=1,
    )

    story.answered("done")
    first, second = story.result.attempts
    assert first.failure is not None
    assert first.session_id is not None
    assert second.continued == first.session_id
    assert "Do the thing." in str(story.asked[-1].body)
    assert "echo once" in str(story.asked[-1].body)
    assert (stage.place.work / "work.txt").read_text() == "once\n"
