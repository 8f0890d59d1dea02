"""What a run, or one task, may use up: agents, minutes, tokens, money.

An estimate is reserved before an attempt starts and replaced by the truth when it
ends, so that attempts in flight can't overspend together. What a tool does not
tell stays unknown and costs the budget what was reserved for it.
"""

from typing import Any

from attrs import define, field, frozen

from muster.domain.errors import InvalidTransitionError
from muster.domain.kinds import is_number
from muster.domain.outcome import Usage

_MINUTE = 60.0


@frozen
class BudgetLimits:
    """The limits of one run or task; None is no limit. ``agents`` counts starts.

    ``minutes`` are those in which something may be started. Whatever is reached,
    attempts that run may finish.
    """

    agents: int | None = None
    minutes: float | None = None
    tokens: int | None = None
    usd: float | None = None

    def __attrs_post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if not is_number(value) or value < 0:
                problem = f"limits.{name} must be a number from 0, not {value!r}"
                raise ValueError(problem)

    @property
    def are_none(self) -> bool:
        """Whether there is nothing to watch."""
        return not self.to_dict()

    def to_dict(self) -> dict[str, Any]:
        """The limits that there are, as JSON-ready values."""
        names = ("agents", "minutes", "tokens", "usd")
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}


@frozen
class Cost:
    """What an attempt is expected to use; None is not known."""

    tokens: float | None = None
    usd: float | None = None


FREE = Cost(0.0, 0.0)


@frozen
class Spent:
    """What was used before, by attempts that are over.

    ``tokens_known`` and ``usd_known`` count the attempts that told theirs.
    """

    agents: int = 0
    minutes: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0
    tokens_known: int = 0
    usd_known: int = 0


@define(eq=False)
class Reservation:
    """What one attempt holds until it is settled or released, exactly once."""

    tokens: float
    usd: float
    used_tokens: float = field(default=0.0, init=False)
    used_usd: float = field(default=0.0, init=False)
    is_settled: bool = field(default=False, init=False)


@frozen
class Refused:
    """The budget has no room: which limit, what it allows, what it would take.

    ``may_pass``: attempts in flight may use less than is reserved for them.
    ``is_used``: that much was used already.
    """

    limit: str
    allowed: float
    needed: float
    may_pass: bool = False
    is_used: bool = False

    @property
    def reason(self) -> str:
        """In words, without what to do."""
        allowed = f"{self.allowed:,.15g}"
        if self.limit == "agents":
            return f"all {allowed} starts of agents are made"
        if self.limit == "minutes":
            return f"its {allowed} minutes are over"
        unit = "USD" if self.limit == "usd" else self.limit
        when = "used" if self.is_used else "with the next attempt"
        needed = f"{self.needed:,.0f}"
        if self.limit == "usd":
            needed = f"{self.needed:,.4f}".rstrip("0").rstrip(".")
        return f"{needed} of {allowed} {unit} {when}"

    @property
    def message(self) -> str:
        """In words, for people."""
        return f"budget reached: {self.reason}; raise the limit to go on"


@define(eq=False)
class _Account:
    """One thing that attempts use and tell of. ``usual`` is what one used before."""

    name: str
    allowed: float | None
    usual: float | None
    spent: float
    known: int
    reserved: float = 0.0
    running: float = 0.0
    _told: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._told = self.spent

    def expect(self, expected: float | None) -> float:
        if expected is not None:
            return expected
        return self._told / self.known if self.known else self.usual or 0.0

    def refusal(self, estimate: float) -> Refused | None:
        allowed = self.allowed
        if allowed is None:
            return None
        needed = self.spent + self.reserved + estimate
        # Before anything is known the estimate is 0: a limit that is reached to
        # the last token must still hold.
        is_used_up = self.spent + self.running >= allowed
        if needed <= allowed and not is_used_up:
            return None
        if is_used_up:
            used = self.spent + self.running
            return Refused(self.name, allowed, used, is_used=True)
        hope = (
            self.reserved > self.running
            and self.spent + self.running + estimate <= allowed
        )
        return Refused(self.name, allowed, needed, may_pass=hope)

    def settle(self, reserved: float, told: float | None) -> None:
        self.spent += reserved if told is None else told
        if told is not None:
            self.known += 1
            self._told += told

    def overrun(self) -> Refused | None:
        used = self.spent + self.running
        if self.allowed is None or used <= self.allowed:
            return None
        return Refused(self.name, self.allowed, used, is_used=True)

    def note(self, held: float, before: float, used: float) -> float:
        """What is held from now on: at least what is used by now."""
        more = max(0.0, used - held)
        self.running += used - before
        self.reserved += more
        return held + more


