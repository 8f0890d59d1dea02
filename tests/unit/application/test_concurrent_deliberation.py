"""Agents that are asked at once: everyone ends, in order, within the pool."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from muster.domain import presets
from muster.domain.deliberation_events import AgentAnswered, AgentFailed, AgentInvoked
from muster.domain.errors import (
    AgentBusyError,
    AgentInvocationError,
    AgentPoolExhaustedError,
    DuplicateAgentError,
    JournalError,
    SystemHaltedError,
    ToolNotFoundError,
)
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import AgentOutput, AgentRequest, ContextBundle
from muster.domain.witness import first_break
from muster.testing import (
    fails,
    hangs,
    in_virtual_time,
    notes,
    raises,
    replies,
    waits,
)
from tests.unit.application.bench_of_agents import (
    Bench,
    MemoryWitness,
    at_the_same_time,
    causes,
    crowd,
    now,
    requests,
)


@in_virtual_time
async def test_72_agents_take_as_long_as_one() -> None:
    """All at once, in the order of the requests, every slot free afterwards."""
    bench = Bench.of(replies(lambda request: request.agent_id.upper(), after=10.0))
    service = bench.service()

    result = await service.invoke_concurrent(crowd(72))

    assert now() == pytest.approx(10.0)
    assert result.total_ms == pytest.approx(10_000)
    assert result.completed_at - result.started_at == pytest.approx(10.0)
    assert [each.content for each in result.outputs] == [f"A{n}" for n in range(72)]
    assert [each.agent_id for each in result.outputs] == [f"a{n}" for n in range(72)]
    assert bench.stub.peak_active == 72
    assert service.available_capacity == 72
    counts = (result.success_count, result.failure_count, result.total_count)
    assert counts == (72, 0, 72)


@in_virtual_time
async def test_the_order_is_that_of_the_requests_whoever_is_quicker() -> None:
    """Failures, too."""
    bench = Bench.of()
    for number in range(6):
        done = replies(f"{number}", after=6.0 - number)
        lost = fails("crash", after=6.0 - number)
        bench.stub.on(f"a{number}", lost if number % 2 else done)

    result = await bench.service().invoke_concurrent(crowd(6))

    assert [each.content for each in result.outputs] == ["0", "2", "4"]
    assert result.failed_agents == ("a1", "a3", "a5")


@in_virtual_time
async def test_an_answer_is_that_of_its_request() -> None:
    """Whatever the orchestrator has filled in; ids and times that lack are made."""
    bench = Bench.of(replies("yes", usage=Usage(input_tokens=3)))
    topic = ContextBundle("t", "shall we?")
    mine = AgentRequest("a", topic, request_id="mine")
    nameless = AgentRequest("b", topic)

    result = await bench.service().invoke_concurrent([mine, nameless])

    first, second = result.outputs
    assert (first.request_id, second.request_id) == ("mine", nameless.request_id)
    assert nameless.request_id
    assert len({first.output_id, second.output_id, None}) == 3
    assert first.generated_at == bench.clock.epoch()
    assert first.usage == Usage(input_tokens=3)
    assert [call.request.text for call in bench.stub.calls] == ["shall we?"] * 2


@pytest.mark.parametrize(
    ("behaviour", "cause", "words"),
    [
        (fails("auth", "log in"), "auth", "log in"),
        (raises(RuntimeError("no such luck")), "unknown", "RuntimeError: no such luck"),
        (raises(AssertionError()), "unknown", "AssertionError: no message"),
        (raises(ExceptionGroup("many", [ValueError("x")])), "unknown", "many"),
        (hangs(), "timeout", "Timed out after 5 s"),
        (notes("Error: 429 rate limit exceeded") + hangs(), "rate_limit", "429"),
    ],
)
@in_virtual_time
async def test_one_failure_is_one_entry(behaviour: Any, cause: str, words: str) -> None:
    """With its cause, its agent, its attempts and its time; the others answer."""
    bench = Bench.of(waits(1.0) + replies("fine"))
    bench.stub.on("bad", waits(1.0) + behaviour)
    service = bench.service(agent_timeout=5.0)

    result = await service.invoke_concurrent(requests("a", "bad", "b"))

    (entry,) = result.failures
    assert [each.agent_id for each in result.outputs] == ["a", "b"]
    assert (entry.agent_id, entry.attempts) == ("bad", 1)
    assert entry.failure.cause is FailureCause(cause)
    assert words in entry.failure.message
    assert entry.request_id == bench.stub.calls_of("bad")[0].request.request_id
    assert 1.0 <= entry.duration <= 5.0
    assert entry.to_dict()["failure"]["cause"] == cause
    assert service.available_capacity == 72


@in_virtual_time
async def test_all_fail() -> None:
    """That is a result and no error."""
    bench = Bench.of(fails("crash"))

    result = await bench.service().invoke_concurrent(crowd(10))

    assert (result.success_count, result.failure_count) == (0, 10)
    assert bench.pool.active_count == 0


@in_virtual_time
async def test_zero_requests() -> None:
    """A batch of nobody, at once."""
    bench = Bench.of()

    result = await bench.service().invoke_concurrent([])

    assert (result.outputs, result.failures, result.total_count) == ((), (), 0)
    assert not result.halted


@in_virtual_time
async def test_an_orchestrator_that_returns_nothing() -> None:
    """Foreign in yet another way: no answer is no output."""

    class Mute:
        capabilities = Bench.of().stub.capabilities

        async def invoke(self, request: Any, report: Any) -> Any:
            await asyncio.sleep(0)

        async def aclose(self) -> None: ...

    bench = Bench.of()
    bench.stub = Mute()  # type: ignore[assignment]

    result = await bench.service().invoke_concurrent(requests("a"))

    assert "not an AgentOutput" in result.failures[0].failure.message


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf")])
def test_every_agent_has_a_deadline(seconds: float) -> None:
    """One that never comes is refused."""
    with pytest.raises(ValueError, match="agent_timeout"):
        Bench.of().service(agent_timeout=seconds)


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, presets.AGENT_TIMEOUT),
        ({"agent_timeout": 7.0}, 7.0),
        ({"policy": SpawnPolicy.preset("fast_fail")}, 15.0),
        ({"policy": SpawnPolicy.preset("development"), "agent_timeout": 9.0}, 9.0),
    ],
)
@in_virtual_time
async def test_an_agent_that_hangs_ends_at_its_deadline(
    options: dict[str, Any], allowed: float
) -> None:
    """By default, by the service's limit, by a policy."""
    bench = Bench.of(hangs())

    result = await bench.service(**options).invoke_concurrent(requests("a"))

    assert now() == pytest.approx(allowed, abs=0.5)
    assert result.failures[0].failure.category == "timeout"


