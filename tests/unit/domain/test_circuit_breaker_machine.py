"""The circuit breaker against a model that is slow, obvious, and keeps everything."""

from typing import Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from muster.domain.circuit_breaker import Blocked, CircuitBreaker, Outcome, Permit
from muster.domain.outcome import FailureCategory, FailureCause

RESET, WINDOW = 120.0, 300.0
NEUTRAL = [Outcome.NEUTRAL, FailureCause.RATE_LIMIT, FailureCause.CANCELLED]
FAILED = [Outcome.FAILURE, FailureCause.CRASH, FailureCause.AUTH, "inference"]
OUTCOMES = st.sampled_from([Outcome.SUCCESS, *NEUTRAL, *FAILED, *FAILED])
AGENTS = st.sampled_from(["planner", "adhoc-1"])


@define(eq=False)
class Try:
    """One admitted attempt, for ever."""

    task: object
    era: int
    is_probe: bool = False
    is_extra: bool = False
    lease_ends: float = 0.0
    settled: bool = False
    failed_at: float | None = None


@define(eq=False)
class Model:
    """What should be known of one agent, from its whole history."""

    is_adhoc: bool
    era: int = 0
    tries: list[Try] = field(factory=list)  # of this era, without neutral ones
    failures: list[tuple[float, str, object]] = field(factory=list)
    opened_at: float | None = None
    culprits: list[object] = field(factory=list)
    enough: int = 0
    probe: Try | None = None

    def state(self, now: float) -> str:
        if self.opened_at is None:
            return "closed"
        return "half_open" if now - self.opened_at >= RESET else "open"

    def probe_out(self, now: float) -> bool:
        return self.probe is not None and now < self.probe.lease_ends

    def fails(self, each: Try, cause: str, now: float) -> None:
        each.failed_at = now
        self.failures.append((now, cause, each.task))
        if each.is_probe:
            self.opens(now, [each.task], 1)
            return
        recent = [f for f in self.failures if now - f[0] <= WINDOW]
        threshold = 4 if self.is_adhoc else 2
        bad = sum(
            t.failed_at is not None and now - t.failed_at <= WINDOW
            for t in self.tries[-20:]
        )
        span = 30.0 if self.is_adhoc else 10.0
        fast = [f for f in self.failures if now - f[0] <= span and self.is_fast(f[1])]
        if len(recent) >= threshold and 2 * bad >= len(self.tries[-20:]) > 0:
            self.opens(now, [f[2] for f in recent], threshold)
        elif len(fast) >= 2:
            self.opens(now, [f[2] for f in fast], 2)

    def is_fast(self, cause: str) -> bool:
        if cause == "inference":
            return not self.is_adhoc
        return FailureCause(cause).category is FailureCategory.PERMANENT

    def opens(self, now: float, culprits: list[object], enough: int) -> None:
        self.era += 1
        self.opened_at, self.culprits, self.enough = now, culprits, enough
        self.tries, self.probe = [], None

    def forgets(self) -> None:
        self.__init__(self.is_adhoc, self.era + 1)  # type: ignore[misc]


