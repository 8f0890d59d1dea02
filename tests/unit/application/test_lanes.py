"""Lanes of one fleet: shared by its batches, heard of by other processes, told once."""

import asyncio
from typing import Any

import pytest
from attrs import define, field

from muster.application.lanes import Lanes, model_family
from muster.domain import presets
from muster.domain.fleet_events import LaneParked, LaneSlowed
from muster.domain.lane import Admitted, Parked, Wait
from muster.domain.lane_notice import LaneNotice
from muster.domain.outcome import Failure, FailureCause
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    FixedClock,
    NullLaneGate,
    fails,
    in_virtual_time,
    is_rate_limited,
    replies,
    waits,
)
from tests.unit.application.crew import Crew, causes, tasks

CLI = ToolSpec("cli", ("cli",), is_agent=True)
LIMITED = Failure(FailureCause.RATE_LIMIT, "429", retry_after=30.0)
ONCE = RecoveryPolicy(max_retries=0, fallback_to_llm=False)


@define
class Board(NullLaneGate):
    """A gate that shows one notice and keeps what is published."""

    shown: LaneNotice | None = None
    asked: int = 0
    published: list[LaneNotice] = field(factory=list)

    def read(self, lane: str) -> LaneNotice | None:
        self.asked += 1
        return self.shown

    def publish(self, lane: str, notice: LaneNotice) -> None:
        self.published.append(notice)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-4-5", "claude-opus"),
        ("claude-opus-4-5-20251101", "claude-opus"),
        ("anthropic/claude-sonnet-4", "claude-sonnet"),
        ("gpt-5", "gpt"),
        ("o3", "o3"),
        ("4-5", "4-5"),
        ("gemini-flash", "gemini-flash"),
    ],
)
def test_what_shares_a_limit(model: str, family: str) -> None:
    """Versions and dates of one family do."""
    assert model_family(model) == family


def test_one_lane_per_tool_and_family() -> None:
    """And one retry budget each."""
    lanes = Lanes(FixedClock())
    opus, newer = lanes.lane(CLI, "opus-4"), lanes.lane(CLI, "opus-5")
    other, plain = lanes.lane(CLI, "haiku-4"), lanes.lane(CLI, None)

    assert opus is newer
    assert len({id(each) for each in (opus, other, plain)}) == 3
    assert lanes.budget(opus) is lanes.budget(newer)
    assert lanes.budget(opus) is not lanes.budget(plain)


def test_others_are_asked_rarely_and_obeyed() -> None:
    """Their notice closes the gate; it is read once a second at most."""
    clock, board = FixedClock(), Board()
    lanes = Lanes(clock, board)
    lane = lanes.lane(CLI, None)
    for _ in range(10):
        assert isinstance(lanes.admit(lane), Admitted)
    assert board.asked == 1
    board.shown = LaneNotice(
        gate_until=clock.epoch() + 20, reason="limited", written_at=clock.epoch()
    )
    clock.advance(presets.GATE_LOOK)

    refusal = lanes.admit(lane)

    assert isinstance(refusal, Wait)
    assert refusal.seconds == pytest.approx(20 - presets.GATE_LOOK)


def test_others_are_told_what_is_new() -> None:
    """A rate limit is published once; a success is no news."""
    board = Board()
    lanes = Lanes(FixedClock(), board)
    lane = lanes.lane(CLI, None)
    tickets = [lanes.admit(lane) for _ in range(4)]
    good, limited, again, crashed = tickets
    assert isinstance(good, Admitted)
    assert isinstance(limited, Admitted)
    assert isinstance(again, Admitted)
    assert isinstance(crashed, Admitted)

    lanes.settle(lane, good, None)
    lanes.settle(lane, crashed, Failure(FailureCause.CRASH, "x"))
    assert board.published == []
    lanes.settle(lane, limited, LIMITED)
    count = len(board.published)
    lanes.settle(lane, again, Failure(FailureCause.CRASH, "x"))

    assert count == len(board.published) == 1
    assert board.published[0].gate_until is not None