@in_virtual_time
async def test_the_deadline_begins_with_the_agent_not_with_the_queue() -> None:
    """Who waits its turn loses nothing."""
    bench = Bench.of(replies("x", after=4.0), size=1)
    service = bench.service(agent_timeout=5.0, on_exhausted="queue")

    result = await service.invoke_concurrent(crowd(5))

    assert result.success_count == 5
    assert now() == pytest.approx(20.0)


# --- the pool ---------------------------------------------------------------------


@in_virtual_time
async def test_more_than_the_pool_holds_is_an_error() -> None:
    """With numbers; nobody is invoked and nothing is taken."""
    bench = Bench.of(size=3)
    service = bench.service()

    with pytest.raises(AgentPoolExhaustedError, match="4 more wanted") as caught:
        await service.invoke_concurrent(crowd(4))

    assert (caught.value.active, caught.value.max_concurrent) == (0, 3)
    assert bench.stub.call_count == 0
    assert service.metrics.pool_exhaustion_errors == 1
    assert service.pool_status() == {
        "active_count": 0,
        "available_count": 3,
        "max_concurrent": 3,
        "is_exhausted": False,
        "active_agents": [],
    }


@in_virtual_time
async def test_queued_requests_never_exceed_the_pool() -> None:
    """The peak is exactly the pool's size, and no slot idles."""
    bench = Bench.of(replies("x", after=1.0))
    service = bench.service(on_exhausted="queue")

    result = await service.invoke_concurrent(crowd(720))

    assert bench.stub.peak_active == 72
    assert now() == pytest.approx(10.0)
    assert [each.agent_id for each in result.outputs] == [f"a{n}" for n in range(720)]


