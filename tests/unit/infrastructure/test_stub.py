"""The stub does what its script says, and remembers what it was asked."""

import asyncio
import contextlib
from collections import Counter

import pytest

from muster.domain import presets
from muster.domain.errors import AgentInvocationError, SystemHaltedError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    AgentStarted,
    OutputReceived,
    RateLimited,
    RetryAnnounced,
    ToolCallClosed,
    ToolCallOpened,
    UsageReported,
)
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.task import AgentOutput, AgentRequest
from muster.testing import (
    AgentOrchestratorStub,
    announces_retry,
    calls_tool,
    fails,
    floods,
    hangs,
    in_virtual_time,
    is_rate_limited,
    notes,
    prints,
    raises,
    replies,
    reports,
    resists,
    waits,
)


def ignore(event: AgentEvent) -> None:
    """A report that nobody reads."""


def request(agent_id: str = "tester", **rest: object) -> AgentRequest:
    """A request of that agent."""
    return AgentRequest(agent_id, prompt="do it", request_id="r1", **rest)


async def ask(
    stub: AgentOrchestratorStub, agent_id: str = "tester", **rest: object
) -> str:
    """The answer, or the cause of the failure."""
    try:
        return (await stub.invoke(request(agent_id, **rest), ignore)).content
    except AgentInvocationError as error:
        return error.failure.cause.value


async def events_of(stub: AgentOrchestratorStub) -> list[AgentEvent]:
    """What one invocation reports, whatever becomes of it."""
    events: list[AgentEvent] = []
    with contextlib.suppress(AgentInvocationError):
        await stub.invoke(request(), events.append)
    return events


def now() -> float:
    """The time of the loop."""
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_without_a_script_it_answers_at_once() -> None:
    """The default answer is stamped, belongs to its request, and takes no time."""
    stub = AgentOrchestratorStub()

    answer = await stub.invoke(request(), ignore)

    text = "This answer is simulated."
    assert answer == AgentOutput(text, "tester", "r1", simulated=True)
    assert now() == 0.0


@in_virtual_time
async def test_a_script_is_played_in_order_and_its_end_stays() -> None:
    """ "Fail, fail, ok" is three words; the last one goes on for ever."""
    stub = AgentOrchestratorStub()
    stub.on("tester", fails("crash").times(2), replies("done"))

    answers = [await ask(stub) for _ in range(5)]

    assert answers == ["crash", "crash", "done", "done", "done"]


@in_virtual_time
async def test_each_agent_has_its_own_script() -> None:
    """An id wins over a persona, a name over a question, all over the default."""
    stub = (
        AgentOrchestratorStub(replies("default"))
        .on("tester-1", replies("by id"))
        .on("tester", replies("by persona"))
        .on(lambda asked: asked.model == "opus", replies("by question"))
    )

    assert await ask(stub, "tester-1", agent="tester") == "by id"
    assert await ask(stub, "tester-2", agent="tester", model="opus") == "by persona"
    assert await ask(stub, "x", model="opus") == "by question"
    assert await ask(stub, "x") == "default"


@in_virtual_time
async def test_an_answer_may_depend_on_the_request() -> None:
    """A function gets the request."""
    stub = AgentOrchestratorStub(
        replies(lambda asked: f"{asked.agent_id}: {asked.text}")
    )

    assert await ask(stub, "a") == "a: do it"


@in_virtual_time
async def test_a_failure_carries_what_it_was_given() -> None:
    """Cause, message, retry-after, exit code; the error holds the last report."""
    stub = AgentOrchestratorStub(fails("rate_limit", "slow down", retry_after=2.0))
    events: list[AgentEvent] = []

    with pytest.raises(AgentInvocationError) as caught:
        await stub.invoke(request(), events.append)

    expected = Failure(FailureCause.RATE_LIMIT, "slow down", retry_after=2.0)
    assert caught.value.failure == expected
    assert caught.value.ended == events[-1] == AgentEnded(1)


@in_virtual_time
async def test_a_whole_failure_may_be_given() -> None:
    """Then it is the one that is raised."""
    failure = Failure("quota", "enough", resets_at=7.0)

    with pytest.raises(AgentInvocationError) as caught:
        await AgentOrchestratorStub(fails(failure)).invoke(request(), ignore)

    assert caught.value.failure is failure


