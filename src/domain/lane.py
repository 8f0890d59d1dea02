"""A lane is one tool, account and model family: its limits bind a whole fleet.

A lane is asked before every start and told of every end. It answers to four
kinds of trouble: a rate limit cuts concurrency once per episode and paces
starts; a quota parks the lane until its reset; a backend that is gone opens a
breaker; a login that fails three times parks the lane until a person acts.
Nothing here fails a task: the queue waits, or is told that it is parked.

``now`` is monotonic seconds, ``epoch`` seconds since 1970 UTC.
"""

import math

from attrs import define, field, frozen

from muster.domain import presets
from muster.domain.errors import InvalidTransitionError
from muster.domain.lane_breaker import LaneBreaker
from muster.domain.lane_limit import ConcurrencyLimit
from muster.domain.lane_login import LoginDoubt
from muster.domain.lane_notice import LaneNotice, bounded_wait
from muster.domain.lane_pacer import Pacer
from muster.domain.outcome import Failure, FailureCategory, FailureCause

# What a program says about its own work (a crash, a bad exit, a wrong answer)
# is no news about the backend: forty failing linters must not stop a lane.
_BACKEND_TROUBLE = frozenset(
    cause
    for cause in FailureCause
    if cause.category in (FailureCategory.TRANSIENT, FailureCategory.TIMEOUT)
    and cause not in (FailureCause.RATE_LIMIT, FailureCause.DEADLINE)
)
_LIMITS = frozenset({FailureCause.RATE_LIMIT, FailureCause.QUOTA})
_PACED = "rate limited: starts are paced"
_PROBING = "one agent finds out whether it is logged in"
_LOG_IN = "three attempts in a row were not logged in; log in, then resume"
# Demand below this is a trickle whose doubling means nothing.
_TRICKLE = 8


@define(eq=False)
class Admitted:
    """Leave to start one attempt now. Settle it exactly once."""

    number: int
    started_at: float
    is_settled: bool = field(default=False, init=False)


@frozen
class Wait:
    """Not now. ``seconds`` None: until an attempt of this lane is settled."""

    seconds: float | None
    reason: str


@frozen
class Parked:
    """Not for long. ``resets_at`` is epoch seconds; None: unknown, or a person must act."""

    reason: str
    cause: FailureCause
    resets_at: float | None = None


Admission = Admitted | Wait | Parked