@pytest.mark.parametrize("shares_service", [True, False])
@in_virtual_time
async def test_two_batches_share_the_pool_fairly(*, shares_service: bool) -> None:
    """A small batch does not wait for the end of a big one, on one service or two."""
    bench = Bench.of(replies("x", after=1.0), size=4)
    first = bench.service(on_exhausted="queue")
    second = first if shares_service else bench.service(on_exhausted="queue")
    ends: dict[str, float] = {}

    async def batch(service: Any, name: str, size: int) -> None:
        names = (f"{name}{number}" for number in range(size))
        await service.invoke_concurrent(requests(*names))
        ends[name] = now()

    await at_the_same_time(batch(first, "big", 100), batch(second, "small", 10))

    # After the first wave both get two slots of four: 10 take five waves more.
    assert ends["small"] <= 7.0
    assert ends["big"] == pytest.approx(28.0, abs=1.0)
    assert bench.stub.peak_active == 4


@in_virtual_time
async def test_a_busy_agent_is_busy_and_no_sign_of_exhaustion() -> None:
    """Other slots stay usable; in a queue it is waited for."""
    bench = Bench.of(replies("x", after=5.0), size=3)
    service, patient = bench.service(), bench.service(on_exhausted="queue")

    async def meanwhile() -> None:
        await asyncio.sleep(1.0)
        with pytest.raises(AgentBusyError, match="'a' is already active"):
            await service.invoke_concurrent(requests("b", "a"))
        assert (await service.invoke_single(requests("b")[0])).content == "x"
        assert now() == pytest.approx(6.0)

    busy, queued = await at_the_same_time(
        service.invoke_concurrent(requests("a")),
        patient.invoke_concurrent(requests("c", "a")),
        then=meanwhile,
    )

    assert (busy.success_count, queued.success_count) == (1, 2)
    starts = [call.started_at for call in bench.stub.calls_of("a")]
    assert starts == [0.0, 5.0]


@in_virtual_time
async def test_the_same_agent_twice() -> None:
    """An error that names it, before anybody is invoked; unless that is wanted."""
    bench = Bench.of(replies("x", after=1.0), size=3)
    twice = requests("a", "b", "a")

    with pytest.raises(DuplicateAgentError, match="'a' is twice") as caught:
        await bench.service().invoke_concurrent(twice)
    assert isinstance(caught.value, AgentBusyError)
    assert isinstance(caught.value, ValueError)
    assert bench.stub.call_count == 0

    result = await bench.service(allow_duplicates=True).invoke_concurrent(twice)

    assert [each.agent_id for each in result.outputs] == ["a", "b", "a"]
    assert bench.stub.peak_active == 3
    assert bench.pool.active_count == 0


@in_virtual_time
async def test_a_name_that_looks_like_a_second_slot() -> None:
    """Every invocation holds a slot of its own all the same."""
    bench = Bench.of(replies("x", after=1.0), size=4)
    service = bench.service(allow_duplicates=True)

    result = await service.invoke_concurrent(requests("a", "a", "a#2", "a#2"))

    assert result.success_count == bench.stub.peak_active == 4
    assert bench.pool.active_count == 0


@in_virtual_time
async def test_three_of_a_name_hold_three_slots() -> None:
    """So three slots run three of them at a time."""
    bench = Bench.of(replies("x", after=1.0), size=3)
    service = bench.service(allow_duplicates=True, on_exhausted="queue")

    await service.invoke_concurrent(requests(*"aaaaaaa"))

    assert bench.stub.peak_active == 3
    assert now() == pytest.approx(3.0)


@in_virtual_time
async def test_an_agent_lives_in_the_context_of_its_own_batch() -> None:
    """Though the end of another batch's agent has made room for it."""
    host: ContextVar[str] = ContextVar("host")
    bench = Bench.of(replies(lambda _: host.get(), after=1.0), size=1)
    service = bench.service(on_exhausted="queue")

    async def batch(name: str) -> set[str]:
        host.set(name)
        names = (f"{name}{number}" for number in range(3))
        result = await service.invoke_concurrent(requests(*names))
        return {each.content for each in result.outputs}

    assert await at_the_same_time(batch("mine"), batch("yours")) == [
        {"mine"},
        {"yours"},
    ]


