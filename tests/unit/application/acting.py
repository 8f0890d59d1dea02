"""Agents that do what a test says, for one attempt at a time."""

import asyncio
from collections.abc import Callable
from typing import Any

from attrs import define, field

from muster.application.first_looks import first_look_after
from muster.application.observer import Observer
from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.application.supervision import Attempt
from muster.domain.events import (
    RateLimited,
    RetryAnnounced,
)
from muster.domain.outcome import Failure, FailureCause
from muster.domain.spawn_policy import SpawnPolicy, TimeoutPolicy
from muster.domain.task import AgentOutput, AgentRequest

FIVE = SpawnPolicy(
    timeout=TimeoutPolicy(
        mode="fixed", timeout=5.0, first_output_timeout=None, no_activity_timeout=None
    )
)
SILENCE = SpawnPolicy(
    timeout=TimeoutPolicy(
        mode="fixed", timeout=100.0, first_output_timeout=4.0, no_activity_timeout=2.0
    )
)
ENOUGH = Failure(FailureCause.CANCELLED, "enough")
LATE = Failure(FailureCause.DEADLINE, "too late")
ANSWER = AgentOutput("answer", "a")
REQUEST = AgentRequest("a", prompt="hello")

Play = Callable[[Report], Any]


@define(eq=False)
class Actor:
    """An orchestrator that does what a coroutine function says."""

    play: Play
    capabilities = Capabilities("actor")

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        answer = await self.play(report)
        assert isinstance(answer, AgentOutput)
        return answer

    async def aclose(self) -> None:
        """Nothing is left."""


@define
class Notebook(Observer):
    """An observer that writes everything down."""

    wants_output: bool = True
    lines: list[str] = field(factory=list)
    seen: list[object] = field(factory=list)

    def line(self, line: str) -> None:
        self.lines.append(line)

    def silent(self, warning: object) -> None:
        self.seen.append(warning)

    def rate_limited(self, event: RateLimited) -> None:
        self.seen.append(event)

    def retrying(self, event: RetryAnnounced) -> None:
        self.seen.append(event)


def attempt(policy: SpawnPolicy = FIVE, **options: Any) -> Attempt:
    """An attempt with its first look where the policy wants it."""
    silent = options.get("silent_until_done", False)
    first = first_look_after(policy, silent_until_done=silent)
    return Attempt(policy=policy, **{"first_look": first, **options})


async def run(play: Play, policy: SpawnPolicy = FIVE, **options: Any) -> Attempt:
    """The attempt after its end."""
    return await attempt(policy, **options).run(Actor(play), REQUEST)


async def hang(report: Report) -> AgentOutput:
    """Never answers."""
    await asyncio.sleep(10_000)
    return ANSWER


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def cancelling() -> int:
    """How many cancellations of this task are open."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()