def test_an_unknown_cause_is_refused_at_once() -> None:
    """A typing error in a script is found where it stands."""
    with pytest.raises(ValueError, match="ratelimit"):
        fails("ratelimit")


def test_an_empty_script_is_refused_at_once() -> None:
    """Nothing to play is no script."""
    with pytest.raises(ValueError, match="at least one"):
        AgentOrchestratorStub().on("tester")


USAGE = Usage(input_tokens=3)


@pytest.mark.parametrize(
    ("behaviour", "expected", "seconds"),
    [
        (replies("x"), [OutputReceived("stdout", b"x")], 0.0),
        (replies("x", after=2), [OutputReceived("stdout", b"x")], 2.0),
        (
            replies("x", usage=USAGE),
            [UsageReported(USAGE), OutputReceived("stdout", b"x")],
            0.0,
        ),
        (fails("crash", after=3), [], 3.0),
        (
            prints("a", "b") + fails("crash"),
            [OutputReceived("stdout", b"a\n"), OutputReceived("stdout", b"b\n")],
            0.0,
        ),
        (notes("oh") + fails("crash"), [OutputReceived("stderr", b"oh\n")], 0.0),
        (announces_retry(1.0) + fails("crash"), [RetryAnnounced(1.0)], 0.0),
        (is_rate_limited(5.0) + fails("crash"), [RateLimited(5.0)], 0.0),
        (
            calls_tool("bash", lasting=9) + fails("crash"),
            [ToolCallOpened("bash", "bash"), ToolCallClosed("bash")],
            9.0,
        ),
        (calls_tool("bash") + fails("crash"), [ToolCallOpened("bash", "bash")], 0.0),
        (reports(RateLimited()) + fails("crash"), [RateLimited()], 0.0),
        (waits(1) + waits(2) + fails("crash"), [], 3.0),
    ],
)
@in_virtual_time
async def test_a_behaviour_is_a_row_of_steps(
    behaviour: object, expected: list[AgentEvent], seconds: float
) -> None:
    """Each word reports and waits as it says, between one start and one end."""
    started, *between, ended = await events_of(AgentOrchestratorStub(behaviour))

    assert started == AgentStarted()
    assert between == expected
    assert isinstance(ended, AgentEnded)
    assert now() == seconds


@in_virtual_time
async def test_steps_without_an_end_answer() -> None:
    """What only waits or talks gives the default answer in the end."""
    stub = AgentOrchestratorStub(notes("thinking") + waits(1))

    assert await ask(stub) == "This answer is simulated."


@in_virtual_time
async def test_the_last_report_holds_both_streams() -> None:
    """As an adapter of real programs reports them."""
    stub = AgentOrchestratorStub(prints("a") + notes("b") + fails("crash", exit_code=3))

    ended = (await events_of(stub))[-1]

    assert ended == AgentEnded(3, output="a\n", stderr="b\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@in_virtual_time
async def test_a_flood_is_whole_and_what_is_kept_of_it_is_bounded(stream: str) -> None:
    """All bytes are reported, in chunks; the last report says that it was cut."""
    size = presets.CAPTURE_BYTES * 3 + 1
    stub = AgentOrchestratorStub(floods(size, stream=stream) + fails("crash"))

    events = await events_of(stub)

    chunks = [event for event in events if isinstance(event, OutputReceived)]
    assert {chunk.stream for chunk in chunks} == {stream}
    assert sum(chunk.count for chunk in chunks) == size
    assert max(chunk.count for chunk in chunks) == presets.READ_BYTES
    ended = events[-1]
    assert isinstance(ended, AgentEnded)
    assert ended.truncated
    assert len(ended.output + ended.stderr) == presets.CAPTURE_BYTES


@in_virtual_time
async def test_it_raises_what_it_is_told_to() -> None:
    """A broken adapter, or a halt that an agent notices; the end is reported too."""
    stub = AgentOrchestratorStub(raises(SystemHaltedError("stop")))
    events: list[AgentEvent] = []

    for _ in range(2):
        with pytest.raises(SystemHaltedError, match="stop"):
            await stub.invoke(request(), events.append)

    assert Counter(map(type, events)) == {AgentStarted: 2, AgentEnded: 2}


@pytest.mark.parametrize(
    ("behaviour", "ends_at"),
    [(hangs(), 5.0), (waits(60), 5.0), (resists(3) + hangs(), 8.0)],
)
@in_virtual_time
async def test_a_cancellation_is_honoured(behaviour: object, ends_at: float) -> None:
    """At once, or as late as it is told to; the record says that it was cancelled."""
    stub = AgentOrchestratorStub(behaviour)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await stub.invoke(request(), ignore)

    (call,) = stub.calls
    assert (call.started_at, call.ended_at, call.cancelled) == (0.0, ends_at, True)
    assert stub.active == 0


@in_virtual_time
async def test_who_resists_one_cancellation_resists_the_next() -> None:
    """An impatient supervisor does not shorten it."""
    stub = AgentOrchestratorStub(resists(3) + hangs())

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ask(stub))
        for _ in range(3):
            await asyncio.sleep(1)
            task.cancel()

    assert now() == 4.0
    assert task.cancelled()