@pytest.mark.parametrize("mode", ["wait", "", None])
def test_what_happens_over_capacity_has_two_names(mode: Any) -> None:
    """A third one is refused."""
    with pytest.raises(ValueError, match="on_exhausted"):
        Bench.of().service(on_exhausted=mode)


# --- cancellation -----------------------------------------------------------------


@pytest.mark.parametrize("after", [0.0, 0.5, 1.5])
@in_virtual_time
async def test_a_cancelled_batch_leaves_nothing(after: float) -> None:
    """No agent runs and no slot is taken, also before anybody took a step."""
    bench = Bench.of(replies("x", after=1.0), size=5)
    service = bench.service(on_exhausted="queue")

    async def batch() -> None:
        await service.invoke_concurrent(crowd(50))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(batch())
        await asyncio.sleep(after)
        task.cancel()

    assert task.cancelled()
    assert (bench.pool.active_count, bench.stub.active) == (0, 0)
    result = await service.invoke_concurrent(crowd(5))
    assert result.success_count == 5


@in_virtual_time
async def test_a_slot_that_comes_too_late_is_given_back() -> None:
    """It came between the cancellation and the end: that agent never took a step."""
    bench = Bench.of(size=1)
    bench.pool.acquire("host")
    service = bench.service(on_exhausted="queue")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.invoke_concurrent(crowd(3)))
        await asyncio.sleep(1.0)
        task.cancel()
        bench.pool.release("host")
        assert bench.pool.active_agents == {"a0"}

    assert bench.pool.active_count == bench.stub.call_count == 0


@in_virtual_time
async def test_a_batch_that_is_cancelled_leaves_its_turn_to_the_others() -> None:
    """Its slots are offered at once."""
    bench = Bench.of(replies("x", after=1.0), size=2)
    service = bench.service(on_exhausted="queue")
    others = requests(*(f"b{number}" for number in range(10)))

    async with asyncio.TaskGroup() as group:
        mine = group.create_task(service.invoke_concurrent(crowd(1000)))
        theirs = group.create_task(service.invoke_concurrent(others))
        await asyncio.sleep(1.5)
        mine.cancel()

    assert theirs.result().success_count == 10
    assert now() <= 7.5
    assert bench.pool.active_count == 0


@pytest.mark.parametrize(("way", "answers"), [("drain", 2), ("stop", 0)])
@in_virtual_time
async def test_whoever_holds_the_batches_can_end_them(way: str, answers: int) -> None:
    """`drain` lets those finish who run, `stop` does not; nobody is lost."""
    bench = Bench.of(replies("x", after=2.0), size=2)
    service = bench.service(on_exhausted="queue")

    async def end() -> None:
        await asyncio.sleep(1.0)
        (batch,) = service.active
        getattr(batch, way)(Failure("cancelled", "enough"))

    (result,) = await at_the_same_time(service.invoke_concurrent(crowd(5)), then=end)

    assert (result.success_count, result.total_count) == (answers, 5)
    assert set(causes(result).values()) == {"cancelled"}
    assert not result.halted
    assert not service.active
    assert bench.pool.active_count == 0


# --- the halt ---------------------------------------------------------------------


@in_virtual_time
async def test_halted_means_nobody_is_invoked() -> None:
    """The halt comes before all other errors."""
    bench = Bench.of(size=1)
    bench.halt.halt("drill")

    for wanted in ([], requests("a"), requests("a", "a"), crowd(3)):
        with pytest.raises(SystemHaltedError, match="drill"):
            await bench.service().invoke_concurrent(wanted)
    with pytest.raises(SystemHaltedError):
        await bench.service().invoke_single(requests("a")[0])
    assert bench.stub.call_count == 0