class Budget:
    """The budget of one run, or of one task. ``now`` is monotonic seconds.

    ``spent`` counts as used, ``usual`` is expected of attempts as long as none has
    told what it used.
    """

    __slots__ = ("_in_flight", "_tokens", "_usd", "agents", "limits", "started_at")

    def __init__(
        self,
        limits: BudgetLimits,
        started_at: float,
        spent: Spent | None = None,
        usual: Cost | None = None,
    ) -> None:
        spent, usual = spent or Spent(), usual or Cost()
        self.limits = limits
        self.started_at = started_at - spent.minutes * _MINUTE
        self.agents = spent.agents
        self._in_flight = 0
        self._tokens = _Account(
            "tokens", limits.tokens, usual.tokens, spent.tokens, spent.tokens_known
        )
        self._usd = _Account("usd", limits.usd, usual.usd, spent.usd, spent.usd_known)

    @property
    def tokens(self) -> float:
        """Used by attempts that are over."""
        return self._tokens.spent

    @property
    def usd(self) -> float:
        """Used by attempts that are over."""
        return self._usd.spent

    @property
    def in_flight(self) -> int:
        """Reservations that are neither settled nor released."""
        return self._in_flight

    def spent(self, now: float) -> Spent:
        """All that was used up to now."""
        tokens, usd = self._tokens, self._usd
        minutes = (now - self.started_at) / _MINUTE
        return Spent(
            self.agents, minutes, tokens.spent, usd.spent, tokens.known, usd.known
        )

    def reserve(
        self, now: float, expected: Cost | None = None
    ) -> Reservation | Refused:
        """Room for one more attempt: what is expected of it, or the mean so far."""
        expected = expected or Cost()
        tokens = self._tokens.expect(expected.tokens)
        usd = self._usd.expect(expected.usd)
        refused = (
            self._refusal("agents", self.agents + 1)
            or self.out_of_time(now)
            or self._tokens.refusal(tokens)
            or self._usd.refusal(usd)
        )
        if refused is not None:
            return refused
        self.agents += 1
        self._in_flight += 1
        self._tokens.reserved += tokens
        self._usd.reserved += usd
        return Reservation(tokens, usd)

    def out_of_time(self, now: float) -> Refused | None:
        """Whether the minutes are over."""
        minutes = (now - self.started_at) / _MINUTE
        allowed = self.limits.minutes
        if allowed is None or minutes < allowed:
            return None
        return Refused("minutes", allowed, minutes)

    def note(self, reservation: Reservation, usage: Usage) -> Refused | None:
        """What an attempt has used so far; the limit that is passed by now, if any."""
        if not reservation.is_settled:
            tokens, usd = tokens_of(usage) or 0.0, usage.cost_usd or 0.0
            reservation.tokens = self._tokens.note(
                reservation.tokens, reservation.used_tokens, tokens
            )
            reservation.usd = self._usd.note(reservation.usd, reservation.used_usd, usd)
            reservation.used_tokens, reservation.used_usd = tokens, usd
        return self._tokens.overrun() or self._usd.overrun()

    def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Replaces the estimate by what was used. Raises when settled before."""
        self._give_back(reservation)
        self._tokens.settle(reservation.tokens, tokens_of(usage))
        self._usd.settle(reservation.usd, usage.cost_usd if usage else None)

    def release(self, reservation: Reservation) -> None:
        """Nothing was started after all. Raises when settled before."""
        self._give_back(reservation)
        self.agents -= 1

    def _give_back(self, reservation: Reservation) -> None:
        if reservation.is_settled:
            raise InvalidTransitionError("settled", "settled")
        reservation.is_settled = True
        self._in_flight -= 1
        for account, held, used in (
            (self._tokens, reservation.tokens, reservation.used_tokens),
            (self._usd, reservation.usd, reservation.used_usd),
        ):
            # With none in flight nothing is reserved, whatever floats add up to.
            account.reserved = account.reserved - held if self._in_flight else 0.0
            account.running = account.running - used if self._in_flight else 0.0

    def _refusal(self, name: str, needed: float) -> Refused | None:
        allowed = getattr(self.limits, name)
        if allowed is None or needed <= allowed:
            return None
        return Refused(name, float(allowed), float(needed))


def tokens_of(usage: Usage | None) -> float | None:
    """All tokens that were paid for in full; None where nothing is known."""
    tokens = None if usage is None else usage.tokens
    return None if tokens is None else float(tokens)