def test_a_note_is_heard_without_a_ticket() -> None:
    """An agent that met a limit and goes on; a quota parks, and says until when."""
    clock = FixedClock()
    lanes = Lanes(clock)
    lane = lanes.lane(CLI, None)

    lanes.note(lane, retry_after=5.0, resets_at=None)
    assert isinstance(lanes.admit(lane), Wait)
    lanes.note(lane, retry_after=None, resets_at=clock.epoch() + 9999)
    parked = lanes.admit(lane)

    assert isinstance(parked, Parked)
    assert parked.resets_at == pytest.approx(clock.epoch() + 9999)


def test_who_waits_is_told_once() -> None:
    """Of the next end in its own lane, whoever and however that was."""
    lanes = Lanes(FixedClock())
    mine, other = lanes.lane(CLI, None), lanes.lane(CLI, "opus")
    told: list[str] = []

    def tell() -> None:
        told.append("now")

    tickets = [lanes.admit(mine), lanes.admit(mine), lanes.admit(other)]
    a, b, c = (each for each in tickets if isinstance(each, Admitted))
    lanes.await_end(mine, tell)
    lanes.await_end(mine, tell)
    lanes.settle(other, c, None)
    assert told == []
    lanes.settle(mine, a, LIMITED)
    lanes.settle(mine, b, None)

    assert told == ["now"]


# --- batches ------------------------------------------------------------------


async def cut(crew: Crew, limit: float) -> None:
    """Gives the plain tool's lane a concurrency limit."""
    lanes = crew.fleet.context.lanes
    lane = lanes.lane(ToolSpec("sim", "sim"), None)
    lane._calm = False
    lane._limit.limit = lane._limit._slow_start_until = limit


@in_virtual_time
async def test_room_made_by_another_batch_is_used_at_once() -> None:
    """A batch with one long agent of its own hears of ends elsewhere in the fleet."""
    crew = Crew()
    await cut(crew, 2.0)
    crew.stub.on("long", replies(after=1000.0))
    crew.stub.on("short", replies(after=10.0))
    crew.stub.on("next", replies(after=1.0))
    spawn = crew.fleet.spawn_parallel_with_recovery

    async with asyncio.TaskGroup() as group:
        group.create_task(spawn(tasks(1, "short"), policy="development"))
        await asyncio.sleep(1)
        group.create_task(
            spawn([SpawnTask("x", "long"), *tasks(3, "next")], policy="development")
        )

    assert [call.started_at for call in crew.stub.calls_of("next")] == [10, 11, 12]


@in_virtual_time
async def test_two_batches_never_pass_the_limit_of_their_lane() -> None:
    """Together they keep what one must keep, and all get their turn."""
    crew = Crew()
    await cut(crew, 3.0)
    lane = crew.fleet.context.lanes.lane(ToolSpec("sim", "sim"), None)

    def within(_: object) -> str:
        assert lane.limit is not None
        assert lane.in_flight <= lane.limit
        return "fine"

    crew.stub.on("a", replies(within, after=1.0))
    spawn = crew.fleet.spawn_parallel_with_recovery

    async with asyncio.TaskGroup() as group:
        both = [group.create_task(spawn(tasks(20, "a"))) for _ in range(2)]

    assert all(causes(batch.result()) == [None] * 20 for batch in both)
    assert lane.in_flight == 0


@in_virtual_time
async def test_a_failed_attempt_makes_room_too() -> None:
    """Not only the end of a task: others go on while it waits for its retry."""
    crew = Crew()
    await cut(crew, 1.0)
    crew.stub.on("bad", fails("crash", after=1.0), replies())
    crew.stub.on("good", replies(after=1.0))
    policy = RecoveryPolicy(
        max_retries=1, base_delay=500.0, max_delay=500, jitter="none"
    )

    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "bad"), SpawnTask("x", "good")], recovery_policy=policy
    )

    assert causes(results) == [None, None]
    assert crew.stub.calls_of("good")[0].started_at == 1.0


