"""The engine behind all spawn functions, in virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from muster.domain.outcome import FailureCause
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.spawn_policy import RetryPolicy, SpawnPolicy, TimeoutPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.testing import (
    Behaviour,
    MemoryJournal,
    fails,
    hangs,
    in_virtual_time,
    prints,
    raises,
    replies,
    waits,
)
from tests.unit.application.crew import Crew, causes, tasks

LLM_CLI = ToolSpec("llm-cli", ("llm-cli",), is_agent=True)
QUICK = RecoveryPolicy(max_retries=2, base_delay=1.0, jitter="none")


@in_virtual_time
async def test_results_come_in_input_order() -> None:
    """Whoever is done first, results stand where their tasks stood."""
    crew = Crew()
    for n in range(5):
        crew.stub.on(f"a{n}", replies(f"answer {n}", after=5 - n))

    results = await crew.fleet.spawn_parallel(
        [SpawnTask("go", f"a{n}") for n in range(5)]
    )

    assert [each.output for each in results] == [f"answer {n}" for n in range(5)]
    assert [each.task_index for each in results] == list(range(5))


@pytest.mark.parametrize("limit", [1, 3, 5, 72])
def test_never_more_than_the_limit(limit: int) -> None:
    """At most ``max_concurrent`` agents are alive, and that many are."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        crew.stub.on("a", replies(after=1.0))
        await crew.fleet.spawn_parallel(tasks(80, "a"), max_concurrent=limit)
        assert crew.stub.peak_active == limit

    check()


@pytest.mark.parametrize(
    ("limit", "error", "complaint"),
    [
        (0, ValueError, "at least 1"),
        (-1, ValueError, "at least 1"),
        (True, TypeError, "whole number"),
    ],
)
@in_virtual_time
async def test_no_room_for_anybody_is_an_error(
    limit: int, error: type[Exception], complaint: str
) -> None:
    """A limit below 1 is refused at once instead of waiting for ever."""
    with pytest.raises(error, match=complaint):
        await Crew().fleet.spawn_parallel(tasks(1), max_concurrent=limit)


@in_virtual_time
async def test_no_tasks_no_results() -> None:
    """Nothing to do is done."""
    assert await Crew().fleet.spawn_parallel([]) == []


@in_virtual_time
async def test_what_an_adapter_raises_fails_one_task_only() -> None:
    """A foreign exception becomes that task's failed result, its message kept."""
    crew = Crew()
    crew.stub.on("bad", raises(RuntimeError("boom")))

    good, bad = await crew.fleet.spawn_parallel(
        [SpawnTask("x", "good"), SpawnTask("x", "bad")]
    )

    assert good.success
    assert (bad.success, bad.exit_code) == (False, -1)
    assert "boom" in str(bad.error)


@in_virtual_time
async def test_a_cancellation_passes_and_leaves_nobody() -> None:
    """Who cancels the call gets CancelledError, and no agent is active after it."""
    crew = Crew()
    crew.stub.on("a", hangs())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await crew.fleet.spawn_parallel(tasks(9, "a"), policy="development")

    assert crew.stub.active == 0
    assert crew.fleet.context.active == set()


@in_virtual_time
async def test_spawn_makes_exactly_one_attempt() -> None:
    """The functions without recovery never try twice."""
    crew = Crew()
    crew.stub.on("a", fails("network"))

    result = await crew.fleet.spawn(SpawnTask("x", "a"))

    assert len(crew.stub.calls) == len(result.attempts) == 1
    assert result.retry_count == 0


@in_virtual_time
async def test_progress_is_told_and_its_errors_are_ignored() -> None:
    """A callback that raises costs no result and is logged."""
    crew = Crew()
    said: list[tuple[int, int, str, str]] = []

    def on_progress(index: int, total: int, agent: str, status: str) -> None:
        said.append((index, total, agent, status))
        raise RuntimeError("callback broke")

    results = await crew.fleet.spawn_parallel(
        tasks(2, "a"), on_progress=on_progress, max_concurrent=1
    )

    assert all(each.success for each in results)
    assert [(row[0], row[1], row[3].split(" ")[0]) for row in said] == [
        (1, 2, "Starting"),
        (1, 2, "Completed"),
        (2, 2, "Starting"),
        (2, 2, "Completed"),
    ]
    assert len(crew.faults) == 4