@in_virtual_time
async def test_a_halt_in_mid_batch_keeps_what_is_finished() -> None:
    """Who runs is ended, who waits never starts, and all of them are ``halted``."""
    bench = Bench.of(hangs(), size=4)
    bench.stub.on("a0", replies("done", after=1.0))
    service = bench.service(on_exhausted="queue", agent_timeout=100.0)

    async def pull() -> None:
        await asyncio.sleep(2.0)
        bench.halt.halt("drill")

    (result,) = await at_the_same_time(service.invoke_concurrent(crowd(10)), then=pull)

    assert 2.0 <= now() <= 2.0 + 2 * presets.HALT_LOOK
    assert (result.halted, result.halt_reason) == (True, "drill")
    assert [each.agent_id for each in result.outputs] == ["a0"]
    assert set(causes(result).values()) == {"halted"}
    assert "drill" in result.failures[0].failure.message
    assert [each.attempts for each in result.failures] == [1] * 4 + [0] * 5
    assert bench.stub.call_count == 5
    assert (bench.pool.active_count, bench.stub.active) == (0, 0)


@in_virtual_time
async def test_nothing_starts_between_the_halt_and_the_look() -> None:
    """Each start is preceded by a question."""
    bench = Bench.of(replies("x", after=0.01), size=1)
    service = bench.service(on_exhausted="queue")

    async def pull() -> None:
        await asyncio.sleep(0.205)
        bench.halt.halt("drill")

    (result,) = await at_the_same_time(service.invoke_concurrent(crowd(99)), then=pull)

    assert bench.stub.call_count == 21
    assert result.total_count == 99


@in_virtual_time
async def test_an_agent_may_pull_the_halt() -> None:
    """Its error ends the batch as any halt does."""
    bench = Bench.of(hangs())
    bench.stub.on("a1", waits(1.0) + raises(SystemHaltedError("fire")))

    result = await bench.service().invoke_concurrent(crowd(5))

    assert now() == pytest.approx(1.0)
    assert (result.halted, result.halt_reason) == (True, "fire")
    assert set(causes(result).values()) == {"halted"}
    assert len(result.failures) == 5


class _Checker:
    """A halt checker that can't do it; from its ``good``-th answer on."""

    def __init__(self, trouble: Any, good: int) -> None:
        self.trouble = trouble
        self.good = good

    async def is_halted(self) -> bool:
        self.good -= 1
        if self.good >= 0:
            return False
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if self.trouble == "silent":
            await asyncio.sleep(1e6)
        return True

    async def halt_reason(self) -> str | None:
        return None


@pytest.mark.parametrize("good", [0, 5])
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (OSError("disk gone"), "can't be checked (OSError: disk gone)"),
        ("silent", "did not answer within 5 s"),
        ("nameless", "no reason was given"),
    ],
)
@in_virtual_time
async def test_a_checker_in_doubt_is_a_halt(
    trouble: Any, words: str, good: int
) -> None:
    """Before the first agent and in mid-batch."""
    bench = Bench.of(hangs(), halt=_Checker(trouble, good))
    service = bench.service()

    if not good:
        with pytest.raises(SystemHaltedError) as caught:
            await service.invoke_concurrent(crowd(3))
        assert words in caught.value.reason
        return
    result = await service.invoke_concurrent(crowd(3))

    assert result.halted
    assert words in str(result.halt_reason)
    assert len(result.failures) == 3


# --- one alone --------------------------------------------------------------------


@in_virtual_time
async def test_one_agent_alone() -> None:
    """Its answer, or its failure as an error."""
    bench = Bench.of(replies("fine"))
    bench.stub.on("bad", fails("auth", "log in"))
    bench.stub.on("fire", raises(SystemHaltedError("fire")))
    service = bench.service()

    assert isinstance(await service.invoke_single(requests("a")[0]), AgentOutput)
    with pytest.raises(AgentInvocationError, match="log in") as caught:
        await service.invoke_single(requests("bad")[0])
    assert caught.value.failure.cause is FailureCause.AUTH
    with pytest.raises(SystemHaltedError, match="fire"):
        await service.invoke_single(requests("fire")[0])
    assert bench.pool.active_count == 0


@in_virtual_time
async def test_the_four_metrics() -> None:
    """By their names, of the batch that ended last and of now."""
    bench = Bench.of(replies("x", after=2.0), size=3)
    bench.stub.on("bad", fails("crash"))
    service = bench.service()

    async def look() -> None:
        await asyncio.sleep(1.0)
        assert service.metrics.pool_active_count == 2
        assert service.available_capacity == 1

    await at_the_same_time(
        service.invoke_concurrent(requests("a", "bad", "b")), then=look
    )

    assert service.metrics.to_dict() == {
        "concurrent_invocation_total_ms": pytest.approx(2000),
        "agent_failure_count": 1,
        "pool_active_count": 0,
        "pool_exhaustion_errors": 0,
    }