@in_virtual_time
async def test_a_wait_for_room_ends_at_the_deadline() -> None:
    """A task that is held has its own time all the same."""
    crew = Crew()
    await cut(crew, 1.0)
    crew.stub.on("long", replies(after=1000.0))
    told: dict[str, float] = {}

    def on_progress(index: int, total: int, agent: str, status: str) -> None:
        told[f"{agent} {status.split(' ', maxsplit=1)[0]}"] = (
            asyncio.get_running_loop().time()
        )

    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "long"), SpawnTask("x", "next", timeout=7.0)],
        policy="development",
        on_progress=on_progress,
    )

    assert causes(results) == [None, "deadline"]
    assert told["next Failed"] == 7.0


@in_virtual_time
async def test_a_rate_limit_reported_on_the_way_slows_the_lane() -> None:
    """The agent goes on; those who would start next wait as long as it was told."""
    crew = Crew()
    crew.stub.on("a", is_rate_limited(20.0) + waits(1) + replies())

    await crew.fleet.spawn_parallel_with_recovery(tasks(2, "a"), max_concurrent=1)
    await crew.fleet.spawn_parallel(tasks(1, "a"))

    assert crew.stub.calls[1].started_at == pytest.approx(20.0, abs=0.2)


@in_virtual_time
async def test_a_lone_attempt_teaches_the_lane() -> None:
    """`spawn` makes its attempt whatever the lane says, and others learn from it."""
    crew = Crew()
    crew.stub.on("llm", fails("rate_limit", retry_after=40.0), replies())

    await crew.fleet.spawn(SpawnTask("x"))
    await crew.fleet.spawn_parallel_with_recovery(tasks(1))

    assert crew.stub.calls[1].started_at == pytest.approx(40.0, abs=0.2)


@pytest.mark.parametrize("reset", [None, 500.0])
@in_virtual_time
async def test_a_used_up_quota_parks_the_rest(reset: float | None) -> None:
    """What was tried keeps its own failure, what was not is parked; the sink hears once."""
    crew = Crew()
    epoch = crew.fleet.context.clock.epoch()
    resets_at = None if reset is None else epoch + reset
    crew.stub.on("llm", fails("quota", resets_at=resets_at))

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(9, tool=CLI), max_concurrent=2, recovery_policy=ONCE
    )

    assert causes(results) == ["quota"] * 2 + ["parked"] * 7
    (event,) = crew.sink.of(LaneParked)
    if resets_at is not None:
        assert event.resets_at == pytest.approx(resets_at)
        assert results[-1].failure is not None
        assert results[-1].failure.resets_at == pytest.approx(resets_at)


@in_virtual_time
async def test_who_was_limited_and_then_parked_says_the_first() -> None:
    """An attempt that was made tells more than the park that followed it."""
    crew = Crew()
    crew.stub.on("llm", fails("rate_limit", retry_after=5000.0))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, tool=CLI, timeout=9000.0), recovery_policy=ONCE
    )

    assert causes([result]) == ["rate_limit"]


@in_virtual_time
async def test_a_slow_lane_is_told_now_and_then() -> None:
    """Not for each task that waits, but again after a minute."""
    crew = Crew()
    crew.stub.on("a", fails("rate_limit", retry_after=90.0), replies())

    await crew.fleet.spawn_parallel_with_recovery(
        tasks(40, "a", timeout=1000.0), max_concurrent=4
    )

    told = [event.reason for event in crew.sink.of(LaneSlowed)]
    assert told
    gates = [reason for reason in told if "pause" in reason]
    assert 1 <= len(gates) <= 3