@pytest.mark.parametrize("behaviour", [replies("x"), replies("x", after=1)])
@in_virtual_time
async def test_a_success_ends_with_exit_code_0(behaviour: object) -> None:
    """The last report holds the answer, by the short cut and as a scene."""
    events = await events_of(AgentOrchestratorStub(behaviour))

    assert events[-1] == AgentEnded(0, output="x")


@in_virtual_time
async def test_a_plain_reply_can_be_cancelled() -> None:
    """The short cut keeps the promises too."""
    stub = AgentOrchestratorStub()
    events: list[AgentEvent] = []

    async with asyncio.TaskGroup() as group:
        task = group.create_task(stub.invoke(request(), events.append))
        await asyncio.sleep(0)
        task.cancel()

    assert events == [AgentStarted(), AgentEnded()]
    assert stub.calls[0].cancelled


@in_virtual_time
async def test_closing_ends_what_runs_and_nothing_more() -> None:
    """Whoever waits gets a failure; the stub can be used again."""
    stub = AgentOrchestratorStub(hangs(), replies("again"))

    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(ask(stub))
        await asyncio.sleep(1)
        await stub.aclose()
        await stub.aclose()

    assert hanging.result() == "killed"
    assert await ask(stub) == "again"


@in_virtual_time
async def test_calls_are_recorded() -> None:
    """Who was asked what, when, and how many at once."""
    stub = AgentOrchestratorStub(replies(after=1))

    async with asyncio.TaskGroup() as group:
        for agent_id in "aab":
            group.create_task(ask(stub, agent_id, agent="planner"))
        await asyncio.sleep(0.5)
        active = stub.active
    await ask(stub, "c")

    assert active == stub.peak_active == 3
    assert stub.active == 0
    assert stub.call_count == 4
    assert [call.request.agent_id for call in stub.calls] == ["a", "a", "b", "c"]
    assert [len(stub.calls_of(who)) for who in ("a", "b", "planner", "x")] == [
        2,
        1,
        3,
        0,
    ]
    assert [call.started_at for call in stub.calls] == [0.0, 0.0, 0.0, 1.0]
    assert not any(call.cancelled for call in stub.calls)


@pytest.mark.parametrize("behaviour", [replies("x"), fails("crash"), waits(1)])
@in_virtual_time
async def test_without_records_it_only_counts(behaviour: object) -> None:
    """For runs of millions: no memory per call."""
    stub = AgentOrchestratorStub(behaviour, record=False)

    for _ in range(3):
        await ask(stub)

    assert (stub.calls, stub.call_count, stub.peak_active) == ([], 3, 1)


def test_two_stubs_share_nothing() -> None:
    """A script of one is none of the other's."""
    one, other = AgentOrchestratorStub(), AgentOrchestratorStub()
    one.on("tester", fails("auth"))

    @in_virtual_time
    async def answers() -> list[str]:
        return [await ask(one), await ask(other)]

    assert answers() == ["auth", "This answer is simulated."]
    assert one.capabilities.simulated
