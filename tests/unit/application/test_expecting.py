"""An answer counts only if it is as expected; once it may be amended."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field

from muster.domain.events import ToolCallClosed, ToolCallOpened
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import Expectation, SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    FixedTools,
    fails,
    hangs,
    in_virtual_time,
    prints,
    replies,
)
from tests.unit.application.crew import Crew, causes

FILE = Expectation(file="out.txt")
DONE = Expectation(regex="done")
NEVER = RecoveryPolicy.no_recovery()


@define
class Critic:
    """An inspector with complaints in store; None is praise. Checks take a while."""

    complaints: list[str | None] = field(factory=list)
    problem: str | None = None
    lasts: float = 0.0
    asked: list[tuple[str, str | None, Any]] = field(factory=list)

    def obstacle(self, expect: Expectation) -> str | None:
        return self.problem

    async def complaint(
        self,
        expect: Expectation,
        output: str,
        *,
        cwd: str | None,
        env: Mapping[str, str] | None,
    ) -> str | None:
        self.asked.append((output, cwd, env))
        await asyncio.sleep(self.lasts)
        return self.complaints.pop(0) if self.complaints else None


def crew_with(critic: Critic | None, *script: Any) -> Crew:
    """A fleet whose agents follow the script and whose inspector is this one."""
    crew = Crew()
    crew.fleet.context.inspector = critic
    crew.stub.on("llm", *script)
    return crew


async def recovered(crew: Crew, task: SpawnTask, **options: Any) -> SpawnResult:
    """The result of a task in a retrying function, without any retry of its policy."""
    options = {"recovery_policy": NEVER} | options
    (result,) = await crew.fleet.spawn_parallel_with_recovery([task], **options)
    return result


@in_virtual_time
async def test_what_is_as_expected_is_a_success() -> None:
    """The inspector gets the output and where the task runs."""
    critic = Critic()
    crew = crew_with(critic, replies("fine"))

    result = await crew.fleet.spawn(
        SpawnTask("x", expect=FILE, cwd="/work", env={"A": "b"})
    )

    assert (result.success, result.output) == (True, "fine")
    assert critic.asked == [("fine", "/work", {"A": "b"})]


@in_virtual_time
async def test_what_needs_no_world_asks_no_inspector() -> None:
    """Patterns and exit codes are judged by themselves."""
    critic = Critic(["never asked"])

    result = await crew_with(critic, replies("done")).fleet.spawn(
        SpawnTask("x", expect=DONE)
    )

    assert (result.success, critic.asked) == (True, [])


@in_virtual_time
async def test_spawn_makes_one_attempt_all_the_same() -> None:
    """What is not as expected is `output_invalid`; the output is kept."""
    crew = crew_with(None, replies("almost"))

    result = await crew.fleet.spawn(SpawnTask("x", expect=DONE))

    assert causes([result]) == ["output_invalid"]
    assert (result.output, result.exit_code) == ("almost", 0)
    assert len(result.attempts) == 1


@pytest.mark.parametrize("policy", [NEVER, RecoveryPolicy.aggressive_retry()])
@in_virtual_time
async def test_exactly_one_further_attempt(policy: RecoveryPolicy) -> None:
    """With the complaint in its prompt, at once, whatever the policy says."""
    crew = crew_with(None, replies("almost"), replies("done"))

    result = await recovered(
        crew, SpawnTask("be done", expect=DONE), recovery_policy=policy
    )

    assert result.success
    assert (result.retry_count, result.recovery_path) == (1, ["retry:1"])
    first, second = (call.request.text for call in crew.stub.calls)
    assert first == "be done"
    assert second.startswith("be done\n\n")
    assert "does not match" in second
    assert asyncio.get_running_loop().time() == 0


@pytest.mark.parametrize("policy", [NEVER, RecoveryPolicy.aggressive_retry()])
@in_virtual_time
async def test_not_a_third_one(policy: RecoveryPolicy) -> None:
    """The second complaint is the result, and a direct call is no help."""
    crew = Crew()
    crew.fleet.context.inspector = Critic(["no", "still not", "never"])
    crew.stub.on("a", replies("x"))

    result = await recovered(
        crew, SpawnTask("x", "a", expect=FILE), recovery_policy=policy
    )

    assert causes([result]) == ["output_invalid"]
    assert result.error == "still not"
    assert (len(result.attempts), result.fallback) == (2, False)


@in_virtual_time
async def test_retries_for_other_reasons_are_counted_apart() -> None:
    """A policy's retries are not used up by the amended attempt."""
    crew = crew_with(
        Critic(["no"]), fails("crash"), replies("a"), fails("crash"), replies("b")
    )

    result = await recovered(
        crew,
        SpawnTask("x", expect=FILE),
        recovery_policy=RecoveryPolicy(max_retries=2, fallback_to_llm=False),
    )

    assert (result.success, result.retry_count) == (True, 3)
    told = ["not accepted: no" in call.request.text for call in crew.stub.calls]
    assert told == [False, False, True, True]