@define(eq=False)
class Lane:
    """What a fleet has learnt about one backend. Mutable; not for several threads.

    ``limit`` is the concurrency to begin with, doubling per round until the
    first cut; None leaves a lane unlimited until the first rate limit.
    ``breaker=False`` is for plain programs, whose failures are answers: neither
    the breaker nor failed logins stop such a lane. ``login_probe`` seconds of a
    first agent prove that the account is logged in; 0 takes that for granted.
    """

    name: str
    _start_limit: int | None = field(default=None, alias="limit")
    _has_breaker: bool = field(default=True, alias="breaker")
    spacing: float = 0.0
    _login_probe: float = field(default=0.0, alias="login_probe")
    in_flight: int = field(default=0, init=False)
    version: int = field(default=0, init=False)
    _admitted: int = field(default=0, init=False)
    _last_cut: int = field(default=0, init=False)
    _no_growth_until: int = field(default=0, init=False)
    _calm: bool = field(default=True, init=False)
    _demand_seen: int = field(default=0, init=False)
    _surge_at: int = field(default=_TRICKLE, init=False)
    _last_demand: float = field(default=-math.inf, init=False)
    _parked: Parked | None = field(default=None, init=False)
    _parked_until: float = field(default=0.0, init=False)
    _limit: ConcurrencyLimit = field(init=False)
    _pacer: Pacer = field(factory=Pacer, init=False, repr=False)
    _breaker: LaneBreaker = field(factory=LaneBreaker, init=False, repr=False)
    _login: LoginDoubt = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._pacer.spacing = self.spacing
        start = self._start_limit
        self._limit = ConcurrencyLimit(None if start is None else float(start))
        self._login = LoginDoubt(self._login_probe if self._has_breaker else 0.0)
        self._calm = start is None and not self.spacing and not self._login.is_open

    @property
    def limit(self) -> float | None:
        """Attempts that may run at once; None while there is no limit."""
        return self._limit.limit

    @property
    def rate(self) -> float | None:
        """Starts per second; None while starts are not paced."""
        return self._pacer.rate

    def admit(self, now: float, epoch: float | None = None) -> Admission:
        """Asks for one start. A refusal changes nothing, so it may be asked again."""
        if not self._calm:
            refusal = self._refusal(now, epoch)
            if refusal is not None:
                self._last_demand = now
                return refusal
        self._admitted = number = self._admitted + 1
        self.in_flight += 1
        if self.in_flight > self._demand_seen:
            self._demand_rose(now)
        if not self._calm:
            self._pacer.started(now)
            self._limit.started(self.in_flight)
            self._login.started(number)
            if not self._breaker.is_closed:
                self._breaker.started(number, now)
        return Admitted(number, now)

    def settle(
        self,
        ticket: Admitted,
        now: float,
        failure: Failure | None = None,
        epoch: float | None = None,
    ) -> None:
        """Tells how an attempt ended: no failure is a success.

        A failure that is not the agent's (cancelled, halted...) is neutral. Without
        ``epoch`` a ``resets_at`` can't be used. Raises `InvalidTransitionError`
        when the ticket was settled before.
        """
        if ticket.is_settled:
            raise InvalidTransitionError("settled", "settled")
        ticket.is_settled = True
        self.in_flight -= 1
        if self.in_flight == 0:
            self._last_demand = now
            self._demand_seen = 0
        if failure is None:
            self._pacer.deliveries.append(now)
            self._login.accepted(ticket.number)
            if not self._calm:
                self._succeeded(ticket.number)
        else:
            self._failed(ticket.number, now, failure, epoch)

    def note(
        self,
        now: float,
        epoch: float | None = None,
        *,
        ticket: Admitted | None = None,
        retry_after: float | None = None,
        resets_at: float | None = None,
    ) -> None:
        """A rate limit that an agent met and survived; its ticket stays open."""
        number = self._admitted if ticket is None else ticket.number
        limited = Failure(
            FailureCause.RATE_LIMIT,
            "rate limited",
            retry_after=retry_after,
            resets_at=resets_at,
        )
        self._limited(number, self.in_flight, now, limited, epoch)

    def reopen(self) -> None:
        """A person has acted: whatever parked the lane is forgotten."""
        self._parked = None
        self._login.forget()

    def login_patience(self, ticket: Admitted) -> float | None:
        """Seconds after which this attempt, whose login others wait for, proves it."""
        return self._login.patience(ticket.number)

    def proved(self, ticket: Admitted) -> bool:
        """This attempt has shown a sign of life; whether others waited for that."""
        return self._login.proved(ticket.number)

    def parked(self, now: float, epoch: float | None = None) -> Parked | None:
        """Why nothing is started for long, or None."""
        return self._parked_now(now, epoch)

    def notice(self, now: float, epoch: float) -> LaneNotice | None:
        """What others should know; None when all is well. `version` tells of news."""
        gate = self._pacer.gated_for(now)
        park = self._parked
        has_end = park is not None and math.isfinite(self._parked_until)
        if not gate and self.rate is None and not has_end:
            return None
        return LaneNotice(
            gate_until=epoch + gate if gate else None,
            rate=self.rate,
            parked_until=epoch + max(0.0, self._parked_until - now)
            if has_end
            else None,
            reason=park.reason if park else "rate limited",
            written_at=epoch,
        )

    def apply(self, notice: LaneNotice, now: float, epoch: float) -> None:
        """What another process has learnt. It adds waits and never shortens any."""
        parked = self._wait_until(notice.parked_until, epoch)
        if parked:
            reason = notice.reason or "parked by another process"
            self._park(now, parked, Parked(reason, FailureCause.QUOTA, epoch + parked))
        gate = self._wait_until(notice.gate_until, epoch)
        if gate:
            self._calm = False
            self._pacer.hold(now, min(gate, presets.LANE_PARK_AFTER))
        age = epoch - (notice.written_at or 0.0)
        rate = bounded_wait(notice.rate)
        if rate and 0.0 <= age <= presets.LANE_RATE_NEWS:
            self._calm = False
            self._pacer.adopt(rate)

    def _refusal(self, now: float, epoch: float | None) -> Wait | Parked | None:
        parked = self._parked_now(now, epoch)
        if parked is not None:
            return parked
        if wait := self._breaker.wait(now):
            return Wait(wait, "the backend fails; waiting before the next try")
        if wait := self._pacer.gated_for(now):
            return Wait(wait, "rate limited: the backend asked for a pause")
        if reason := self._awaited():
            return Wait(None, reason)
        wait = self._pacer.spaced_for(now)
        why = "its starts are spaced" if self.rate is None else _PACED
        return Wait(wait, why) if wait else None

    def _awaited(self) -> str:
        """Why the next start waits for an attempt in flight; "" if it doesn't."""
        if self._login.must_wait:
            return _PROBING
        # A breaker's probe must not wait for attempts that hang.
        if self._breaker.is_closed and not self._limit.allows(self.in_flight):
            return "rate limited: the concurrency limit is reached"
        return ""

    def _parked_now(self, now: float, epoch: float | None) -> Parked | None:
        parked = self._parked
        if parked is None:
            return None
        # A machine that slept counts no monotonic time, but its epoch went on.
        reset = parked.resets_at
        slept = epoch is not None and reset is not None and epoch >= reset
        if now < self._parked_until and not slept:
            return parked
        self._parked = None
        self._limit.collapse(self.in_flight)
        self._pacer.measure_from(now)
        return None

    def _succeeded(self, number: int) -> None:
        if self._parked is not None and self._parked.cause is FailureCause.AUTH:
            self._parked = None
        if self._breaker.succeeded(number, self._admitted):
            return
        if number > self._no_growth_until:
            self._limit.grow(self.in_flight)
            self._pacer.grow()

    def _failed(
        self, number: int, now: float, failure: Failure, epoch: float | None
    ) -> None:
        cause = failure.cause
        if cause is FailureCause.AUTH and self._has_breaker:
            self._not_logged_in(number)
        else:
            self._login.ended(number, says_something=cause.is_agent_failure)
        if cause in _BACKEND_TROUBLE and self._has_breaker:
            self._trouble(number, now, failure)
            return
        self._breaker.released(number, now)
        if cause in _LIMITS:
            self._limited(number, self.in_flight + 1, now, failure, epoch)

    def _not_logged_in(self, number: int) -> None:
        self._calm = False
        if self._login.refused(number) >= presets.LANE_AUTH_FAILURES:
            self._parked = Parked(_LOG_IN, FailureCause.AUTH)
            self._parked_until = math.inf
            self.version += 1

    def _trouble(self, number: int, now: float, failure: Failure) -> None:
        self._no_growth_until = self._admitted
        wait = bounded_wait(failure.retry_after)
        if wait:
            self._hold(now, min(wait, presets.LANE_PARK_AFTER))
        if self._breaker.failed(number, now, self._admitted):
            self._calm = False
            self._limit.collapse(self.in_flight + 1)
            self._pacer.measure_from(now)

    def _limited(
        self,
        number: int,
        in_flight: int,
        now: float,
        failure: Failure,
        epoch: float | None,
    ) -> None:
        wait = bounded_wait(failure.retry_after)
        if wait is None and epoch is not None:
            wait = self._wait_until(failure.resets_at, epoch)
        if wait is None and failure.cause is FailureCause.QUOTA:
            unknown = Parked(failure.message, failure.cause)
            self._park(now, presets.LANE_UNKNOWN_RESET, unknown)
            return
        wait = wait or 0.0
        if wait > presets.LANE_PARK_AFTER:
            resets_at = None if epoch is None else epoch + wait
            self._park(now, wait, Parked(failure.message, failure.cause, resets_at))
            return
        if number > self._last_cut:
            # Whoever was admitted until now has met the same limit.
            self._last_cut = self._no_growth_until = self._admitted
            self._limit.cut(in_flight)
            self._pacer.slow(now)
        self._hold(now, wait)

    def _hold(self, now: float, seconds: float) -> None:
        self._calm = False
        self._pacer.hold(now, seconds)
        self.version += 1

    def _park(self, now: float, seconds: float, parked: Parked) -> None:
        self._calm = False
        if self._parked is None or now + seconds > self._parked_until:
            self._parked = parked
            self._parked_until = now + seconds
            self.version += 1

    def _demand_rose(self, now: float) -> None:
        if now - self._last_demand > presets.LANE_IDLE and self.in_flight == 1:
            self._pacer.measure_from(now)
            self._surge_at = _TRICKLE
        elif self.in_flight > self._surge_at:
            self._pacer.measure_from(now)
            self._surge_at = 2 * self.in_flight
        self._demand_seen = self._surge_at

    @staticmethod
    def _wait_until(moment: float | None, epoch: float) -> float | None:
        return None if moment is None else bounded_wait(moment - epoch)
