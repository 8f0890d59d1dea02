"""What a run may use up: agents, minutes, tokens, money. Reserved before each start.

An estimate is reserved when an attempt starts and replaced by the truth when it
ends, so that attempts in flight can't overspend together. What a tool does not
tell stays unknown and costs the budget what was reserved for it.
"""

from attrs import define, field, frozen

from muster.domain.errors import InvalidTransitionError
from muster.domain.outcome import Usage

_MINUTE = 60.0


@frozen
class BudgetLimits:
    """The limits of one run; None is no limit. ``agents`` counts starts."""

    agents: int | None = None
    minutes: float | None = None
    tokens: int | None = None
    usd: float | None = None

    @property
    def are_none(self) -> bool:
        """Whether there is nothing to watch."""
        return self == BudgetLimits()


@define(eq=False)
class Reservation:
    """What one attempt holds until it is settled, exactly once."""

    tokens: float
    usd: float
    is_settled: bool = field(default=False, init=False)


@frozen
class Refused:
    """The budget has no room: which limit, what it allows, what it would take."""

    limit: str
    allowed: float
    needed: float

    @property
    def message(self) -> str:
        """In words, for people."""
        unit = {"usd": "USD", "minutes": "min"}.get(self.limit, self.limit)
        return (
            f"budget reached: {self.needed:g} of {self.allowed:g} {unit} "
            "would be used; raise the limit to go on"
        )


@define(eq=False)
class Budget:
    """The budget of one run. ``now`` is monotonic seconds."""

    limits: BudgetLimits
    started_at: float
    agents: int = field(default=0, init=False)
    tokens: float = field(default=0.0, init=False)
    usd: float = field(default=0.0, init=False)
    _reserved_tokens: float = field(default=0.0, init=False)
    _reserved_usd: float = field(default=0.0, init=False)
    _known: int = field(default=0, init=False)

    def reserve(self, now: float) -> Reservation | Refused:
        """Room for one more attempt, at the mean of what attempts have cost so far."""
        tokens, usd = self._estimate()
        spent = {
            "agents": self.agents + 1,
            "minutes": (now - self.started_at) / _MINUTE,
            "tokens": self.tokens + self._reserved_tokens + tokens,
            "usd": self.usd + self._reserved_usd + usd,
        }
        for name, needed in spent.items():
            allowed = getattr(self.limits, name)
            if allowed is not None and (needed > allowed or self._is_used_up(name)):
                return Refused(name, float(allowed), float(needed))
        self.agents += 1
        self._reserved_tokens += tokens
        self._reserved_usd += usd
        return Reservation(tokens, usd)

    def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Replaces the estimate by what was used. Raises when settled before."""
        if reservation.is_settled:
            raise InvalidTransitionError("settled", "settled")
        reservation.is_settled = True
        self._reserved_tokens -= reservation.tokens
        self._reserved_usd -= reservation.usd
        tokens = _tokens(usage)
        cost = usage.cost_usd if usage else None
        self._known += tokens is not None or cost is not None
        self.tokens += reservation.tokens if tokens is None else tokens
        self.usd += reservation.usd if cost is None else cost

    def _estimate(self) -> tuple[float, float]:
        if not self._known:
            return 0.0, 0.0
        return self.tokens / self._known, self.usd / self._known

    def _is_used_up(self, name: str) -> bool:
        # Before anything is known the estimate is 0: a limit that is reached to
        # the last token must still hold.
        allowed = getattr(self.limits, name)
        spent = {"tokens": self.tokens, "usd": self.usd}.get(name)
        return spent is not None and spent >= allowed


def _tokens(usage: Usage | None) -> float | None:
    if usage is None:
        return None
    parts = [usage.input_tokens, usage.output_tokens]
    known = [part for part in parts if part is not None]
    return float(sum(known)) if known else None
