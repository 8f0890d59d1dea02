"""One attempt in any order of events."""

import asyncio
from contextlib import suppress
from math import inf
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.application.first_looks import FirstLooks
from muster.application.ports.agent_orchestrator import Report
from muster.application.supervision import Attempt
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentExited,
    OutputReceived,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
)
from muster.domain.outcome import Failure, FailureCause
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import AgentOutput
from muster.testing import VirtualTimeLoop, run_in_virtual_time
from tests.unit.application.acting import (
    ANSWER,
    ENOUGH,
    FIVE,
    LATE,
    REQUEST,
    SILENCE,
    Actor,
    attempt,
    cancelling,
    hang,
    now,
)

CRASH = AgentInvocationError("a", Failure(FailureCause.CRASH, "x"))
STRAY = asyncio.CancelledError()
MOMENTS = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.9, 5.0, 6.0])
DEEDS = st.sampled_from(
    [
        OutputReceived("stdout", b"words\n"),
        OutputReceived("stderr", b"Error: 429 rate limit exceeded\n"),
        OutputReceived("stderr", b"noise\n"),
        ToolCallOpened("1"),
        ToolCallClosed("1"),
        TextProduced("t"),
        AgentExited(),
        AgentEnded(0),
    ]
)
ENDS = st.sampled_from(["answer", "fail", "break", "hang", "stray"])


MANNERS = st.sampled_from(["raise", "answer", "fail", "slow"])


@frozen
class Drama:
    """An agent, a host, a clock and a batch, each with something to say."""

    deeds: list[tuple[float, Any]]
    end: str
    manners: str
    policy: SpawnPolicy
    trip_at: float | None
    host_at: float | None
    block_at: float | None
    deadline: float | None
    shared: bool

    async def play(self, report: Report) -> AgentOutput:
        try:
            return await self.act(report)
        except asyncio.CancelledError:
            if self.manners == "answer":
                return ANSWER
            if self.manners == "fail":
                raise CRASH from None
            if self.manners == "slow":
                await asyncio.sleep(1)
            raise

    async def act(self, report: Report) -> AgentOutput:
        for pause, deed in self.deeds:
            await asyncio.sleep(pause)
            report(deed)
        ends = {"fail": CRASH, "break": RuntimeError(), "stray": STRAY}
        if self.end in ends:
            raise ends[self.end]
        return ANSWER if self.end == "answer" else await hang(report)

    def attempt(self) -> Attempt:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        made = attempt(
            self.policy,
            looks=FirstLooks() if self.shared else None,
            deadline_at=inf if self.deadline is None else self.deadline,
            deadline_failure=LATE,
        )
        if self.trip_at is not None:
            loop.call_at(self.trip_at, made.trip, ENOUGH)
        if self.block_at is not None:
            loop.call_at(self.block_at, loop.advance, 0.7)
        return made


@settings(max_examples=300, deadline=None)
@given(
    st.builds(
        Drama,
        deeds=st.lists(st.tuples(MOMENTS, DEEDS), max_size=8),
        end=ENDS,
        manners=MANNERS,
        policy=st.sampled_from([FIVE, SILENCE, SpawnPolicy.test()]),
        trip_at=st.none() | MOMENTS,
        host_at=st.none() | MOMENTS,
        block_at=st.none() | MOMENTS,
        deadline=st.none() | MOMENTS,
        shared=st.booleans(),
    )
)
def test_any_order_of_events(drama: Drama) -> None:
    """It ends in time, with an answer or a failure or the host's cancellation, clean."""

    async def main() -> None:
        made = drama.attempt()
        is_over = False
        with suppress(TimeoutError):
            async with asyncio.timeout(drama.host_at):
                await made.run(Actor(drama.play), REQUEST)
                is_over = True
        assert not is_over or (made.output is None) != (made.failure is None)
        assert cancelling() == 0
        assert now() < 120
        ended_at = now()
        await asyncio.sleep(200)
        assert now() == pytest.approx(ended_at + 200)

    run_in_virtual_time(main())