@pytest.mark.parametrize(
    ("script", "calls", "success", "path"),
    [
        ([replies("ok")], 1, True, []),
        ([fails("network"), replies("ok")], 2, True, ["retry:1"]),
        ([fails("crash"), fails("crash"), replies("ok")], 3, True, None),
        ([fails("crash").times(3), replies("ok")], 4, True, None),
        ([fails("crash")], 4, False, ["retry:1", "retry:2", "fallback"]),
        ([fails("auth")], 1, False, []),
        ([fails("invalid_model")], 1, False, []),
        ([fails("context_length")], 1, False, []),
        ([fails("quota")], 1, False, []),
        ([fails("not_found"), replies("ok")], 2, True, ["fallback"]),
    ],
)
def test_the_way_of_a_task(
    script: list[Behaviour],
    calls: int,
    success: bool,  # noqa: FBT001
    path: list[str] | None,
) -> None:
    """Retries help what time can help; the fallback comes last; the permanent ends."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        crew.stub.on("a", *script)
        crew.stub.on("llm", *script[-1:])
        (result,) = await crew.fleet.spawn_parallel_with_recovery(
            [SpawnTask("x", "a")],
            recovery_policy=QUICK,
            policy=SpawnPolicy.development(),
        )
        assert len(result.attempts) == len(crew.stub.calls) == calls
        assert result.success is success
        if path is not None:
            assert result.recovery_path == path

    check()


@in_virtual_time
async def test_the_fallback_keeps_the_name_of_the_agent() -> None:
    """After the last attempt the same tool is asked without a persona, once."""
    crew = Crew()
    crew.stub.on(lambda request: request.agent == "a", fails("crash"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "a")], max_retries=0, fallback_to_llm=True
    )

    assert (result.success, result.fallback) == (True, True)
    assert (result.agent, result.original_agent) == ("a", "a")
    assert [each.agent for each in result.attempts] == ["a", None]


@in_virtual_time
async def test_nobody_falls_back_to_itself() -> None:
    """An ad-hoc task has no fallback."""
    crew = Crew()
    crew.stub.on("llm", fails("crash"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x")], max_retries=0, fallback_to_llm=True
    )

    assert (result.success, result.fallback, len(crew.stub.calls)) == (False, False, 1)


@in_virtual_time
async def test_waiting_for_a_retry_holds_no_slot() -> None:
    """While one task waits for its second try, others use the only slot."""
    crew = Crew()
    crew.stub.on("bad", fails("crash"), replies("late"))
    crew.stub.on("good", replies("soon", after=1.0))
    policy = RecoveryPolicy(max_retries=1, base_delay=60.0, max_delay=60, jitter="none")
    work = [SpawnTask("x", "bad"), *(SpawnTask("x", "good") for _ in range(20))]

    results = await crew.fleet.spawn_parallel_with_recovery(
        work, recovery_policy=policy, max_concurrent=1
    )

    assert all(each.success for each in results)
    assert asyncio.get_running_loop().time() == pytest.approx(60.0, abs=1.0)


@in_virtual_time
async def test_a_retry_after_is_a_floor() -> None:
    """Nobody asks again before the backend said so, however short the back-off is."""
    crew = Crew()
    crew.stub.on("a", fails("overloaded", retry_after=30.0), replies("ok"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "a")], recovery_policy=QUICK
    )

    assert result.success
    assert result.attempts[1].delay_before == 30.0


@in_virtual_time
async def test_a_rate_limit_before_any_output_costs_no_retry() -> None:
    """Who was turned away at the door did not try."""
    crew = Crew()
    crew.stub.on("a", fails("rate_limit").times(3), replies("ok"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "a", timeout=500.0)], max_retries=0, fallback_to_llm=False
    )

    assert result.success
    assert (result.retry_count, len(result.attempts)) == (0, 4)


@in_virtual_time
async def test_one_deadline_spans_all_attempts() -> None:
    """A task's timeout is over when it is over, whichever attempt is running."""
    crew = Crew()
    crew.stub.on("a", prints("working") + waits(6) + fails("crash"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "a", timeout=10.0)], recovery_policy=QUICK
    )

    assert result.failure is not None
    assert result.failure.cause is FailureCause.DEADLINE
    assert result.execution_time == pytest.approx(10.0)
    assert result.output == "working\n"


