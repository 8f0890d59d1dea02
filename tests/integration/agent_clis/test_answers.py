"""Real agent CLIs that get their answer: at once, after a refusal, after some work."""

import pytest

from tests.integration.agent_clis.conftest import Stage
from tests.support.agent_clis import EACH

pytestmark = [pytest.mark.agent_cli, pytest.mark.timeout(240)]


@EACH
async def test_an_answer(name: str, stage: Stage) -> None:
    """The final text, what it has used, and by what name it can be continued."""
    story = await stage.run(name, {"do": "ok", "text": "forty-two"}, prompt="How many?")

    result = story.answered("forty-two")
    assert (result.exit_code, result.leftovers, len(result.attempts)) == (0, 0, 1)
    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 7)
    assert result.attempts[0].session_id
    assert any("How many?" in str(each.body) for each in story.asked)
    assert stage.place.alive_after(20) == []


@EACH
async def test_a_rate_limit_that_passes(name: str, stage: Stage) -> None:
    """The tool tries again by itself, and muster lets it."""
    story = await stage.run(name, {"do": "rate_limit", "retry_after": 1}, "ok")

    story.answered("pong")
    assert [each.turn for each in story.asked] == ["rate_limit", "ok"]
    assert len(story.result.attempts) == 1


@EACH
async def test_some_work(name: str, stage: Stage) -> None:
    """A tool call is carried out where the user has allowed that, then comes the answer."""
    call = {"do": "tool_call", "command": "echo made > made.txt", "text": "done"}

    story = await stage.run(name, call)

    story.answered("done")
    assert (stage.place.work / "made.txt").read_text() == "made\n"
    assert [each.has_tool_result for each in story.asked] == [False, True]
