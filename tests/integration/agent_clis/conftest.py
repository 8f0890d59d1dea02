"""A fresh home for each test, and a fleet whose agents ask a scripted server."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import frozen

from muster import Fleet, SpawnPolicy, SpawnResult, SpawnTask, TimeoutPolicy
from tests.support.agent_clis import MODELS, Place, require
from tests.support.model_server import ModelServer, Script, Seen


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A fresh home. Fails where the CLIs are not installed."""
    require()
    # A limit that one test meets would park the lane of the next.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Place(tmp_path)


@frozen
class Story:
    """What became of a task, what the server was asked, and when (the loop's time)."""

    result: SpawnResult
    asked: list[Seen]
    over_at: float

    def answered(self, text: str) -> SpawnResult:
        """The result, a success with this answer."""
        assert self.result.failure is None, (self.result.failure, self.result.stderr)
        assert self.result.output.strip() == text
        return self.result

    @property
    def cause(self) -> str | None:
        """Of the failure."""
        return self.result.failure.cause.value if self.result.failure else None

    @property
    def verdict_after(self) -> float:
        """Seconds from the first request until muster was done."""
        return self.over_at - self.asked[0].at


@frozen
class Stage:
    """Where one kind of agent works."""

    place: Place

    async def run(
        self,
        name: str,
        *turns: str | Mapping[str, Any],
        prompt: str = "Say hi.",
        limits: TimeoutPolicy | None = None,
        retries: int = 0,
        **settings: Any,
    ) -> Story:
        """One task from its start to its end; ``settings`` are the tool's."""
        policy = SpawnPolicy.preset("default")
        if limits is not None:
            policy = attrs.evolve(policy, timeout=limits)
        # gemini would ask a model of its own which one to take.
        task = SpawnTask(prompt, cwd=str(self.place.work), model=MODELS[name])
        async with ModelServer(Script.of(*turns, tools_only=True)) as server:
            table = self.place.settings(name, server.url, **settings)
            async with Fleet.open(table) as fleet:
                (result,) = await fleet.spawn_parallel_with_recovery(
                    [task],
                    tool=name,
                    policy=policy,
                    max_retries=retries,
                    fallback_to_llm=False,
                )
            over_at = time.monotonic()
        asked = [each for each in server.requests if each.offers_tools]
        return Story(result, asked, over_at)


@pytest.fixture
def stage(place: Place) -> Stage:
    """In a fresh home."""
    return Stage(place)
