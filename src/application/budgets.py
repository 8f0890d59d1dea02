"""What a batch and each of its tasks may use up: asked before every attempt, told after it.

Who finds no room waits for attempts in flight, which may use less than is reserved for
them. When nothing could make room any more, the whole batch is drained.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from attrs import define, field

from muster.application.batch import BatchOptions, Job, Route
from muster.application.supervision import Attempt
from muster.domain import presets
from muster.domain.budget import FREE, Budget, BudgetLimits, Cost, Refused, Reservation
from muster.domain.outcome import Failure, FailureCause, Usage

_TICK = 1e-6


@define(eq=False)
class Budgets:
    """The budgets of one batch. ``drain`` is called once its own is used up."""

    limits: BudgetLimits
    options: BatchOptions
    drain: Callable[[Failure], object]
    batch: Budget | None = field(default=None, init=False)
    reached: str | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _waiting: set[asyncio.Future[None]] = field(factory=set, init=False)
    _is_closed: bool = field(default=False, init=False)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While the batch runs; its minutes begin here."""
        self._open()
        try:
            yield
        finally:
            self.close()

    def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self.limits.are_none:
            return
        options, now = self.options, self._loop.time()
        usual = _usual(options.costs)
        budget = self.batch = Budget(self.limits, now, options.spent, usual)
        if self.limits.minutes is not None:
            due = budget.started_at + self.limits.minutes * 60
            self._timer = self._loop.call_at(due, self._out_of_time, due)

    def close(self) -> None:
        """Nothing more is started: nobody waits for room any longer."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def watch(self, job: Job) -> bool:
        """Whether an attempt of the job needs room in a budget."""
        return self.batch is not None or job.task.limits is not None

    async def reserve(self, job: Job, route: Route) -> Failure | None:
        """Makes room for an attempt. Without a failure there may still be none: when
        the batch was closed, or the job's deadline has passed, while it waited.
        """
        expected = self._expected(job, route)
        while not self._is_closed and self._loop.time() < job.deadline_at:
            refused = self._try(job, expected)
            if refused is None:
                return None
            budget, refusal = refused
            if not refusal.may_pass:
                return self._refuse(budget, refusal)
            await self._news(job.deadline_at)
        return None

    def observe(self, job: Job, usage: Usage) -> None:
        """An agent has told what it used so far.

        Past the limit of the batch nothing new is started. Past the limit of its own
        task it is ended, unless it is just done.
        """
        if job.held and job.running is not None:
            usage = job.running.usage or usage  # with its price
        for budget, reservation in job.held:
            over = budget.note(reservation, usage)
            if over is None:
                continue
            failure = self._refuse(budget, over)
            if budget is job.budget and job.overdrawn is None:
                grace = presets.BUDGET_GRACE
                job.overdrawn = self._loop.call_later(grace, _end, job, failure)

    def settle(self, job: Job, attempt: Attempt) -> None:
        """The attempt is over, and has used what it told."""
        if attempt.was_refused:
            self.release(job)
            return
        for budget, reservation in _taken(job):
            budget.settle(reservation, attempt.usage)
        self._wake()

    def release(self, job: Job) -> None:
        """What the job still holds goes back: nothing was started."""
        for budget, reservation in _taken(job):
            budget.release(reservation)
        self._wake()

    def account(self) -> dict[str, Any] | None:
        """Limits and what was used, as JSON-ready values; None where nothing is watched."""
        budget = self.batch
        if budget is None:
            return None
        spent = budget.spent(self._loop.time())
        return {
            "limits": self.limits.to_dict(),
            "reached": self.reached,
            "agents": spent.agents,
            "minutes": round(spent.minutes, 4),
            "tokens": round(spent.tokens) if spent.tokens_known else None,
            "usd": round(spent.usd, 6) if spent.usd_known else None,
        }

    # --- how --------------------------------------------------------------------

    def _expected(self, job: Job, route: Route) -> Cost | None:
        if not route.spec.is_agent and route.spec.output == "text":
            # A program, which uses no model.
            return FREE
        return self.options.costs.get(job.task.task_id or "")

    def _try(self, job: Job, expected: Cost | None) -> tuple[Budget, Refused] | None:
        now, limits = self._loop.time(), job.task.limits
        if job.budget is None and limits is not None:
            job.budget = Budget(limits, now)
        held: list[tuple[Budget, Reservation]] = []
        for budget in (job.budget, self.batch):
            if budget is None:
                continue
            answer = budget.reserve(now, expected)
            if isinstance(answer, Refused):
                for other, reservation in held:
                    other.release(reservation)
                return budget, answer
            held.append((budget, answer))
        job.held = tuple(held)
        return None

    def _refuse(self, budget: Budget, refusal: Refused) -> Failure:
        if budget is not self.batch:
            text = f"budget of the task reached: {refusal.reason}; raise its limits"
            return Failure(FailureCause.BUDGET, f"{text} to go on")
        failure = Failure(FailureCause.BUDGET, refusal.message)
        if self.reached is None:
            self.reached = refusal.limit
        self.drain(failure)
        return failure

    def _out_of_time(self, due: float) -> None:
        budget = self.batch
        if budget is None:
            return
        # A timer may fire a tick of the clock before its moment.
        refusal = budget.out_of_time(max(due, self._loop.time()) + _TICK)
        if refusal is not None:
            self._refuse(budget, refusal)

    async def _news(self, deadline_at: float) -> None:
        news: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(news)
        try:
            async with asyncio.timeout_at(_moment(deadline_at)):
                await news
        except TimeoutError:
            return
        finally:
            self._waiting.discard(news)

    def _wake(self) -> None:
        for news in self._waiting:
            if not news.done():
                news.set_result(None)


def _taken(job: Job) -> Iterator[tuple[Budget, Reservation]]:
    if job.overdrawn is not None:
        job.overdrawn.cancel()
        job.overdrawn = None
    held, job.held = job.held, ()
    return iter(held)


def _end(job: Job, failure: Failure) -> None:
    if job.running is not None:
        job.running.accuse(failure)


def _usual(costs: Mapping[str, Cost]) -> Cost:
    tokens = [each.tokens for each in costs.values() if each.tokens is not None]
    usd = [each.usd for each in costs.values() if each.usd is not None]
    return Cost(
        fmean(tokens) if tokens else None,
        fmean(usd) if usd else None,
    )


def _moment(deadline_at: float) -> float | None:
    return None if deadline_at == float("inf") else deadline_at