@in_virtual_time
async def test_a_program_that_would_run_the_complaint_is_not_told() -> None:
    """What interprets its prompt gets it unchanged."""
    crew = crew_with(Critic(["no"]), replies("x"))
    crew.fleet.context.tools = FixedTools(ToolSpec("sh", ("sh",), interprets=True))

    result = await recovered(crew, SpawnTask("echo x", expect=FILE))

    assert result.success
    assert [call.request.text for call in crew.stub.calls] == ["echo x"] * 2


@pytest.mark.parametrize(
    ("code", "expected", "tool", "cause"),
    [
        (3, 3, "text", None),
        (3, 4, "text", "crash"),
        (3, 0, "text", "crash"),
        (3, 3, "stream-json", "crash"),
        (0, 3, "text", "output_invalid"),
    ],
)
@in_virtual_time
async def test_an_expected_exit_code(
    code: int, expected: int, tool: str, cause: str | None
) -> None:
    """Of a plain program it is a success; a stream's own record says more."""
    end = fails("crash", exit_code=code) if code else replies("ok")
    crew = crew_with(None, prints("grep found nothing") + end)
    crew.fleet.context.tools = FixedTools(ToolSpec("t", ("t",), output=tool))

    result = await crew.fleet.spawn(
        SpawnTask("x", expect=Expectation(exit_code=expected))
    )

    assert causes([result]) == [cause]
    assert result.exit_code == code
    assert "grep found nothing" in result.output or not code


@pytest.mark.parametrize(
    ("expect", "critic", "words"),
    [
        (Expectation(regex="("), Critic(), "no regular expression"),
        (FILE, None, "can't be checked"),
        (FILE, Critic(problem="no library"), "no library"),
    ],
)
@in_virtual_time
async def test_what_can_t_be_checked_starts_nobody(
    expect: Expectation, critic: Critic | None, words: str
) -> None:
    """Better now than after an hour of work; no retry would help."""
    crew = crew_with(critic, replies())

    result = await recovered(crew, SpawnTask("x", expect=expect))

    assert causes([result]) == ["invalid_request"]
    assert words in str(result.error)
    assert crew.stub.call_count == 0


@in_virtual_time
async def test_a_failed_agent_is_not_inspected() -> None:
    """Its failure is the reason."""
    critic = Critic()
    crew = crew_with(critic, fails("auth"))

    result = await recovered(crew, SpawnTask("x", expect=FILE))

    assert (causes([result]), critic.asked) == (["auth"], [])


@in_virtual_time
async def test_a_check_may_be_silent() -> None:
    """As an open tool call it is no silence of the agent's."""
    crew = crew_with(Critic(lasts=25.0), replies("done"))

    result = await crew.fleet.spawn(SpawnTask("x", expect=FILE), policy="test")

    assert (result.success, result.execution_time) == (True, 25.0)


@pytest.mark.parametrize(
    ("how", "cause", "at"),
    [("timeout", "timeout", 30.0), ("task", "deadline", 7.0), ("stop", "cancelled", 5)],
)
@in_virtual_time
async def test_a_check_that_hangs_is_ended(how: str, cause: str, at: float) -> None:
    """By the attempt's limit, the task's, or whoever stops the fleet; output is kept."""
    crew = crew_with(Critic(lasts=1000.0), replies("done"))
    if how == "stop":
        asyncio.get_running_loop().call_later(5, crew.fleet.stop)
    timeout = 7.0 if how == "task" else None

    result = await crew.fleet.spawn(
        SpawnTask("x", expect=FILE, timeout=timeout), policy="test"
    )

    assert causes([result]) == [cause]
    assert result.output == "done"
    assert asyncio.get_running_loop().time() == at


@in_virtual_time
async def test_a_hanging_agent_is_ended_as_ever() -> None:
    """With what it wrote."""
    crew = crew_with(Critic(), prints("half") + hangs())

    result = await crew.fleet.spawn(SpawnTask("x", expect=FILE), policy="test")

    assert (causes([result]), result.output) == (["no_activity"], "half\n")


@in_virtual_time
async def test_an_inspector_that_breaks_costs_one_task() -> None:
    """And is no complaint."""

    class Broken(Critic):
        async def complaint(self, *_: Any, **__: Any) -> str | None:
            raise OSError("disk")

    result = await crew_with(Broken(), replies()).fleet.spawn(
        SpawnTask("x", expect=FILE)
    )

    assert causes([result]) == ["unknown"]
    assert "disk" in str(result.error)


@in_virtual_time
async def test_a_plan_expects_too() -> None:
    """Whoever depends on it waits for the amended answer."""
    crew = Crew()
    crew.fleet.context.inspector = Critic(["no"])
    crew.stub.on("a", replies("first"), replies("second"))
    plan = Plan(
        (
            PlanTask("a", "x", agent="a", expect=FILE),
            PlanTask("b", "see {{task.a.output}}", agent="b", depends=("a",)),
        )
    )

    report = await crew.fleet.run_plan(plan, max_retries=0, fallback_to_llm=False)

    assert report.results["a"].retry_count == 1
    assert crew.stub.calls_of("b")[0].request.text == "see second"


def test_the_events_of_a_check() -> None:
    """They are a pair."""
    opened, closed = ToolCallOpened("expect", "expect"), ToolCallClosed("expect")

    assert opened.call_id == closed.call_id
