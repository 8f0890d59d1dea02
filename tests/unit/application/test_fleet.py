"""The host's handle: who says what, and who is told."""

import asyncio
from typing import Any

import pytest

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.domain.fleet_events import AttemptStarted, TaskEnded
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    FixedAgents,
    FixedTools,
    RecordingSink,
    fails,
    hangs,
    in_virtual_time,
    prints,
    raises,
    replies,
    waits,
)
from tests.unit.application.crew import Crew, causes, tasks


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("call", "task", "config", "fleet", "expected"),
    [
        ("call", "task", "config", "fleet", "call"),
        (None, "task", "config", "fleet", "task"),
        (None, None, "config", "fleet", "config"),
        (None, None, None, "fleet", "fleet"),
        (None, None, None, None, None),
    ],
)
@in_virtual_time
async def test_precedence(
    call: str | None,
    task: str | None,
    config: str | None,
    fleet: str | None,
    expected: str | None,
) -> None:
    """Argument, task, config, the fleet's own: for tool and model alike."""
    crew = Crew()
    crew.fleet.context.tool = crew.fleet.context.model = fleet

    await crew.fleet.spawn(
        SpawnTask("x", tool=task, model=task),
        tool=call,
        model=call,
        config={"tool": config, "model": config} if config else None,
    )

    request = crew.stub.calls[0].request
    assert request.tool is not None
    assert (request.tool.name, request.model) == (expected or "sim", expected)


@in_virtual_time
async def test_a_profile_speaks_after_the_task() -> None:
    """Tool, model and persona of an agent's profile, where the task says nothing."""
    from muster.domain.agent_profile import AgentProfile  # noqa: PLC0415

    crew = Crew()
    cli = ToolSpec("cli", ("cli",), is_agent=True)
    crew.fleet.context.tools = FixedTools(cli, ToolSpec("other", ("other",)))
    crew.fleet.context.agents = FixedAgents(
        AgentProfile("dana", tool="cli", model="big", prompt="You are Dana.")
    )

    await crew.fleet.spawn(SpawnTask("hello", "dana"))
    await crew.fleet.spawn(SpawnTask("hello", "dana", tool="other", model="small"))
    await crew.fleet.spawn(SpawnTask("hello", "nobody"))

    first, second, third = (call.request for call in crew.stub.calls)
    assert (first.model, first.text) == ("big", "You are Dana.\n\nhello")
    assert (second.model, second.text) == ("small", "hello")
    assert (third.model, third.text) == (None, "hello")


@in_virtual_time
async def test_the_policy_of_a_config() -> None:
    """Where neither call nor task name one."""
    crew = Crew()
    crew.stub.on("llm", hangs())

    result = await crew.fleet.spawn(SpawnTask("x"), config={"policy": "test"})

    assert (causes([result]), now()) == (["no_activity"], 10.0)


@pytest.mark.parametrize(
    ("config", "fallback"),
    [
        (None, True),
        ({"spawner": {"recovery": {"preset": "no_recovery"}}}, False),
        ({"spawner": {}}, True),
        ({"spawner": None}, True),
    ],
)
@in_virtual_time
async def test_the_recovery_of_a_config(
    config: dict[str, Any] | None,
    fallback: bool,  # noqa: FBT001
) -> None:
    """It says whether there is a fallback, where it says anything."""
    crew = Crew()
    crew.stub.on(lambda request: request.agent is not None, fails("auth"))
    crew.stub.on(lambda request: request.agent is None, replies())
    crew.stub.on("a", fails("not_found"))
    crew.stub.on(lambda request: request.agent is None, replies())

    (result,), _ = await crew.fleet.spawn_parallel_tracked(tasks(1, "a"), config=config)

    assert any(each.fallback for each in result.attempts) is fallback


@pytest.mark.parametrize("retries", [-1, -100])
@in_virtual_time
async def test_retries_are_not_negative(retries: int) -> None:
    """Refused at once."""
    with pytest.raises(ValueError, match="at least 0"):
        await Crew().fleet.spawn_parallel_tracked(tasks(1), max_retries=retries)


@in_virtual_time
async def test_many_kinds_of_tasks() -> None:
    """Policies and tools of their own make routes of their own."""
    crew = Crew()
    spec, policy = ToolSpec("mine", ("mine",)), SpawnPolicy.test()

    results = await crew.fleet.spawn_parallel(
        [
            SpawnTask("x", tool=spec),
            SpawnTask("x", policy=policy),
            *(SpawnTask("x", model=f"m{n}") for n in range(presets.ROUTES_KEPT + 2)),
        ]
    )

    assert [each.tool for each in results[:3]] == ["mine", "sim", "sim"]
    assert all(each.success for each in results)


@in_virtual_time
async def test_a_sinks_troubles_cost_nobody_anything() -> None:
    """They are logged; lanes, attempts and results go on."""
    crew = Crew(sink=RecordingSink(error=RuntimeError("I am full")))
    crew.stub.on("llm", fails("rate_limit", retry_after=1.0), replies())

    results = await crew.fleet.spawn_parallel_with_recovery(tasks(4), max_concurrent=2)

    assert causes(results) == [None] * 4
    assert len(crew.faults) == len(crew.sink.events) > 8
    assert len(crew.sink.of(TaskEnded)) == 4
    assert len(crew.sink.of(AttemptStarted)) == sum(len(r.attempts) for r in results)


@in_virtual_time
async def test_what_an_adapter_says_wrong_is_one_tasks_matter() -> None:
    """An error of ours is logged, an error with a name is not."""
    crew = Crew()
    crew.stub.on("llm", raises(ConfigError("bad")), replies())

    results = await crew.fleet.spawn_parallel(tasks(2), max_concurrent=1)

    assert causes(results) == ["unknown", None]


@in_virtual_time
async def test_lines_reach_the_host_while_the_agent_runs() -> None:
    """Each line when it is complete, and what a callback raises is logged."""
    crew = Crew()
    crew.stub.on("llm", prints("one") + waits(5) + prints("two") + replies("three"))
    heard: list[tuple[str, float]] = []

    def on_output(line: str) -> None:
        heard.append((line, now()))
        raise ValueError(line)

    await crew.fleet.spawn(SpawnTask("x"), on_output=on_output)

    assert heard == [("one", 0.0), ("two", 5.0), ("three", 5.0)]
    assert len(crew.faults) == 3
