"""What the circuit breaker remembers of one agent."""

import math
from enum import StrEnum

from attrs import Factory, define, frozen

from muster.domain.admission import Blocked
from muster.domain.outcome import FailureCause


class CircuitState(StrEnum):
    """closed lets everybody through, open nobody, half_open one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@frozen
class CountedFailure:
    """A failure that counts against an agent. ``chain`` is the task behind it; 0: unknown."""

    at: float
    cause: FailureCause
    chain: int = 0


@define(eq=False)
class Permit:
    """Leave to make one attempt, given by `CircuitBreaker.admit`; settle it once.

    ``is_probe``: this attempt alone decides whether a half-open circuit closes.
    ``chain`` is the same for all attempts of one task.
    """

    agent: str | None
    chain: int = 0
    circuit: "Circuit | None" = None
    generation: int = 0
    is_probe: bool = False
    settled: bool = False
    failed_at: float | None = None


@define(eq=False)
class Circuit:
    """The memory of one agent. Bounded: the breaker trims both lists.

    ``generation`` is stamped on permits: those of an older one are void.
    ``in_flight`` counts permits of this generation that are not settled.
    ``opened_by`` holds the chains of the failures that opened the circuit, of
    which ``needed`` would have been enough.
    """

    opened_at: float | None = None
    generation: int = 0
    failures: list[CountedFailure] = Factory(list)
    failure_count: int = 0
    cohort: list[Permit] = Factory(list)
    in_flight: int = 0
    opened_by: tuple[int, ...] = ()
    needed: int = 0
    probe: Permit | None = None
    probe_is_claim: bool = False
    leased_at: float = 0.0
    lease: float = 0.0
    seen_at: float = -math.inf

    def admit(self, permit: Permit, cohort_size: int) -> None:
        """Counts an attempt as admitted and in flight."""
        permit.generation = self.generation
        self.in_flight += 1
        self.cohort.append(permit)
        if len(self.cohort) > cohort_size:
            del self.cohort[0]

    def withdraw(self, permit: Permit) -> None:
        """As if the attempt had not been admitted."""
        if permit in self.cohort:
            self.cohort.remove(permit)

    def lend_probe(
        self, probe: Permit, now: float, lease: float, *, claim: bool
    ) -> None:
        """``probe`` alone decides from now on, for ``lease`` seconds."""
        probe.generation = self.generation
        self.probe, self.probe_is_claim = probe, claim
        self.leased_at, self.lease = now, lease

    def open(self, now: float, opened_by: tuple[int, ...], needed: int) -> None:
        """Opens (again); permits given so far are void."""
        self.void()
        self.opened_at, self.opened_by, self.needed = now, opened_by, needed

    def void(self) -> None:
        """No permit given so far changes anything here any more."""
        self.generation += 1
        self.probe = None
        self.cohort = []
        self.in_flight = 0

    def state(self, now: float, reset_timeout: float) -> CircuitState:
        """The state at ``now``; half-open begins ``reset_timeout`` after the opening."""
        if self.opened_at is None:
            return CircuitState.CLOSED
        is_over = now - self.opened_at >= reset_timeout
        return CircuitState.HALF_OPEN if is_over else CircuitState.OPEN

    def probe_is_out(self, now: float) -> bool:
        """Whether somebody holds the probe and the lease on it has not lapsed."""
        return self.probe is not None and now - self.leased_at < self.lease

    def set_back(self, now: float) -> None:
        """After a clock that went back: nothing that happened lies in the future.

        Otherwise a clock set back by an hour keeps a circuit open for an hour
        longer than it says.
        """
        if now >= self.seen_at:
            self.seen_at = now
            return
        self.seen_at = now
        if self.opened_at is not None:
            self.opened_at = min(self.opened_at, now)
        self.leased_at = min(self.leased_at, now)
        self.failures = [
            CountedFailure(min(each.at, now), each.cause, each.chain)
            for each in self.failures
        ]
        for permit in self.cohort:
            if permit.failed_at is not None:
                permit.failed_at = min(permit.failed_at, now)

    def recent(self, now: float, window: float) -> list[CountedFailure]:
        """The failures of the last ``window`` seconds, oldest first."""
        return [each for each in self.failures if now - each.at <= window]

    def failed_share(self, now: float, window: float) -> float:
        """Which part of the last admitted attempts failed within ``window`` seconds.

        An attempt in flight has not failed.
        """
        failed = sum(
            permit.failed_at is not None and now - permit.failed_at <= window
            for permit in self.cohort
        )
        return failed / len(self.cohort) if self.cohort else 0.0

    def oldest_in_flight(self, agent: str) -> Permit | None:
        """The attempt that began first among those not settled, or None.

        One that is older than the cohort is not kept: a stand-in is made for it,
        so that its end is not booked on a younger attempt.
        """
        pending = [permit for permit in self.cohort if not permit.settled]
        if self.in_flight > len(pending):
            return Permit(agent, 0, self, self.generation)
        return pending[0] if pending else None

    def refusal(self, now: float, reset_timeout: float, whose: str = "") -> Blocked:
        """Why nobody is admitted now; ``retry_after`` never exceeds ``reset_timeout``."""
        count = self.failure_count
        failures = f"{count} failure{'' if count == 1 else 's'}{whose}"
        if self.state(now, reset_timeout) is CircuitState.HALF_OPEN:
            left = min(reset_timeout, self.lease - (now - self.leased_at))
            return Blocked(f"Circuit half-open: {failures}, one probe is running", left)
        opened_at = now if self.opened_at is None else self.opened_at
        # Not `opened_at + reset_timeout - now`, which rounds above the timeout.
        left = reset_timeout - (now - opened_at)
        return Blocked(f"Circuit open: {failures}, retry in {math.ceil(left)}s", left)
