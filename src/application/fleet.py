"""The host application's handle: one fleet, its functions, its memory."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Literal, Self

from attrs import define, field

from muster.application.arguments import (
    Config,
    at_least_one,
    batch_limit,
    chosen,
    configured,
    in_sequence,
    length,
    not_negative,
    recovery_of,
    seconds,
)
from muster.application.batch import (
    BatchOptions,
    Job,
    OnOutput,
    OnProgress,
    OnRecovery,
    Tally,
)
from muster.application.fleet_context import FleetContext
from muster.application.plan_execution import PlanExecution, PlanOptions, RunOfPlan
from muster.application.ports.event_sink import EventSink
from muster.application.ports.journal import Journal
from muster.application.resumption import identify
from muster.application.spawning import Spawning
from muster.application.streaming import stream
from muster.domain import presets
from muster.domain.budget import BudgetLimits, Cost, Spent
from muster.domain.errors import OrchestratorError
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.plan import Plan
from muster.domain.recovery_metrics import RecoveryMetrics
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.run_report import RunReport
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import SpawnTask, budget_limits
from muster.domain.tool import ToolSpec


@define(eq=False)
class FleetEngine:
    """Runs agents for one host. Leave its ``async with`` and nothing is left behind.

    Every method belongs to the event loop in which the fleet was opened.
    """

    context: FleetContext
    closing: AsyncExitStack = field(factory=AsyncExitStack)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends whatever still runs. Calling it again does nothing."""
        self.stop("the fleet was closed")
        self.context.first_looks.close()
        await self.closing.aclose()

    @property
    def metrics(self) -> RecoveryMetrics:
        """What this fleet has been through so far."""
        return self.context.metrics

    def health_status(self, agent: str) -> dict[str, Any]:
        """How the circuit of an agent stands."""
        return self.context.breaker_health(agent)

    def drain(self, reason: str = "interrupted") -> None:
        """Starts nothing new; what runs may finish."""
        failure = Failure(FailureCause.CANCELLED, f"not started: {reason}")
        self.context.interruptions.append(reason)
        for batch in tuple(self.context.active):
            batch.drain(failure)

    def stop(self, reason: str = "interrupted") -> None:
        """Starts nothing new and ends what runs, with the grace of each policy."""
        failure = Failure(FailureCause.CANCELLED, f"ended: {reason}")
        self.context.interruptions.append(reason)
        for batch in tuple(self.context.active):
            batch.stop(failure)

    # --- the functions ----------------------------------------------------------

    async def spawn(
        self,
        task: SpawnTask,
        *,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        policy: SpawnPolicy | str | None = None,
        config: Config | None = None,
        on_output: OnOutput | None = None,
    ) -> SpawnResult:
        """Exactly one attempt. ``on_output`` gets each line of stdout while it runs."""
        options = BatchOptions(
            max_concurrent=1,
            tool=tool,
            model=model,
            policy=policy,
            on_output=on_output,
            total=1,
        )
        (result,) = await self._collect([task], configured(options, config))
        return result

    async def spawn_parallel(
        self,
        tasks: Iterable[SpawnTask],
        *,
        max_concurrent: int = presets.MAX_CONCURRENT,
        on_progress: OnProgress | None = None,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        policy: SpawnPolicy | str | None = None,
        config: Config | None = None,
        on_output: OnOutput | None = None,
    ) -> list[SpawnResult]:
        """One attempt each, at most ``max_concurrent`` alive; results in input order."""
        options = BatchOptions(
            max_concurrent=at_least_one(max_concurrent),
            tool=tool,
            model=model,
            policy=policy,
            on_progress=on_progress,
            on_output=on_output,
            total=length(tasks),
        )
        return await self._collect(tasks, configured(options, config))

    async def spawn_stream(
        self,
        tasks: Iterable[SpawnTask],
        *,
        max_concurrent: int = presets.MAX_CONCURRENT,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        policy: SpawnPolicy | str | None = None,
        recovery_policy: RecoveryPolicy | None = None,
    ) -> AsyncIterator[SpawnResult]:
        """Results as they come, from any iterable, in bounded memory.

        Starting pauses while the consumer is more than a few results behind.
        After `drain` or `stop` what was begun ends, and nothing more is drawn. With a
        ``recovery_policy`` tasks are retried. Close the iterator (or exhaust it) to
        end what runs.
        """
        options = BatchOptions(
            max_concurrent=at_least_one(max_concurrent),
            tool=tool,
            model=model,
            policy=policy,
            recovers=recovery_policy is not None,
            recovery=recovery_policy,
        )
        context = self._ready()
        context.policy(policy)
        async with aclosing(stream(context, options, tasks)) as results:
            async for result in results:
                yield result

    async def spawn_parallel_with_recovery(
        self,
        tasks: Iterable[SpawnTask],
        *,
        max_retries: int | None = None,
        fallback_to_llm: bool | None = None,
        recovery_policy: RecoveryPolicy | None = None,
        on_recovery: OnRecovery | None = None,
        max_concurrent: int = presets.MAX_CONCURRENT,
        on_progress: OnProgress | None = None,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        policy: SpawnPolicy | str | None = None,
        config: Config | None = None,
        on_output: OnOutput | None = None,
    ) -> list[SpawnResult]:
        """Retries, then falls back to a direct call; results in input order."""
        options = BatchOptions(
            max_concurrent=at_least_one(max_concurrent),
            tool=tool,
            model=model,
            policy=policy,
            recovers=True,
            recovery=recovery_policy or recovery_of(config),
            retries=not_negative(max_retries),
            fallback=fallback_to_llm,
            on_progress=on_progress,
            on_recovery=on_recovery,
            on_output=on_output,
            total=length(tasks),
        )
        return await self._collect(tasks, configured(options, config))

    async def spawn_parallel_tracked(
        self,
        tasks: Iterable[SpawnTask],
        *,
        max_concurrent: int = presets.MAX_CONCURRENT_TRACKED,
        stagger_delay: float = presets.STAGGER_DELAY,
        policy: SpawnPolicy | str | None = presets.TRACKED_POLICY,
        global_timeout: float | None = None,
        fallback_to_llm: bool = True,
        max_retries: int | None = None,
        recovery_policy: RecoveryPolicy | None = None,
        on_progress: OnProgress | None = None,
        on_recovery: OnRecovery | None = None,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        config: Config | None = None,
        on_output: OnOutput | None = None,
    ) -> tuple[list[SpawnResult], dict[str, Any]]:
        """Results in input order, and the true story of the batch in numbers.

        After ``global_timeout`` seconds what is finished is returned and the
        rest fails with cause ``deadline``; nothing is raised.
        """
        tasks = list(tasks)
        given = recovery_policy or recovery_of(config)
        options = BatchOptions(
            max_concurrent=at_least_one(max_concurrent),
            tool=tool,
            model=model,
            policy=policy,
            recovers=True,
            recovery=given,
            retries=not_negative(max_retries),
            fallback=None if given else fallback_to_llm,
            stagger=seconds("stagger_delay", stagger_delay) or 0.0,
            on_progress=on_progress,
            on_recovery=on_recovery,
            on_output=on_output,
            total=len(tasks),
        )
        options = configured(options, config)
        limit = seconds("global_timeout", global_timeout)
        if limit is None:
            limit = batch_limit(tasks, options, self.context.policy)
        tally = Tally(self.health_status, self.context.breaker.is_adhoc)
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        results = await self._collect(tasks, options, books=tally, limit=limit)
        return results, tally.metadata(loop.time() - started_at)

    async def spawn_sequential(
        self,
        tasks: Iterable[SpawnTask],
        *,
        pass_context: bool = True,
        stop_on_failure: bool = False,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        policy: SpawnPolicy | str | None = None,
        config: Config | None = None,
        on_output: OnOutput | None = None,
    ) -> list[SpawnResult]:
        """One after the other; each prompt carries the outputs before it."""
        found: dict[int, SpawnResult] = {}
        options = BatchOptions(
            max_concurrent=1,
            tool=tool,
            model=model,
            policy=policy,
            on_output=on_output,
            total=length(tasks),
        )
        options = configured(options, config)
        following = in_sequence(
            tasks, found, pass_context=pass_context, stop_on_failure=stop_on_failure
        )
        return await self._collect(following, options, found=found)

    async def run_plan(
        self,
        plan: Plan,
        *,
        max_concurrent: int = presets.MAX_CONCURRENT,
        only: Iterable[str] | None = None,
        waves: bool = False,
        fail_fast: bool = False,
        on_dependency_failure: Literal["fail", "continue"] = "fail",
        deadline: float | None = None,
        fallback_to_llm: bool = True,
        max_retries: int | None = None,
        recovery_policy: RecoveryPolicy | None = None,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        policy: SpawnPolicy | str | None = None,
        journal: Journal | None = None,
        known: Mapping[str, SpawnResult] | None = None,
        estimates: Mapping[str, float] | None = None,
        sink: EventSink | None = None,
        on_progress: OnProgress | None = None,
        limits: BudgetLimits | None = None,
        spent: Spent | None = None,
        costs: Mapping[str, Cost] | None = None,
    ) -> RunReport:
        """Runs a plan as dataflow, with recovery; every task that is run has a result.

        ``deadline`` in seconds ends the run; what is finished is kept. With a
        ``journal`` each result is durable before anybody sees it. ``known`` are
        results from before, by task id: those tasks are not run, and their results
        are part of the report. ``estimates`` in seconds by id say what takes long.
        ``limits`` (None: the fleet's) are the budget of the run, ``spent`` counts
        against it, ``costs`` by id say what one attempt used before.
        """
        options = BatchOptions(
            max_concurrent=at_least_one(max_concurrent),
            tool=tool,
            model=model,
            policy=policy,
            recovers=True,
            recovery=recovery_policy,
            retries=not_negative(max_retries),
            fallback=None if recovery_policy else fallback_to_llm,
            on_progress=on_progress,
            limits=budget_limits(limits),
            spent=spent,
            costs=costs or {},
        )
        context = self._ready()
        context.policy(policy)
        if journal is not None:
            context = context.for_run(journal, sink)
        elif sink is not None:
            context = context.with_sink(sink)
        plan_options = PlanOptions(
            only=chosen(plan, only),
            waves=waves,
            fail_fast=fail_fast,
            on_dependency_failure=on_dependency_failure,
            estimates=estimates or {},
        )
        log = context.attempt_log
        if log is not None and log.identities is None:
            log.identities = identify(plan, context, tool=tool, model=model)
        execution = PlanExecution(
            context, plan, plan_options, options, known=known or {}
        )
        limit = seconds("deadline", deadline)
        return await RunOfPlan(context, execution, limit).run()

    # --- how --------------------------------------------------------------------

    async def _collect(
        self,
        tasks: Iterable[SpawnTask],
        options: BatchOptions,
        *,
        books: Tally | None = None,
        limit: float | None = None,
        found: dict[int, SpawnResult] | None = None,
    ) -> list[SpawnResult]:
        found = {} if found is None else found

        def deliver(job: Job, result: SpawnResult) -> None:
            found[job.index] = result

        context = self._ready()
        context.policy(options.policy)
        batch = Spawning(context, options, deliver, books)
        timer = None
        if limit is not None:
            failure = Failure(
                FailureCause.DEADLINE, f"Deadline: the batch took over {limit:g} s"
            )
            loop = asyncio.get_running_loop()
            timer = loop.call_later(limit, batch.stop, failure)
        try:
            await batch.run(tasks)
        finally:
            if timer is not None:
                timer.cancel()
        return [found[index] for index in range(len(found))]

    def _ready(self) -> FleetContext:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise OrchestratorError(
                "this fleet was opened in another event loop; open one fleet per "
                "loop (`async with Fleet.open()`)"
            )
        return self.context
