"""Keeps tasks away from an agent that fails: closed > open > half-open > closed.

Ask `CircuitBreaker.admit` before each attempt and `settle` the permit after it.
What is judged are admissions, not completions: failures come back sooner than
successes, so that of 72 attempts at once, the first two to end condemn a
healthy agent when only completed ones are counted.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, field

from muster.domain import presets
from muster.domain.adhoc import is_adhoc_name
from muster.domain.admission import NEUTRAL, Blocked, Outcome
from muster.domain.circuit import Circuit, CircuitState, CountedFailure, Permit
from muster.domain.circuit_health import health_status
from muster.domain.outcome import FailureCategory, FailureCause
from muster.domain.spawn_policy import at_least_one, duration

__all__ = ["Blocked", "CircuitBreaker", "CircuitState", "Outcome", "Permit"]


_EXEMPT = Permit(None, settled=True)
_VOID = -1


def _threshold(default: int) -> Any:
    return field(default=default, validator=at_least_one)


def _window(default: float) -> Any:
    return field(default=default, validator=duration)


@define(eq=False)
class CircuitBreaker:
    """One circuit per agent. ``now`` is monotonic seconds, in every method.

    ``registered(name)`` says whether an agent has a profile; such a one is never
    ad-hoc. At most ``max_agents`` circuits are kept: the one not asked for
    longest is forgotten first, open ones last.

    The direct call (``agent=None``) is exempt: always admitted, never counted.
    """

    failure_threshold: int = _threshold(presets.BREAKER_FAILURE_THRESHOLD)
    reset_timeout: float = _window(presets.BREAKER_RESET_TIMEOUT)
    failure_window: float = _window(presets.BREAKER_FAILURE_WINDOW)
    adhoc_failure_threshold: int = _threshold(presets.BREAKER_ADHOC_FAILURE_THRESHOLD)
    fast_fail_threshold: int = _threshold(presets.BREAKER_FAST_FAIL_THRESHOLD)
    fast_fail_window: float = _window(presets.BREAKER_FAST_FAIL_WINDOW)
    adhoc_fast_fail_window: float = _window(presets.BREAKER_ADHOC_FAST_FAIL_WINDOW)
    registered: Callable[[str], bool] | None = field(default=None, kw_only=True)
    max_agents: int = field(
        default=presets.BREAKER_MAX_AGENTS, kw_only=True, validator=at_least_one
    )
    # Both in order of use; an agent is in one of them at most.
    _closed: dict[str, Circuit] = field(factory=dict, init=False, repr=False)
    _opened: dict[str, Circuit] = field(factory=dict, init=False, repr=False)
    _adhoc: dict[str, None] = field(factory=dict, init=False, repr=False)
    _chains: int = field(default=0, init=False, repr=False)

    def admit(
        self,
        agent: str | None,
        now: float,
        chain: Permit | None = None,
        *,
        lease: float = presets.BREAKER_PROBE_LEASE,
    ) -> Permit | Blocked:
        """A permit for one attempt, or why there is none.

        A retry passes the permit of the task's attempt before as ``chain``. A
        task's own failures never cost it its retries: it is let through an open
        circuit as long as the failures of *other* tasks would not have opened
        it by themselves; otherwise the reason says how many those were. Such an
        attempt changes nothing in the circuit, however it ends.

        A half-open circuit admits one probe. Not settled within ``lease``
        seconds, it counts as lost and the next one is admitted: make it longer
        than an attempt can last.
        """
        if agent is None:
            return _EXEMPT
        circuit = self._opened.get(agent) if self._opened else None
        if circuit is None:
            return self._admit_to_closed(agent, chain)
        return self._admit_to_opened(agent, circuit, now, chain, lease)

    def settle(
        self, permit: Permit, outcome: Outcome | FailureCause, now: float
    ) -> None:
        """Says how the attempt ended; a `FailureCause` is a failure of that cause.

        Causes that are not the agent's own (rate limits, overload, quota, and
        whatever `FailureCause.is_agent_failure` denies) are neutral. The first
        call counts, further ones change nothing; nor does a permit from before
        the circuit's opening, reset or eviction.
        """
        circuit = permit.circuit
        agent = permit.agent
        if permit.settled or circuit is None or agent is None:
            return
        permit.settled = True
        if permit.generation != circuit.generation:
            return
        if permit.is_probe:
            self._settle_probe(agent, permit, outcome, now)
            return
        circuit.in_flight -= 1
        if outcome == Outcome.SUCCESS:
            return
        if outcome not in NEUTRAL:
            permit.failed_at = now
            self._count(circuit, outcome, permit.chain, now)
            self._judge(agent, circuit, now)
        else:
            circuit.withdraw(permit)

    def record_success(self, agent: str | None, now: float) -> None:
        """Settles without a permit; see `record_failure`."""
        self._report(agent, Outcome.SUCCESS, now)

    def record_failure(
        self, agent: str | None, now: float, cause: FailureCause | None = None
    ) -> None:
        """Settles without a permit, for hosts that keep none.

        Settles the probe of a half-open circuit, or the agent's oldest attempt in
        flight; where there is none, it counts as one admitted and failed.
        """
        outcome = Outcome.FAILURE if cause is None else FailureCause(cause)
        self._report(agent, outcome, now)

    def should_skip(self, agent: str | None, now: float) -> tuple[bool, str]:
        """Whether to leave the agent alone, and why; `admit` for hosts without permits.

        In a half-open circuit one caller gets False and has the probe, until a
        ``record_*`` settles it or an `admit`, taken to be the same caller's,
        takes it over.
        """
        circuit = None if agent is None else self._opened.get(agent)
        if agent is None or circuit is None:
            return False, ""
        answer = self._admit_to_opened(agent, circuit, now, None, claim=True)
        if isinstance(answer, Blocked):
            return True, answer.reason
        return False, ""

    def health_status(self, agent: str | None, now: float) -> dict[str, Any]:
        """What is known about the agent, JSON-ready. Changes nothing."""
        circuit = None
        if agent is not None:
            circuit = self._closed.get(agent) or self._opened.get(agent)
        return health_status(
            agent,
            circuit or Circuit(),
            now,
            reset_timeout=self.reset_timeout,
            failure_window=self.failure_window,
            threshold=self._threshold_of(self.is_adhoc(agent)),
        )

    def is_adhoc(self, agent: str | None, is_spawn: bool = False) -> bool:  # noqa: FBT001, FBT002 (a published signature)
        """Whether nobody wrote a profile for this agent; no agent at all is ad-hoc."""
        if agent is None:
            return True
        if self.registered is not None and self.registered(agent):
            return False
        return is_spawn or agent in self._adhoc or is_adhoc_name(agent)

    def mark_as_adhoc(self, agent: str) -> None:
        """From now on the agent is ad-hoc, unless it is registered. Outlives resets."""
        self._adhoc.pop(agent, None)
        self._adhoc[agent] = None
        if len(self._adhoc) > self.max_agents:
            del self._adhoc[next(iter(self._adhoc))]

    def reset(self, agent: str) -> None:
        """Forgets what the agent has done; its permits are void."""
        circuit = self._closed.pop(agent, None) or self._opened.pop(agent, None)
        if circuit is not None:
            circuit.void()

    def reset_all(self) -> None:
        """Forgets what every agent has done; all permits are void."""
        for agent in [*self._closed, *self._opened]:
            self.reset(agent)

    @property
    def tracked_agents(self) -> int:
        """How many agents are remembered, at most ``max_agents``."""
        return len(self._closed) + len(self._opened)

    def _chain_of(self, agent: str, chain: Permit | None) -> int:
        if chain is not None and chain.agent == agent:
            return chain.chain
        self._chains += 1
        return self._chains

    def _make_room(self) -> None:
        if self.tracked_agents >= self.max_agents:
            self.reset(next(iter(self._closed or self._opened)))

    def _threshold_of(self, is_adhoc: bool) -> int:  # noqa: FBT001 (see is_adhoc)
        return self.adhoc_failure_threshold if is_adhoc else self.failure_threshold

    def _admit_to_closed(self, agent: str, chain: Permit | None = None) -> Permit:
        # Taken out and put back: the dict's order is the order of use.
        circuit = self._closed.pop(agent, None)
        if circuit is None:
            circuit = Circuit()
            self._make_room()
        self._closed[agent] = circuit
        permit = Permit(agent, self._chain_of(agent, chain), circuit)
        circuit.admit(permit, presets.BREAKER_COHORT)
        return permit

    def _lend_probe(
        self,
        agent: str,
        circuit: Circuit,
        now: float,
        chain: Permit | None = None,
        lease: float = presets.BREAKER_PROBE_LEASE,
        *,
        claim: bool = False,
    ) -> Permit:
        probe = Permit(agent, self._chain_of(agent, chain), circuit, is_probe=True)
        circuit.lend_probe(probe, now, lease, claim=claim)
        return probe

    def _admit_to_opened(
        self,
        agent: str,
        circuit: Circuit,
        now: float,
        chain: Permit | None,
        lease: float = presets.BREAKER_PROBE_LEASE,
        *,
        claim: bool = False,
    ) -> Permit | Blocked:
        circuit.set_back(now)
        is_taken = circuit.probe_is_out(now) and (claim or not circuit.probe_is_claim)
        state = circuit.state(now, self.reset_timeout)
        if state is CircuitState.HALF_OPEN and not is_taken:
            return self._lend_probe(agent, circuit, now, chain, lease, claim=claim)
        if chain is None or chain.agent != agent:
            return circuit.refusal(now, self.reset_timeout)
        others = sum(each != chain.chain for each in circuit.opened_by)
        if others >= circuit.needed:
            whose = f" ({others} of other tasks)"
            return circuit.refusal(now, self.reset_timeout, whose)
        return Permit(agent, chain.chain, circuit, _VOID)

    def _settle_probe(
        self, agent: str, probe: Permit, outcome: Outcome | FailureCause, now: float
    ) -> None:
        circuit = self._opened.get(agent)
        if circuit is None or circuit.probe is not probe:
            return
        if outcome == Outcome.SUCCESS:
            self.reset(agent)
        elif outcome in NEUTRAL:
            circuit.probe = None
        else:
            self._count(circuit, outcome, probe.chain, now)
            self._open(agent, circuit, now, circuit.failures[-1:], 1)

    def _report(
        self, agent: str | None, outcome: Outcome | FailureCause, now: float
    ) -> None:
        if agent is None:
            return
        circuit = self._opened.get(agent)
        if circuit is not None:
            self._report_to_opened(agent, circuit, outcome, now)
            return
        circuit = self._closed.get(agent)
        permit = circuit.oldest_in_flight(agent) if circuit else None
        if permit is None and outcome not in NEUTRAL:
            permit = self._admit_to_closed(agent)
        if permit is not None:
            self.settle(permit, outcome, now)

    def _report_to_opened(
        self, agent: str, circuit: Circuit, outcome: Outcome | FailureCause, now: float
    ) -> None:
        circuit.set_back(now)
        if circuit.state(now, self.reset_timeout) is CircuitState.HALF_OPEN:
            probe = circuit.probe or self._lend_probe(agent, circuit, now)
            self.settle(probe, outcome, now)
        elif outcome != Outcome.SUCCESS and outcome not in NEUTRAL:
            self._count(circuit, outcome, 0, now)

    def _count(self, circuit: Circuit, outcome: str, chain: int, now: float) -> None:
        is_unnamed = outcome == Outcome.FAILURE
        cause = FailureCause.UNKNOWN if is_unnamed else FailureCause(outcome)
        circuit.set_back(now)
        circuit.failures.append(CountedFailure(now, cause, chain))
        circuit.failure_count += 1
        if len(circuit.failures) > self._kept_failures():
            del circuit.failures[0]

    def _kept_failures(self) -> int:
        return max(
            self.failure_threshold,
            self.adhoc_failure_threshold,
            self.fast_fail_threshold,
            presets.BREAKER_COHORT,
        )

    def _judge(self, agent: str, circuit: Circuit, now: float) -> None:
        is_adhoc = self.is_adhoc(agent)
        threshold = self._threshold_of(is_adhoc)
        recent = circuit.recent(now, self.failure_window)
        share = circuit.failed_share(now, self.failure_window)
        if len(recent) >= threshold and share >= presets.BREAKER_FAILURE_FRACTION:
            self._open(agent, circuit, now, recent, threshold)
            return
        window = self.adhoc_fast_fail_window if is_adhoc else self.fast_fail_window
        fast = [
            each
            for each in circuit.recent(now, window)
            if _fails_fast(each.cause, is_adhoc=is_adhoc)
        ]
        if len(fast) >= self.fast_fail_threshold:
            self._open(agent, circuit, now, fast, self.fast_fail_threshold)

    def _open(
        self,
        agent: str,
        circuit: Circuit,
        now: float,
        failures: list[CountedFailure],
        needed: int,
    ) -> None:
        circuit.open(now, tuple(each.chain for each in failures), needed)
        self._closed.pop(agent, None)
        self._opened.pop(agent, None)
        self._opened[agent] = circuit


def _fails_fast(cause: FailureCause, *, is_adhoc: bool) -> bool:
    if cause is FailureCause.INFERENCE:
        return not is_adhoc
    return cause.category is FailureCategory.PERMANENT