@pytest.mark.parametrize(
    ("policy", "script", "cause", "seconds"),
    [
        (SpawnPolicy.test(), hangs(), "no_activity", 10.0),
        (SpawnPolicy.test(), prints("hi") + hangs(), "no_activity", 10.0),
        (SpawnPolicy.development(), hangs(), "timeout", 1800.0),
        (SpawnPolicy.production(), prints("x" * 200) + hangs(), "timeout", 120.0),
        (SpawnPolicy.default(), prints("hi") + hangs(), "no_activity", 30.0),
    ],
)
def test_who_is_silent_is_ended(
    policy: SpawnPolicy, script: Behaviour, cause: str, seconds: float
) -> None:
    """Each preset ends a hanging agent at its own moment, by its own name."""

    @in_virtual_time
    async def check() -> None:
        crew = Crew()
        crew.stub.on("a", script)
        result = await crew.fleet.spawn(SpawnTask("x", "a"), policy=policy)
        assert causes([result]) == [cause]
        assert result.execution_time == pytest.approx(seconds)
        assert result.termination_reason == result.error

    check()


@in_virtual_time
async def test_a_talking_agent_gets_more_time() -> None:
    """A progressive limit moves while there is output, up to the maximum."""
    crew = Crew()
    talk = prints("a") + waits(1)
    script = talk
    for _ in range(60):
        script += talk
    crew.stub.on("a", script + hangs())
    timeout = TimeoutPolicy(
        initial_timeout=4, max_timeout=12, extension_threshold=2, no_activity_timeout=3
    )

    result = await crew.fleet.spawn(
        SpawnTask("x", "a"), policy=SpawnPolicy(timeout=timeout)
    )

    assert causes([result]) == ["timeout"]
    assert (result.execution_time, result.timeout_extended) == (12.0, True)


@in_virtual_time
async def test_two_failures_open_the_circuit_for_the_others() -> None:
    """Blocked tasks start nothing, say why, and go straight to the fallback."""
    crew = Crew()
    crew.stub.on(lambda request: request.agent == "a", fails("crash"))

    results, metadata = await crew.fleet.spawn_parallel_tracked(
        tasks(6, "a"), max_concurrent=1, max_retries=0
    )

    assert all(each.success and each.fallback for each in results)
    assert metadata["circuit_blocked_count"] == 4
    assert metadata["fallback_count"] == 6
    assert "Circuit open: 2 failures" in metadata["circuit_blocked"][0]["reason"]
    assert metadata["circuit_blocked"][0]["health_status"]["state"] == "open"


@in_virtual_time
async def test_metadata_is_true() -> None:
    """Every key of the metadata says what really happened."""
    crew = Crew()
    crew.stub.on("fine", replies())
    crew.stub.on("slow", hangs())
    crew.stub.on("shaky", fails("crash"), replies())

    results, metadata = await crew.fleet.spawn_parallel_tracked(
        [SpawnTask("x", name) for name in ("fine", "slow", "shaky")] + [SpawnTask("x")],
        policy="test",
        max_retries=1,
        fallback_to_llm=False,
        recovery_policy=RecoveryPolicy(max_retries=1, fallback_to_llm=False),
    )

    assert causes(results) == [None, "no_activity", None, None]
    assert {key: metadata[key] for key in ("total_tasks", "failed_tasks")} == {
        "total_tasks": 4,
        "failed_tasks": 1,
    }
    assert (metadata["spawn_count"], metadata["spawned_agents"]) == (1, ["llm"])
    assert {row["agent_id"] for row in metadata["retried_tasks"]} == {"slow", "shaky"}
    early = metadata["early_terminations"]
    assert [row["agent_id"] for row in early] == ["slow", "slow"]
    assert early[0]["detection_time"] == pytest.approx(10_000)
    assert len(metadata["heartbeat_metrics"]) == 4
    assert metadata["total_duration_ms"] == pytest.approx(20_000, abs=2_000)


