"""Who is active at the moment, and that they are never too many."""

from collections import deque
from collections.abc import Callable, Iterable

from attrs import define, field

from muster.domain import presets
from muster.domain.errors import AgentPoolExhaustedError
from muster.domain.spawn_policy import at_least_one

# Takes one free slot, with `AgentPool.acquire`, and answers True; False: wants none.
Claimant = Callable[[], bool]


@define(eq=False)
class AgentPool:
    """At most ``max_concurrent`` agents at once, each of them once.

    It counts, and offers what becomes free to its claimants in turn, one slot each.
    """

    max_concurrent: int = field(default=presets.POOL_CAPACITY, validator=at_least_one)
    _active: set[str] = field(factory=set, init=False, repr=False)
    _claimants: deque[Claimant] = field(factory=deque, init=False, repr=False)

    def acquire(self, agent_id: str) -> bool:
        """Makes the agent active. False: it was; nothing changes.

        Raises `AgentPoolExhaustedError` when no slot is free.
        """
        if agent_id in self._active:
            return False
        if self.is_exhausted:
            raise AgentPoolExhaustedError(self.active_count, self.max_concurrent)
        self._active.add(agent_id)
        return True

    def release(self, agent_id: str) -> bool:
        """Frees the agent's slot. False: it was not active."""
        if agent_id not in self._active:
            return False
        self._active.remove(agent_id)
        if self._claimants:
            self.offer()
        return True

    def try_acquire_batch(self, agent_ids: Iterable[str]) -> tuple[bool, str | None]:
        """All or nothing; an id given twice counts once. If nothing, the reason."""
        wanted = dict.fromkeys(agent_ids)
        busy = [agent_id for agent_id in wanted if agent_id in self._active]
        if busy:
            return False, f"already active: {', '.join(busy)}"
        if len(wanted) > self.available_count:
            reason = (
                f"agent pool exhausted: {len(wanted)} slots wanted, "
                f"{self.available_count} of {self.max_concurrent} free"
            )
            return False, reason
        self._active.update(wanted)
        return True, None

    def release_batch(self, agent_ids: Iterable[str]) -> int:
        """Frees all of them; how many were active."""
        return sum(map(self.release, agent_ids))

    def is_active(self, agent_id: str) -> bool:
        """Whether the agent holds a slot."""
        return agent_id in self._active

    def reset(self) -> None:
        """Frees every slot."""
        self._active.clear()
        self.offer()

    def join(self, claimant: Claimant) -> None:
        """From now on it is offered free slots, in turn with the others."""
        self._claimants.append(claimant)

    def leave(self, claimant: Claimant) -> None:
        """It is offered no more. Leaving again does nothing."""
        if claimant in self._claimants:
            self._claimants.remove(claimant)

    def offer(self) -> None:
        """Offers the free slots until there is none, or nobody wants one."""
        refusals = 0
        while refusals < len(self._claimants) and not self.is_exhausted:
            claimant = self._claimants[0]
            self._claimants.rotate(-1)
            refusals = 0 if claimant() else refusals + 1

    @property
    def active_agents(self) -> frozenset[str]:
        """Who is active now; a copy."""
        return frozenset(self._active)

    @property
    def active_count(self) -> int:
        """How many slots are taken."""
        return len(self._active)

    @property
    def available_count(self) -> int:
        """How many slots are free."""
        return self.max_concurrent - len(self._active)

    @property
    def is_exhausted(self) -> bool:
        """Whether no slot is free."""
        return len(self._active) >= self.max_concurrent
