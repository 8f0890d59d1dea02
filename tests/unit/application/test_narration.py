"""What is told of a batch: to callbacks, to the sink, in the books."""

from typing import Any

import pytest

from muster.domain.fleet_events import (
    AttemptEnded,
    AttemptProgressed,
    AttemptStarted,
    CircuitBlocked,
    FallbackStarted,
    RetryScheduled,
    SilenceWarned,
    TaskEnded,
)
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import SpawnTask
from muster.testing import (
    MemoryJournal,
    RecordingSink,
    announces_retry,
    fails,
    hangs,
    in_virtual_time,
    prints,
    replies,
    waits,
)
from tests.unit.application.crew import Crew, tasks

QUICK = RecoveryPolicy(max_retries=2, base_delay=1.0, jitter="none")


@in_virtual_time
async def test_the_whole_story_of_a_task() -> None:
    """Start, failure, retry, fallback, end: each once, in order, with its numbers."""
    crew = Crew()
    crew.stub.on(lambda request: request.agent == "a", fails("crash"))
    crew.stub.on(lambda request: request.agent is None, replies("saved"))

    await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, "a"), max_retries=1, recovery_policy=QUICK
    )

    assert [type(event) for event in crew.sink.events] == [
        AttemptStarted,
        AttemptEnded,
        RetryScheduled,
        AttemptStarted,
        AttemptEnded,
        FallbackStarted,
        AttemptStarted,
        AttemptEnded,
        TaskEnded,
    ]
    assert [each.attempt for each in crew.sink.of(AttemptStarted)] == [1, 2, 3]
    assert [each.attempt for each in crew.sink.of(AttemptEnded)] == [1, 2, 3]
    assert [each.fallback for each in crew.sink.of(AttemptStarted)] == [0, 0, 1]
    (retry,) = crew.sink.of(RetryScheduled)
    assert (retry.retry, retry.delay) == (1, 1.0)


@in_virtual_time
async def test_a_free_retry_is_no_retry() -> None:
    """It is told as one that changes no count."""
    crew = Crew()
    crew.stub.on("llm", fails("rate_limit"), fails("crash"), replies())

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1), recovery_policy=QUICK
    )

    assert [each.retry for each in crew.sink.of(RetryScheduled)] == [0, 1]
    assert result.retry_count == 1


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        ([replies()], {}, ["Starting", "Completed (0.0s)"]),
        ([fails("auth", "log in")], {}, ["Starting", "Failed (log in)"]),
        (
            [fails("crash"), replies(after=2.0)],
            {},
            ["Starting", "Retrying", "Recovered after 1 retries (3.0s)"],
        ),
        (
            [fails("crash", "boom"), replies()],
            {"max_retries": 0},
            ["Starting", "Fallback to LLM (boom)", "Completed (0.0s)"],
        ),
    ],
)
@in_virtual_time
async def test_progress(
    script: list[Any], options: dict[str, Any], said: list[str]
) -> None:
    """The words that a host gets."""
    crew = Crew(sink=None)
    crew.stub.on("a", *script)
    told: list[tuple[int, int, str, str]] = []

    await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, "a"),
        recovery_policy=QUICK,
        on_progress=lambda *row: told.append(row),
        **options,
    )

    assert told == [(1, 1, "a", each) for each in said]


@pytest.mark.parametrize(
    ("script", "retries", "expected"),
    [
        ([replies()], 1, []),
        ([fails("crash"), replies()], 1, [(1, "a", 1, False)]),
        ([fails("crash"), fails("crash"), replies()], 1, [(1, "a", 1, True)]),
        ([fails("auth")], 1, []),
    ],
)
@in_virtual_time
async def test_recoveries_are_told(
    script: list[Any], retries: int, expected: list[Any]
) -> None:
    """Of tasks that needed it and succeeded."""
    crew = Crew(sink=None)
    crew.stub.on("a", *script)
    told: list[Any] = []

    await crew.fleet.spawn_parallel_with_recovery(
        tasks(1, "a"),
        max_retries=retries,
        recovery_policy=QUICK,
        on_recovery=lambda *row: told.append(row),
    )

    assert told == expected


@in_virtual_time
async def test_the_total_of_a_generator_is_what_was_seen() -> None:
    """Where the number of tasks can't be told, it grows."""
    crew = Crew()
    totals: list[int] = []

    await crew.fleet.spawn_parallel(
        iter(tasks(3)),
        max_concurrent=1,
        on_progress=lambda _, total, *__: totals.append(total),
    )

    assert totals == [1, 1, 2, 2, 3, 3]


@in_virtual_time
async def test_who_is_blocked_is_told_of() -> None:
    """To the sink, even where nobody else listens."""
    crew = Crew()
    crew.stub.on("a", fails("auth"))

    await crew.fleet.spawn_parallel_with_recovery(
        tasks(4, "a"), max_concurrent=1, fallback_to_llm=False
    )

    assert [each.task_index for each in crew.sink.of(CircuitBlocked)] == [2, 3]


