"""Eight real agent CLIs at once, with one home."""

import pytest

from muster import Fleet, SpawnPolicy, SpawnTask
from tests.integration.agent_clis.conftest import Stage
from tests.support.agent_clis import EACH, MODELS, Place
from tests.support.model_server import ModelServer, Script

pytestmark = [pytest.mark.agent_cli, pytest.mark.timeout(400)]

CROWD = 8


@EACH
async def test_eight_at_once(name: str, place: Place, stage: Stage) -> None:
    """Each gets its own answer; nothing is left of any."""
    # A first start sets the home up, in which several at once get into their way.
    (await stage.run(name, "ok")).answered("pong")
    tasks = [
        SpawnTask(f"Say number-{number}.", cwd=str(place.work), model=MODELS[name])
        for number in range(CROWD)
    ]
    turn = {"do": "ok", "text": "You said: {prompt}", "delay": 1.0}
    async with (
        ModelServer(Script.of(turn, tools_only=True)) as server,
        Fleet.open(place.settings(name, server.url)) as fleet,
    ):
        results = await fleet.spawn_parallel(
            tasks,
            max_concurrent=CROWD,
            tool=name,
            policy=SpawnPolicy.preset("patient"),
        )

    for number, result in enumerate(results):
        assert result.failure is None, (result.failure, result.stderr)
        assert f"number-{number}." in result.output
    assert len({each.attempts[0].session_id for each in results}) == CROWD
    assert place.alive_after(20) == []