# --- preparing, telling, recording --------------------------------------------------


@in_virtual_time
async def test_a_request_that_can_not_be_prepared_fails_alone() -> None:
    """A missing tool by its own cause."""

    def prepare(request: AgentRequest) -> AgentRequest:
        if request.agent_id == "toolless":
            raise ToolNotFoundError("saw")
        if request.agent_id == "broken":
            raise RuntimeError("boom")
        return request

    bench = Bench.of()
    service = bench.service(prepare=prepare)

    result = await service.invoke_concurrent(requests("a", "toolless", "broken"))

    assert causes(result) == {"toolless": "tool_not_found", "broken": "unknown"}
    assert [each.attempts for each in result.failures] == [0, 0]
    assert bench.pool.active_count == 0


@in_virtual_time
async def test_a_listener_is_told_and_can_not_break_anything() -> None:
    """Who starts, who answers, who fails; what it raises is logged."""
    heard: list[Any] = []
    faults: list[str] = []

    def listen(event: Any) -> None:
        heard.append(event)
        raise RuntimeError("deaf")

    bench = Bench.of()
    bench.stub.on("b", fails("crash"))
    service = bench.service(listener=listen, log_fault=faults.append)

    result = await service.invoke_concurrent(requests("a", "b"), batch_id="round-1")

    assert result.success_count == 1
    told = [(type(each), each.request.agent_id) for each in heard]
    assert sorted(told, key=str) == sorted(
        [
            (AgentInvoked, "a"),
            (AgentInvoked, "b"),
            (AgentAnswered, "a"),
            (AgentFailed, "b"),
        ],
        key=str,
    )
    assert {each.batch_id for each in heard} == {"round-1"}
    assert len(faults) == 4


@in_virtual_time
async def test_nobody_sees_an_answer_before_it_is_recorded() -> None:
    """Neither the listener nor the caller; each record has the batch and the hash."""
    seen: list[int] = []
    witness = MemoryWitness(delay=1.0)
    bench = Bench.of(replies("x", after=1.0))

    def listen(event: Any) -> None:
        if isinstance(event, AgentAnswered):
            seen.append(len(witness.records))

    service = bench.service(witness=witness, listener=listen)

    result = await service.invoke_concurrent(crowd(5), batch_id="b7")

    assert now() == pytest.approx(2.0)
    assert all(count >= number for number, count in enumerate(seen, start=1))
    assert {record.batch_id for record, _ in witness.records} == {"b7"}
    by_request = {record.request_id: record for record, _ in witness.records}
    assert set(by_request) == {each.request_id for each in result.outputs}
    assert first_break(witness.records, "memory", [witness.head]) is None


@in_virtual_time
async def test_a_halt_does_not_lose_an_answer_that_is_being_recorded() -> None:
    """It is finished."""
    bench = Bench.of(hangs())
    bench.stub.on("a0", replies("done", after=1.0))
    service = bench.service(witness=MemoryWitness(delay=5.0))

    async def pull() -> None:
        await asyncio.sleep(2.0)
        bench.halt.halt("drill")

    (result,) = await at_the_same_time(service.invoke_concurrent(crowd(3)), then=pull)

    assert [each.content for each in result.outputs] == ["done"]
    assert result.halted
    assert len(result.failures) == 2


@in_virtual_time
async def test_what_can_not_be_recorded_ends_the_batch() -> None:
    """No answer is shown, no agent runs on, no slot is kept."""
    bench = Bench.of(hangs(), size=4)
    bench.stub.on("a2", replies("done", after=1.0))
    heard: list[Any] = []
    service = bench.service(
        witness=MemoryWitness(error=JournalError("disk full")),
        on_exhausted="queue",
        listener=heard.append,
    )

    with pytest.raises(JournalError, match="disk full"):
        await service.invoke_concurrent(crowd(9))

    assert now() == pytest.approx(1.0)
    assert not [each for each in heard if isinstance(each, AgentAnswered)]
    assert (bench.pool.active_count, bench.stub.active) == (0, 0)
    assert not service.active
