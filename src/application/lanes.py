"""The lanes of one fleet, and their talk with the lanes of other processes."""

from collections.abc import Callable
from math import inf

from attrs import define, field

from muster.application.ports.clock import Clock
from muster.application.ports.lane_gate import LaneGate
from muster.domain import presets
from muster.domain.lane import Admission, Admitted, Lane, Parked
from muster.domain.outcome import Failure, FailureCause
from muster.domain.retry_budget import RetryBudget
from muster.domain.tool import ToolSpec


@define(eq=False)
class Lanes:
    """One lane and one retry budget per tool, account and model family.

    ``account_of`` a tool is "" where nobody tells accounts apart. Times: monotonic s.
    """

    clock: Clock
    gate: LaneGate | None = None
    account_of: Callable[[ToolSpec], str] | None = None
    _lanes: dict[str, Lane] = field(factory=dict, init=False)
    _accounts: dict[int, tuple[ToolSpec, str]] = field(factory=dict, init=False)
    _budgets: dict[str, RetryBudget] = field(factory=dict, init=False)
    _looked_at: dict[str, float] = field(factory=dict, init=False)
    _published: dict[str, int] = field(factory=dict, init=False)
    _interpreters: set[str] = field(factory=set, init=False)
    _waiters: dict[str, set[Callable[[], None]]] = field(factory=dict, init=False)

    def lane(self, spec: ToolSpec, model: str | None) -> Lane:
        """The lane of a tool and model. Plain programs have no breaker of a lane."""
        account = self._account(spec)
        name = f"{spec.name}@{account}" if account else spec.name
        if model:
            name = f"{name}/{model_family(model)}"
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(
                name,
                breaker=spec.is_agent,
                spacing=spec.start_spacing,
                login_probe=spec.login_probe,
            )
            if spec.interprets:
                self._interpreters.add(name)
        return lane

    def _account(self, spec: ToolSpec) -> str:
        if self.account_of is None:
            return ""
        known = self._accounts.get(id(spec))
        if known is None:
            if len(self._accounts) >= presets.ROUTES_KEPT:
                self._accounts.clear()
            # With the spec: its id belongs to it while it lives.
            known = self._accounts[id(spec)] = spec, self.account_of(spec)
        return known[1]

    def budget(self, lane: Lane) -> RetryBudget:
        """What retries of this lane may still cost."""
        budget = self._budgets.get(lane.name)
        if budget is None:
            budget = self._budgets[lane.name] = RetryBudget()
        return budget

    def admit(self, lane: Lane) -> Admission:
        """Asks the lane, after what other processes had to say."""
        now = self.clock.monotonic()
        if self.gate is not None and lane.name not in self._interpreters:
            self._listen(lane, now, self.gate)
        return lane.admit(now, self.clock.epoch())

    def await_end(self, lane: Lane, tell: Callable[[], None]) -> None:
        """``tell`` is called once, when the next attempt of the lane has ended."""
        self._waiters.setdefault(lane.name, set()).add(tell)

    def settle(self, lane: Lane, ticket: Admitted, failure: Failure | None) -> None:
        """Tells the lane how an attempt ended, and others what it learnt."""
        now = self.clock.monotonic()
        if failure is not None and lane.name in self._interpreters:
            # The 429 of one shell script is no news for all other scripts.
            failure = _NO_NEWS
        if failure is None:
            self.budget(lane).record_success()
            lane.settle(ticket, now)
        else:
            lane.settle(ticket, now, failure, self.clock.epoch())
            self._publish(lane, now)
        self._tell(lane)

    def prove(self, lane: Lane, ticket: Admitted) -> None:
        """The attempt shows that its account is logged in: others need not wait for that."""
        if lane.proved(ticket):
            self._tell(lane)

    def parked(self, lane: Lane) -> Parked | None:
        """Why the lane starts nothing for long, or None."""
        return lane.parked(self.clock.monotonic(), self.clock.epoch())

    def _tell(self, lane: Lane) -> None:
        if self._waiters:
            for tell in self._waiters.pop(lane.name, ()):
                tell()

    def note(
        self, lane: Lane, *, retry_after: float | None, resets_at: float | None
    ) -> None:
        """A rate limit was met by an agent that goes on, or by one without a ticket."""
        if lane.name in self._interpreters:
            return
        now = self.clock.monotonic()
        epoch = self.clock.epoch()
        lane.note(now, epoch, retry_after=retry_after, resets_at=resets_at)
        self._publish(lane, now)

    def _listen(self, lane: Lane, now: float, gate: LaneGate) -> None:
        if now - self._looked_at.get(lane.name, -inf) < presets.GATE_LOOK:
            return
        self._looked_at[lane.name] = now
        notice = gate.read(lane.name)
        if notice is not None:
            lane.apply(notice, now, self.clock.epoch())

    def _publish(self, lane: Lane, now: float) -> None:
        if self.gate is None or self._published.get(lane.name, 0) == lane.version:
            return
        self._published[lane.name] = lane.version
        notice = lane.notice(now, self.clock.epoch())
        if notice is not None:
            self.gate.publish(lane.name, notice)


_NO_NEWS = Failure(FailureCause.CANCELLED, "says nothing of a backend")


def model_family(model: str) -> str:
    """What shares a limit: the name without version and date ("claude-opus-4-5" -> "claude-opus")."""
    words = model.rsplit("/", 1)[-1].split("-")
    family = [word for word in words if not any(char.isdigit() for char in word)]
    return "-".join(family) or model
