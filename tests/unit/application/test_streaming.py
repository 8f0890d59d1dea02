"""Sources, streams and sequences: what is drawn, and how they end."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from muster.domain import presets
from muster.domain.errors import UnknownPresetError
from muster.domain.plan import Plan, PlanTask
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    FixedTools,
    fails,
    hangs,
    in_virtual_time,
    prints,
    replies,
)
from tests.unit.application.crew import Crew, causes, tasks


def broken(count: int) -> Iterator[SpawnTask]:
    """So many tasks, then an error."""
    yield from tasks(count)
    raise LookupError("no more")


@in_virtual_time
async def test_a_source_that_raises_is_the_calls_error() -> None:
    """What ran is ended, and the error comes out as it is."""
    crew = Crew()
    crew.stub.on("llm", hangs())

    with pytest.raises(LookupError, match="no more"):
        await crew.fleet.spawn_parallel(broken(2), max_concurrent=5)

    assert (crew.stub.active, crew.stub.call_count) == (0, 2)
    assert crew.fleet.context.active == set()


@in_virtual_time
async def test_what_is_no_task_is_an_error() -> None:
    """A mistake of the host is told to the host."""
    crew = Crew()

    with pytest.raises(TypeError, match="a SpawnTask, not 'hello'; SpawnTask"):
        await crew.fleet.spawn_parallel([*tasks(3), "hello"])  # type: ignore[list-item]
    assert crew.stub.call_count == 0
    with pytest.raises(TypeError, match="a SpawnTask, not an object of type NoneType"):
        await crew.fleet.spawn_parallel(iter([None]))  # type: ignore[list-item]
    with pytest.raises(TypeError, match="several of them"):
        await crew.fleet.spawn_parallel(SpawnTask("x"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "wrong", "words"),
    [
        ("spawn", {"tool": 3}, "tool must be a name, a path or a ToolSpec, not 3"),
        ("spawn", {"model": 3}, "model must be a name"),
        ("spawn", {"policy": 3}, "policy must be a SpawnPolicy or the name"),
        ("spawn", {"on_output": 3}, "on_output must be a function"),
        ("spawn", {"config": 3}, "config must be a table"),
        ("spawn", {"config": {"tool": 3}}, "tool must be a name"),
        ("spawn_parallel", {"max_concurrent": "5"}, "max_concurrent must be a whole"),
        ("spawn_parallel", {"max_concurrent": 1.5}, "max_concurrent must be a whole"),
        ("spawn_parallel_with_recovery", {"max_retries": "5"}, "max_retries must be"),
        (
            "spawn_parallel_with_recovery",
            {"recovery_policy": "patient"},
            "recovery_policy must be a RecoveryPolicy",
        ),
        ("spawn_parallel_tracked", {"stagger_delay": "x"}, "stagger_delay must be"),
        ("spawn_parallel_tracked", {"global_timeout": "x"}, "global_timeout must be"),
        ("run_plan", {"deadline": "x"}, "deadline must be seconds"),
        ("run_plan", {"tool": 3}, "tool must be a name"),
    ],
)
@in_virtual_time
async def test_wrong_kinds_are_refused(
    function: str, wrong: dict[str, object], words: str
) -> None:
    """By name, with what is right, before anything starts."""
    crew = Crew()
    first: object = {
        "spawn": SpawnTask("x"),
        "run_plan": Plan([PlanTask("a", "x")]),
    }.get(function, tasks(1))

    with pytest.raises(TypeError, match=words):
        await getattr(crew.fleet, function)(first, **wrong)
    assert crew.stub.call_count == 0


@pytest.mark.parametrize("wrong", [float("nan"), -1.0, float("inf")])
@in_virtual_time
async def test_seconds_that_are_none(wrong: float) -> None:
    """A number, and no duration."""
    with pytest.raises(ValueError, match="global_timeout must be seconds from 0"):
        await Crew().fleet.spawn_parallel_tracked(tasks(1), global_timeout=wrong)


@in_virtual_time
async def test_what_is_no_plan() -> None:
    """Its name is none."""
    with pytest.raises(TypeError, match=r"plan must be a Plan, not 'x.md'; Plan.load"):
        await Crew().fleet.run_plan("x.md")  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["typo", "Default"])
@in_virtual_time
async def test_an_unknown_policy_is_an_error_at_once(policy: str) -> None:
    """In a call; in a task it is that task's failure."""
    crew = Crew()

    with pytest.raises(UnknownPresetError, match="there are default"):
        await crew.fleet.spawn(SpawnTask("x"), policy=policy)
    with pytest.raises(UnknownPresetError):
        await anext(crew.fleet.spawn_stream(tasks(1), policy=policy))
    result = await crew.fleet.spawn(SpawnTask("x", policy=policy))

    assert "there are default" in str(result.error)
    assert causes([result]) == ["invalid_request"]
    assert crew.stub.call_count == 0