@in_virtual_time
async def test_stagger_spaces_starts_and_holds_no_slot() -> None:
    """40 instant tasks, 50 ms apart, take 2 s however few the slots are."""
    crew = Crew()

    await crew.fleet.spawn_parallel_tracked(tasks(40), stagger_delay=0.05)

    starts = [call.started_at for call in crew.stub.calls]
    assert max(starts) == pytest.approx(39 * 0.05)


@in_virtual_time
async def test_the_global_timeout_returns_what_is_there() -> None:
    """At the batch's end the finished is kept, the rest says deadline, nothing raises."""
    crew = Crew()
    crew.stub.on("fast", replies("done"))
    crew.stub.on("slow", prints("half") + hangs())

    results, _ = await crew.fleet.spawn_parallel_tracked(
        [SpawnTask("x", name) for name in ("fast", "slow", "slow", "slow")],
        max_concurrent=2,
        policy="development",
        global_timeout=5.0,
    )

    assert causes(results) == [None, "deadline", "deadline", "deadline"]
    assert results[1].output == "half\n"
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("count", "limit", "stagger", "expected"),
    [(1, 4, 0.0, 45.0), (5, 4, 0.0, 90.0), (8, 4, 1.0, 98.0)],
)
@in_virtual_time
async def test_default_global_timeout(
    count: int, limit: int, stagger: float, expected: float
) -> None:
    """The longest hard timeout x 1.5 per wave, plus the stagger."""
    crew = Crew()
    crew.stub.on("llm", hangs())
    never = TimeoutPolicy(
        mode="fixed", timeout=30, first_output_timeout=None, no_activity_timeout=None
    )

    await crew.fleet.spawn_parallel_tracked(
        tasks(count),
        max_concurrent=limit,
        stagger_delay=stagger,
        recovery_policy=RecoveryPolicy(max_retries=50, fallback_to_llm=False),
        policy=SpawnPolicy(timeout=never, retry=RetryPolicy(max_attempts=50)),
    )

    assert asyncio.get_running_loop().time() == pytest.approx(expected)


@in_virtual_time
async def test_auth_failures_park_the_rest_of_the_run() -> None:
    """Three logins in a row that fail stop an agent tool's lane; the queue is kept."""
    crew = Crew()
    crew.stub.on("llm", fails("auth"))

    results, _ = await crew.fleet.spawn_parallel_tracked(
        tasks(10, tool=LLM_CLI), max_concurrent=1
    )

    assert causes(results) == ["auth"] * 3 + ["parked"] * 7
    assert "log in" in str(results[-1].error)


@in_virtual_time
async def test_results_are_recorded_before_they_are_seen() -> None:
    """A result that the journal can't keep is shown to nobody as done."""
    journal = MemoryJournal()
    crew = Crew(journal=journal)
    seen: list[int] = []

    def on_progress(index: int, total: int, agent: str, status: str) -> None:
        if status.startswith("Completed"):
            seen.append(len(journal.results))

    await crew.fleet.spawn_parallel(tasks(4), on_progress=on_progress, max_concurrent=1)

    assert seen == [1, 2, 3, 4]


@in_virtual_time
async def test_drain_and_stop() -> None:
    """Drain starts nothing new; stop also ends what runs, with its output kept."""
    crew = Crew()
    crew.stub.on("llm", prints("half") + waits(10) + replies("whole"))
    loop = asyncio.get_running_loop()
    loop.call_later(5, crew.fleet.drain, "first")
    loop.call_later(12, crew.fleet.stop, "second")

    results = await crew.fleet.spawn_parallel(
        tasks(6), max_concurrent=2, policy="development"
    )

    assert causes(results) == [None, None, *["cancelled"] * 4]
    assert loop.time() == 10.0


@in_virtual_time
async def test_stop_ends_what_runs() -> None:
    """Whoever runs is ended and keeps what it wrote."""
    crew = Crew()
    crew.stub.on("llm", prints("half") + hangs())
    asyncio.get_running_loop().call_later(5, crew.fleet.stop, "enough")

    results = await crew.fleet.spawn_parallel(
        tasks(3), max_concurrent=2, policy="development"
    )

    assert causes(results) == ["cancelled"] * 3
    assert [each.output for each in results] == ["half\n", "half\n", ""]