@pytest.mark.parametrize("spec", [CLI, ToolSpec("sim", "sim")])
@in_virtual_time
async def test_only_agents_have_a_breaker_of_the_lane(spec: Any) -> None:
    """Forty failing linters stop nobody."""
    crew = Crew()
    crew.stub.on("llm", fails("network"))

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(30, tool=spec), max_concurrent=1, recovery_policy=ONCE
    )

    assert causes(results) == ["network"] * 30
    waited = asyncio.get_running_loop().time() > 0
    assert waited is spec.is_agent


@in_virtual_time
async def test_who_had_failed_and_then_met_a_park_says_its_failure() -> None:
    """The lane was parked by others while it waited for its retry."""
    crew = Crew()
    crew.stub.on("a", fails("crash"))
    crew.stub.on("b", fails("quota", after=1.0))
    policy = RecoveryPolicy(
        max_retries=3, base_delay=10.0, jitter="none", fallback_to_llm=False
    )

    results = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "a", tool=CLI), SpawnTask("x", "b", tool=CLI)],
        recovery_policy=policy,
    )

    assert causes(results) == ["crash", "quota"]
    assert [each.retry_count for each in results] == [0, 0]


@in_virtual_time
async def test_nobody_listens_to_a_slow_lane() -> None:
    """It is as slow without a sink."""
    crew = Crew(sink=None)
    crew.stub.on("a", fails("rate_limit", retry_after=30.0), replies())

    results = await crew.fleet.spawn_parallel_with_recovery(
        tasks(3, "a"), max_concurrent=1
    )

    assert causes(results) == [None] * 3
    assert asyncio.get_running_loop().time() >= 30


def test_an_interpreter_is_no_backend() -> None:
    """What its programs say of limits is their matter, noted on the way or at the end."""
    lanes = Lanes(FixedClock(), Board())
    lane = lanes.lane(ToolSpec("sh", ("sh",), interprets=True), None)
    ticket = lanes.admit(lane)
    assert isinstance(ticket, Admitted)

    lanes.note(lane, retry_after=50.0, resets_at=None)
    lanes.settle(lane, ticket, LIMITED)

    assert isinstance(lanes.admit(lane), Admitted)


def test_news_that_has_passed_is_not_published() -> None:
    """A park until a person acts has no end that others could wait for."""
    board = Board()
    lanes = Lanes(FixedClock(), board)
    lane = lanes.lane(CLI, None)
    for _ in range(presets.LANE_AUTH_FAILURES):
        ticket = lanes.admit(lane)
        assert isinstance(ticket, Admitted)
        lanes.settle(lane, ticket, Failure(FailureCause.AUTH, "log in"))

    assert isinstance(lanes.admit(lane), Parked)
    assert board.published == []


@in_virtual_time
async def test_agents_of_one_account_start_apart() -> None:
    """By the spec of their tool; those of another tool don't wait for them."""
    crew = Crew()
    crew.stub.on("llm", replies(after=30.0))
    spaced = ToolSpec("spaced", "spaced", is_agent=True, start_spacing=0.5)

    await crew.fleet.spawn_parallel_with_recovery(
        [*tasks(5, tool=spaced), *tasks(3, tool=CLI)], max_concurrent=8
    )

    starts = sorted(each.started_at for each in crew.stub.calls)
    assert starts == pytest.approx([0.0] * 4 + [0.5, 1.0, 1.5, 2.0], abs=0.05)


def test_accounts_have_lanes_of_their_own() -> None:
    """One account's limit is not the other's."""
    mine, yours = ToolSpec("claude", ("a",)), ToolSpec("claude", ("b",))
    account = {id(mine): "", id(yours): "f00d"}
    lanes = Lanes(FixedClock(), account_of=lambda spec: account[id(spec)])

    names = [lanes.lane(spec, "opus").name for spec in (mine, yours, yours)]

    assert names == ["claude/opus", "claude@f00d/opus", "claude@f00d/opus"]
