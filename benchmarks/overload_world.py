"""A world on a virtual clock: sick backends, and fleets that call them.

The fleets use the objects that muster itself uses: `Lane`, `CircuitBreaker`,
`RetryBudget`, `RetryPolicy`.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from muster.domain.circuit_breaker import Blocked, CircuitBreaker, Outcome, Permit
from muster.domain.lane import Admitted, Lane, Wait
from muster.domain.outcome import Failure, FailureCause
from muster.domain.retry_budget import RetryBudget
from muster.domain.spawn_policy import RetryPolicy

Done = Callable[[Failure | None], None]
TIMEOUT = Failure(FailureCause.TIMEOUT, "no answer")
REFUSED = Failure(FailureCause.NETWORK, "connection refused")
FULL = Failure(FailureCause.OVERLOADED, "overloaded")
BROKEN = Failure(FailureCause.SERVER_ERROR, "500")
BUCKET = 60.0  # seconds over which goodput is averaged
EPOCH = 1.7e9


@define(eq=False)
class World:
    """The virtual clock and what will happen on it."""

    seed: int = 1
    now: float = 0.0
    events: list[Any] = field(factory=list)
    count: int = 0
    chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 (a simulation)

    def after(self, delay: float, act: Callable[..., None], *args: Any) -> None:
        self.count += 1
        heapq.heappush(self.events, (self.now + delay, self.count, act, args))

    def run(self, until: float = math.inf) -> None:
        while self.events and self.events[0][0] <= until:
            self.now, _, act, args = heapq.heappop(self.events)
            act(*args)


@define(eq=False)
class Server:
    """A queue before a number of workers; it does not notice that a client has left.

    That is what makes overload outlive its cause: the workers go on answering
    clients that have given up.
    """

    world: World
    fault: str = ""
    begin: float = math.inf
    end: float = math.inf
    workers: int = 50
    service: float = 1.0
    queue_limit: int = 1000
    busy: int = 0
    waiting: deque[Done] = field(factory=deque)

    def __attrs_post_init__(self) -> None:
        if self.end < math.inf:
            self.world.after(self.end + 1e-6, self.serve)

    def call(self, done: Done) -> None:
        faulty = self.begin <= self.world.now < self.end
        if faulty and self.fault == "outage":
            self.world.after(0.01, done, REFUSED)
        elif len(self.waiting) >= self.queue_limit:
            self.world.after(0.01, done, FULL)
        else:
            self.waiting.append(done)
            self.serve()

    def serve(self) -> None:
        while self.waiting and self.busy < self.able():
            self.busy += 1
            took = self.world.chance.expovariate(1 / self.service)
            self.world.after(took, self.finish, self.waiting.popleft())

    def able(self) -> int:
        if not self.begin <= self.world.now < self.end:
            return self.workers
        return {"hang": 0, "brown-out": self.workers // 5}.get(self.fault, self.workers)

    def finish(self, done: Done) -> None:
        self.busy -= 1
        done(None)
        self.serve()


@define(eq=False)
class Flaky:
    """A fifth of the calls fail, and fail sooner than others succeed."""

    world: World

    def call(self, done: Done) -> None:
        took = self.world.chance.expovariate(1.0)
        if self.world.chance.random() < 0.2:
            self.world.after(took / 5, done, BROKEN)
        else:
            self.world.after(took, done, None)


@define(eq=False)
class RateLimited:
    """A token bucket; a refusal names whole seconds, as HTTP's Retry-After does."""

    world: World
    rate: float = 10.0
    burst: float = 10.0
    service: float = 1.0
    tokens: float = 0.0
    at: float = 0.0

    def call(self, done: Done) -> None:
        now = self.world.now
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            took = self.world.chance.expovariate(1 / self.service)
            self.world.after(took, done, None)
            return
        wait = math.ceil((1.0 - self.tokens) / self.rate)
        limited = Failure(FailureCause.RATE_LIMIT, "429", retry_after=wait)
        self.world.after(0.05, done, limited)


THREE_ATTEMPTS = RetryPolicy(max_attempts=3)


@frozen
class Strategy:
    """How a fleet deals with failures; the last one is muster's."""

    name: str
    retry: RetryPolicy = THREE_ATTEMPTS
    obeys_retry_after: bool = False
    budget: bool = False
    lane: bool = False
    breaker: bool = False


@define(eq=False)
class Call:
    """One task."""

    agent: str | None
    attempts: int = 0
    chain: Permit | None = None