@in_virtual_time
async def test_a_million_missing_tools_let_the_loop_turn() -> None:
    """Tasks that end without any attempt don't keep others from running."""
    crew = Crew()
    crew.fleet.context.tools = FixedTools(ToolSpec("sim", ("sim",)))
    turns = 0

    async def ticker() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(ticker())
        results = await crew.fleet.spawn_parallel(tasks(2000, tool="gone"))
        ticking.cancel()

    assert set(causes(results)) == {"tool_not_found"}
    assert turns >= 2000 // presets.JOBS_PER_TURN


@in_virtual_time
async def test_a_stream_that_is_closed_early_ends_what_runs() -> None:
    """Closing it is no error, and nobody is left."""
    crew = Crew()
    crew.stub.on("llm", replies(), hangs())
    stream = crew.fleet.spawn_stream(tasks(9), max_concurrent=3)

    async with aclosing(stream) as results:  # type: ignore[type-var]
        async for _ in results:
            break

    assert (crew.stub.active, crew.fleet.context.active) == (0, set())


@in_virtual_time
async def test_a_stream_that_nobody_started() -> None:
    """Closing it does nothing."""
    crew = Crew()
    await crew.fleet.spawn_stream(tasks(9)).aclose()  # type: ignore[attr-defined]
    assert crew.stub.call_count == 0


@in_virtual_time
async def test_a_streams_error_waits_for_its_consumer() -> None:
    """It comes after the results, and never into the consumer's own waiting."""
    crew = Crew()
    stream = crew.fleet.spawn_stream(broken(3))

    for index in range(3):
        assert (await anext(stream)).task_index == index
        await asyncio.sleep(10)
    with pytest.raises(LookupError, match="no more"):
        await anext(stream)


@in_virtual_time
async def test_a_cancelled_consumer_leaves_nobody() -> None:
    """While it waits for a result."""
    crew = Crew()
    crew.stub.on("llm", hangs())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await anext(crew.fleet.spawn_stream(tasks(9), policy="development"))

    assert crew.stub.active == 0


@pytest.mark.parametrize("how", ["drain", "stop"])
@in_virtual_time
async def test_an_endless_stream_can_be_ended(how: str) -> None:
    """What was begun ends, nothing more is drawn."""
    crew = Crew()
    crew.stub.on("llm", replies(after=1.0))
    drawn = 0

    def endless() -> Iterator[SpawnTask]:
        nonlocal drawn
        while True:
            drawn += 1
            yield SpawnTask("again")

    asyncio.get_running_loop().call_later(2.5, getattr(crew.fleet, how))
    results = [
        result
        async for result in crew.fleet.spawn_stream(
            endless(), max_concurrent=3, recovery_policy=RecoveryPolicy()
        )
    ]

    ended = "cancelled" if how == "stop" else None
    assert causes(results) == [None] * 6 + [ended] * 3
    assert drawn == 9


@in_virtual_time
async def test_who_waits_for_room_starts_nothing_after_a_stop() -> None:
    """A slow consumer, then a stop: no agent is started any more."""
    crew = Crew()
    stream = crew.fleet.spawn_stream(tasks(500), max_concurrent=2)
    results = []

    async with aclosing(stream) as coming:  # type: ignore[type-var]
        async for result in coming:
            results.append(result)
            if len(results) == 1:
                await asyncio.sleep(1)
                started = crew.stub.call_count
                crew.fleet.stop()

    assert crew.stub.call_count == started < 500
    assert causes(results)[-2:] == ["cancelled"] * 2


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("drain", [None, "cancelled", "cancelled"]),
        ("stop", ["cancelled"] * 3),
    ],
)
@in_virtual_time
async def test_a_sequence_can_be_ended(how: str, expected: list[str | None]) -> None:
    """Nothing follows, and every task has its result at its place."""
    crew = Crew()
    crew.stub.on("llm", replies(after=10.0))
    asyncio.get_running_loop().call_later(5, getattr(crew.fleet, how))

    results = await crew.fleet.spawn_sequential(tasks(3))

    assert causes(results) == expected
    assert [each.task_index for each in results] == [0, 1, 2]
    assert crew.stub.call_count == 1


@in_virtual_time
async def test_a_sequence_without_context() -> None:
    """Each prompt stays as it was; a failure's output is no context."""
    crew = Crew()
    crew.stub.on("llm", prints("half") + fails("crash"), replies("ok"))

    await crew.fleet.spawn_sequential(iter(tasks(2)))
    await crew.fleet.spawn_sequential(tasks(2), pass_context=False)

    prompts = [call.request.text for call in crew.stub.calls]
    assert prompts == ["task 0", "task 1", "task 0", "task 1"]