@in_virtual_time
async def test_a_stream_needs_no_list() -> None:
    """A million tasks from a generator never stand in memory together."""
    crew = Crew()
    asked: list[int] = []

    def endless() -> Any:
        for n in range(10_000):
            asked.append(n)
            yield SpawnTask(f"{n}")

    got = 0
    async for result in crew.fleet.spawn_stream(endless(), max_concurrent=4):
        assert result.success
        got += 1
        assert len(asked) <= got + 4 + 64 + 4

    assert got == 10_000


@in_virtual_time
async def test_two_fleets_share_nothing() -> None:
    """What one fleet learns is no news to another."""
    one, other = Crew(), Crew()
    one.stub.on("a", fails("crash"))

    await one.fleet.spawn_parallel_tracked(tasks(4, "a"), max_retries=0)

    assert one.fleet.health_status("a")["state"] == "open"
    assert other.fleet.health_status("a")["state"] == "closed"
    assert other.fleet.metrics.attempts == 0


@in_virtual_time
async def test_metrics_are_fed() -> None:
    """A fleet's metrics count what really happened."""
    crew = Crew()
    crew.stub.on("shaky", fails("network"), replies())
    crew.stub.on("bad", fails("auth"))

    await crew.fleet.spawn_parallel_with_recovery(
        [SpawnTask("x", "shaky"), SpawnTask("x", "bad"), SpawnTask("x", "good")],
        recovery_policy=QUICK,
    )

    metrics = crew.fleet.metrics
    assert (metrics.attempts, metrics.retries, metrics.fallbacks) == (4, 1, 0)
    assert metrics.success_rate() == pytest.approx(200 / 3)
    assert metrics.recovery_rate() == 50.0
    assert metrics.by_cause == {FailureCause.NETWORK: 1, FailureCause.AUTH: 1}
    assert metrics.mean_recovery_time() == pytest.approx(1.0)


@in_virtual_time
async def test_sequential_tasks_see_what_came_before() -> None:
    """Each next prompt carries the outputs before it."""
    crew = Crew()
    crew.stub.on("llm", replies(lambda request: f"<{request.text.split()[-1]}>"))

    results = await crew.fleet.spawn_sequential([SpawnTask("one"), SpawnTask("two")])

    assert [each.output for each in results] == ["<one>", "<<one>>"]
    assert "Previous context:" in crew.stub.calls[1].request.text


@pytest.mark.parametrize(
    ("options", "count"), [({}, 3), ({"stop_on_failure": True}, 2)]
)
@in_virtual_time
async def test_sequential_may_stop(options: dict[str, Any], count: int) -> None:
    """With ``stop_on_failure`` nothing follows a failure."""
    crew = Crew()
    crew.stub.on("b", fails("crash"))
    work = [SpawnTask("x", name) for name in "abc"]

    results = await crew.fleet.spawn_sequential(work, **options)

    assert len(results) == count


def test_a_fleet_belongs_to_one_loop() -> None:
    """Used from another loop, a fleet says so instead of hanging."""
    from muster.domain.errors import OrchestratorError  # noqa: PLC0415

    crew = Crew()

    async def once() -> None:
        await crew.fleet.spawn(SpawnTask("x"))

    asyncio.run(once())
    with pytest.raises(OrchestratorError, match="another event loop"):
        asyncio.run(once())


@pytest.mark.parametrize("signal", [SystemExit, KeyboardInterrupt])
def test_a_callback_may_end_the_host(signal: Callable[[], BaseException]) -> None:
    """SystemExit from a callback is the host's wish; nobody stays active."""
    crew = Crew()
    crew.stub.on("llm", replies(after=0.01))

    def on_progress(*_: object) -> None:
        raise signal()

    async def main() -> None:
        await crew.fleet.spawn_parallel(tasks(3), on_progress=on_progress)

    with pytest.raises((SystemExit, KeyboardInterrupt, BaseExceptionGroup)):
        asyncio.run(main())
    assert crew.stub.active == 0