class BreakerMachine(RuleBasedStateMachine):
    """Tasks come, are retried, end in any order, while the clock goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker()
        self.now = 0.0
        self.models = {
            "planner": Model(is_adhoc=False),
            "adhoc-1": Model(is_adhoc=True),
        }
        self.permits: list[tuple[str, Permit, Try]] = []

    def expected(
        self, agent: str, task: object, lease: float, *, kept: bool
    ) -> Try | str:
        """The attempt that is admitted, or the words of the refusal."""
        model = self.models[agent]
        state = model.state(self.now)
        if state == "closed":
            each = Try(task, model.era)
            # A neutral end takes an attempt out of the last twenty for good.
            model.tries = [*model.tries, each][-20:]
            return each
        if state == "half_open" and not model.probe_out(self.now):
            model.probe = Try(
                task, model.era, is_probe=True, lease_ends=self.now + lease
            )
            return model.probe
        others = sum(culprit is not task for culprit in model.culprits)
        if kept and others < model.enough:
            return Try(task, -1, is_extra=True)
        whose = f" ({others} of other tasks)" if kept else ""
        count = f"{len(model.failures)} failure{'s' * (len(model.failures) != 1)}"
        if state == "open":
            return f"Circuit open: {count}{whose}, retry in"
        return f"Circuit half-open: {count}{whose}, one probe is running"

    def check(
        self, agent: str, answer: Permit | Blocked, expected: Try | str, lease: float
    ) -> None:
        if isinstance(expected, str):
            assert isinstance(answer, Blocked)
            assert answer.reason.startswith(expected)
            opened_at = self.models[agent].opened_at
            assert opened_at is not None
            assert 0 <= answer.retry_after <= RESET
            if expected.startswith("Circuit open"):
                assert answer.retry_after == RESET - (self.now - opened_at)
            return
        assert isinstance(answer, Permit)
        assert answer.is_probe is expected.is_probe
        self.permits.append((agent, answer, expected))

    @rule(seconds=st.sampled_from([0.0, 0.5, 5.0, 11.0, 60.0, 119.0, 120.0, 301.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        agent=AGENTS,
        times=st.integers(1, 12),
        lease=st.sampled_from([30.0, 3600.0]),
    )
    def tasks_begin(self, agent: str, times: int, lease: float) -> None:
        for _ in range(times):
            expected = self.expected(agent, object(), lease, kept=False)
            answer = self.breaker.admit(agent, self.now, lease=lease)
            self.check(agent, answer, expected, lease)

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), lease=st.sampled_from([30.0, 3600.0]))
    def a_task_is_retried(self, data: st.DataObject, lease: float) -> None:
        agent, permit, each = data.draw(st.sampled_from(self.permits[-30:]))
        expected = self.expected(agent, each.task, lease, kept=True)
        answer = self.breaker.admit(agent, self.now, permit, lease=lease)
        self.check(agent, answer, expected, lease)

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), outcome=OUTCOMES, times=st.integers(1, 6))
    def attempts_end(self, data: st.DataObject, outcome: Any, times: int) -> None:
        for _ in range(times):
            agent, permit, each = data.draw(st.sampled_from(self.permits[-60:]))
            self.breaker.settle(permit, outcome, self.now)
            self.settle_in_model(self.models[agent], each, outcome)

    def settle_in_model(self, model: Model, each: Try, outcome: Any) -> None:
        if each.settled:
            return
        each.settled = True
        is_stale = each.era != model.era or each.is_extra
        if is_stale or (each.is_probe and model.probe is not each):
            return
        if outcome in NEUTRAL:
            model.tries = [t for t in model.tries if t is not each]
            model.probe = None
        elif outcome != Outcome.SUCCESS:
            cause = "unknown" if outcome == Outcome.FAILURE else outcome
            model.fails(each, cause, self.now)
        elif each.is_probe:
            model.forgets()

    @rule(agent=AGENTS)
    def the_agent_is_reset(self, agent: str) -> None:
        self.breaker.reset(agent)
        self.models[agent].forgets()

    @rule()
    def the_direct_call_is_made(self) -> None:
        answer = self.breaker.admit(None, self.now)
        assert isinstance(answer, Permit)
        self.breaker.settle(answer, FailureCause.AUTH, self.now)

    @invariant()
    def at_most_one_probe_is_running(self) -> None:
        for agent, model in self.models.items():
            running = [
                permit
                for name, permit, each in self.permits
                if name == agent
                and permit.is_probe
                and not permit.settled
                and each.era == model.era
                and self.now < each.lease_ends
            ]
            assert len(running) <= 1

    @invariant()
    def the_report_agrees(self) -> None:
        for agent, model in self.models.items():
            status = self.breaker.health_status(agent, self.now)
            state = model.state(self.now)
            assert status["state"] == state
            assert status["failure_count"] == len(model.failures)
            is_free = state == "half_open" and not model.probe_out(self.now)
            assert status["can_execute"] is (state == "closed" or is_free)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.breaker.tracked_agents <= len(self.models)
        for circuit in self.breaker._closed.values():
            assert len(circuit.cohort) <= 20
            assert len(circuit.failures) <= 20


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


class BareMachine(RuleBasedStateMachine):
    """The same promises for hosts that keep no permits."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker()
        self.now = 0.0
        self.opened_at: float | None = None
        self.claims = 0

    @property
    def state(self) -> str:
        status = self.breaker.health_status("planner", self.now)
        assert isinstance(status["state"], str)
        return status["state"]

    @rule(seconds=st.sampled_from([0.0, 1.0, 60.0, 120.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def success(self) -> None:
        before = self.state
        self.breaker.record_success("planner", self.now)
        self.claims = 0
        assert self.state == ("open" if before == "open" else "closed")

    @rule(cause=st.sampled_from([None, FailureCause.AUTH, FailureCause.CRASH]))
    def failure(self, cause: FailureCause | None) -> None:
        before = self.state
        self.breaker.record_failure("planner", self.now, cause)
        if self.state == "open" and before != "open":
            self.opened_at, self.claims = self.now, 0
        assert before == "closed" or self.state == "open"

    @rule()
    def ask(self) -> None:
        before = self.state
        skip, reason = self.breaker.should_skip("planner", self.now)
        assert bool(reason) is skip
        if before == "closed":
            assert not skip
            return
        assert self.opened_at is not None
        if before == "open":
            assert skip
        elif not skip:
            assert self.now >= self.opened_at + RESET
            self.claims += 1
            assert self.claims == 1


TestBare = BareMachine.TestCase
TestBare.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class EvictionMachine(RuleBasedStateMachine):
    """However many agents come by, few are remembered, the ill ones longest."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker(failure_threshold=1, max_agents=4)
        self.opened: list[str] = []
        self.permits: list[Permit] = []

    @rule(agent=st.integers(0, 12).map(str))
    def come(self, agent: str) -> None:
        answer = self.breaker.admit(agent, 0.0)
        if isinstance(answer, Permit):
            self.permits.append(answer)
        assert isinstance(answer, Blocked) is (agent in self.opened)
        if len(self.opened) == 4 and agent not in self.opened:
            del self.opened[0]

    @precondition(lambda self: self.permits)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        permit = data.draw(st.sampled_from(self.permits))
        agent = permit.agent
        assert agent is not None
        current = self.breaker._closed.get(agent)
        counts = current is permit.circuit and not permit.settled
        self.breaker.settle(permit, FailureCause.CRASH, 0.0)
        if counts and current is not None and current.opened_at is not None:
            self.opened.append(agent)

    @invariant()
    def few_are_remembered(self) -> None:
        assert self.breaker.tracked_agents <= 4
        assert list(self.breaker._opened) == self.opened
        assert not self.breaker._opened.keys() & self.breaker._closed.keys()


TestEviction = EvictionMachine.TestCase
TestEviction.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