@define(eq=False)
class Fleet:
    """Runs calls, at most ``slots`` at once, and keeps count."""

    world: World
    backend: Any
    strategy: Strategy
    slots: int
    timeout: float = math.inf
    insists: bool = False  # a rate-limited call is tried until it is served
    queue: deque[Call] = field(factory=deque)
    held_back: deque[Call] = field(factory=deque)
    in_flight: int = 0
    attempts: int = 0
    limited: int = 0
    served: int = 0
    failed: int = 0
    attempts_in_fault: int = 0
    arrived_in_fault: int = 0
    fault: tuple[float, float] = (math.inf, math.inf)
    goodput: dict[int, int] = field(factory=dict)
    last_served_at: float = 0.0
    wakes_at: float = math.inf
    lane: Lane = field(factory=lambda: Lane("backend"))
    breaker: CircuitBreaker = field(factory=CircuitBreaker)
    budget: RetryBudget = field(factory=RetryBudget)

    def arrive(self, call: Call) -> None:
        """A new call, other than one that comes back for its retry."""
        self.arrived_in_fault += self.fault[0] <= self.world.now < self.fault[1]
        self.submit(call)

    def submit(self, call: Call) -> None:
        self.queue.append(call)
        self.pump()

    def pump(self) -> None:
        while self.queue and self.in_flight < self.slots:
            ticket = self.admitted()
            if ticket is False:
                return
            self.start(self.queue.popleft(), ticket)

    def admitted(self) -> Admitted | bool | None:
        if not self.strategy.lane:
            return None
        now = self.world.now
        answer = self.lane.admit(now, EPOCH + now)
        if isinstance(answer, Admitted):
            return answer
        if isinstance(answer, Wait) and answer.seconds is not None:
            self.wake_in(answer.seconds)
        return False

    def wake_in(self, seconds: float) -> None:
        at = self.world.now + seconds
        if at < self.wakes_at:
            self.wakes_at = at
            self.world.after(seconds, self.wake, at)

    def wake(self, at: float) -> None:
        # A timer that an earlier one has replaced must not breed another.
        if at == self.wakes_at:
            self.wakes_at = math.inf
            self.pump()

    def start(self, call: Call, ticket: Any) -> None:
        now = self.world.now
        permit = None
        if self.strategy.breaker:
            permit = self.breaker.admit(call.agent, now, call.chain)
            if isinstance(permit, Blocked):
                # An open circuit means fallback: a direct call, without persona.
                call.agent = None
                permit = self.breaker.admit(None, now)
        call.attempts += 1
        self.attempts += 1
        self.in_flight += 1
        self.attempts_in_fault += self.fault[0] <= now < self.fault[1]
        open_ = [True]

        def ended(failure: Failure | None) -> None:
            if open_:
                open_.clear()
                self.settle(call, ticket, permit, failure)

        self.backend.call(ended)
        if self.timeout < math.inf:
            self.world.after(self.timeout, ended, TIMEOUT)

    def settle(
        self, call: Call, ticket: Any, permit: Any, failure: Failure | None
    ) -> None:
        now = self.world.now
        if ticket is not None:
            self.lane.settle(ticket, now, failure, EPOCH + now)
        if permit is not None:
            verdict = Outcome.SUCCESS if failure is None else failure.cause
            self.breaker.settle(permit, verdict, now)
            call.chain = permit
        self.in_flight -= 1
        if failure is None:
            self.succeeded()
        else:
            self.retry(call, failure)
        self.pump()

    def succeeded(self) -> None:
        self.served += 1
        self.last_served_at = self.world.now
        bucket = int(self.world.now // BUCKET)
        self.goodput[bucket] = self.goodput.get(bucket, 0) + 1
        if self.strategy.budget:
            self.budget.record_success()
            if self.held_back and self.budget.try_spend():
                self.queue.appendleft(self.held_back.popleft())

    def retry(self, call: Call, failure: Failure) -> None:
        is_limited = failure.cause is FailureCause.RATE_LIMIT
        self.limited += is_limited
        if is_limited and self.strategy.lane:
            call.attempts -= 1
            self.queue.appendleft(call)
        elif call.attempts >= self.strategy.retry.max_attempts and not self.insists:
            self.failed += 1
        elif self.strategy.budget and not self.budget.try_spend():
            self.held_back.append(call)
        else:
            self.later(call, failure.retry_after)

    def later(self, call: Call, retry_after: float | None = None) -> None:
        draw = self.world.chance.random()
        delay = self.strategy.retry.delay(call.attempts - 1, draw)
        if self.strategy.obeys_retry_after and retry_after is not None:
            delay = retry_after
        if self.strategy.lane:
            self.world.after(delay, self.submit, call)
            return
        # The usual loop around an attempt sleeps inside its semaphore.
        self.in_flight += 1
        self.world.after(delay, self.again, call)

    def again(self, call: Call) -> None:
        self.in_flight -= 1
        self.start(call, None)