@in_virtual_time
async def test_silence_is_warned_of() -> None:
    """At half the limit, with both numbers."""
    crew = Crew()
    crew.stub.on("llm", prints("x") + hangs())

    await crew.fleet.spawn(SpawnTask("x"), policy="test")

    (warning,) = crew.sink.of(SilenceWarned)
    assert (warning.silent_for, warning.limit) == (5.0, 10.0)


@in_virtual_time
async def test_lines_are_progress_where_a_run_has_a_sink() -> None:
    """Each with the bytes so far; without one nobody is told of lines."""
    crew, sink = Crew(), RecordingSink()
    crew.stub.on("a", prints("one", "two") + replies("three"))
    plan = Plan((PlanTask("t", "x", agent="a"),))

    await crew.fleet.run_plan(plan, sink=sink, journal=MemoryJournal())
    await crew.fleet.spawn(SpawnTask("x", "a"))

    lines = [(each.last_line, each.total_bytes) for each in sink.of(AttemptProgressed)]
    assert lines == [("one", 4), ("two", 8), ("three", 13)]
    assert crew.sink.of(AttemptProgressed) == []


@in_virtual_time
async def test_a_host_without_ears_is_told_nothing() -> None:
    """Silence, rate limits and the tool's own retries pass where nobody listens."""
    crew = Crew(sink=None)
    crew.stub.on("llm", announces_retry(1.0) + prints("x") + waits(6) + replies("done"))

    (result,) = await crew.fleet.spawn_parallel_with_recovery(tasks(1), policy="test")
    lone = await crew.fleet.spawn(SpawnTask("x"), policy="test", on_output=str)

    assert result.success
    assert lone.success
    assert crew.faults == []


# --- the books of a tracked batch ---------------------------------------------


@in_virtual_time
async def test_the_books_are_in_the_order_of_the_tasks() -> None:
    """Whoever ended first."""
    crew = Crew()
    for n in range(4):
        crew.stub.on(f"a{n}", fails("crash", after=10.0 - n), replies())
    work = [SpawnTask("x", f"a{n}") for n in range(4)]

    _, metadata = await crew.fleet.spawn_parallel_tracked(work, recovery_policy=QUICK)

    for key in ("retried_tasks", "heartbeat_metrics"):
        assert [row["task_index"] for row in metadata[key]] == [0, 1, 2, 3]
    beat = metadata["heartbeat_metrics"][0]
    assert beat["elapsed_s"] == pytest.approx(10.0)
    assert beat["event_count"] > 0


@in_virtual_time
async def test_who_counts_as_spawned() -> None:
    """Direct calls, ad-hoc names, and what says so itself."""
    crew = Crew()
    work = [
        SpawnTask("x"),
        SpawnTask("x", "dana"),
        SpawnTask("x", "adhoc-1"),
        SpawnTask("x", "made", is_spawn=True),
    ]

    _, metadata = await crew.fleet.spawn_parallel_tracked(work, max_concurrent=1)

    assert metadata["spawned_agents"] == ["llm", "adhoc-1", "made"]
    assert metadata["spawn_count"] == 3


@in_virtual_time
async def test_usage_is_summed_over_attempts() -> None:
    """What a failed attempt cost was paid for, too."""
    from muster.domain.events import UsageReported  # noqa: PLC0415
    from muster.domain.outcome import Usage  # noqa: PLC0415
    from muster.testing import reports  # noqa: PLC0415

    crew = Crew()
    crew.stub.on(
        "llm",
        reports(UsageReported(Usage(10, 1))) + fails("crash"),
        replies(usage=Usage(5, None, cost_usd=0.5)),
    )

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1), recovery_policy=QUICK
    )

    assert result.usage == Usage(15, 1, None, 0.5)
    assert SpawnResult.from_dict(result.to_dict()) == result


@in_virtual_time
async def test_nobody_at_all_listens() -> None:
    """Attempts and results are the same."""
    crew = Crew(sink=None)
    crew.stub.on("llm", prints("x") + fails("crash"), replies("ok"))

    results = await crew.fleet.spawn_parallel(tasks(2), max_concurrent=1)

    assert [each.success for each in results] == [False, True]
    assert crew.fleet.metrics.tasks == 2


@in_virtual_time
async def test_a_free_attempt_after_a_retry_is_no_second_retry() -> None:
    """A limit met by a retry leaves the count where it was."""
    crew = Crew()
    crew.stub.on("llm", fails("crash"), fails("rate_limit"), replies())

    (result,) = await crew.fleet.spawn_parallel_with_recovery(
        tasks(1), recovery_policy=QUICK
    )

    assert (result.success, result.retry_count, len(result.attempts)) == (True, 1, 3)
