"""Never more agents than the pool holds."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from muster.domain.errors import AgentPoolExhaustedError
from muster.domain.pool import AgentPool


def test_72_by_default() -> None:
    """The council has 72 seats."""
    pool = AgentPool()

    assert (pool.max_concurrent, pool.available_count) == (72, 72)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "72", None])
def test_a_pool_without_slots_is_refused(size: object) -> None:
    """At once, not when somebody waits for ever."""
    with pytest.raises(ValueError, match="max_concurrent"):
        AgentPool(size)  # type: ignore[arg-type]


def test_acquire_and_release() -> None:
    """Both say whether anything changed."""
    pool = AgentPool(2)

    assert [pool.acquire("a"), pool.acquire("a"), pool.acquire("b")] == [
        True,
        False,
        True,
    ]
    assert pool.active_agents == {"a", "b"}
    assert pool.is_exhausted
    assert pool.acquire("a") is False, "an active agent is no reason to be exhausted"
    assert [pool.release("a"), pool.release("a")] == [True, False]
    assert [pool.is_active("a"), pool.is_active("b")] == [False, True]


def test_over_capacity_is_an_error_with_numbers() -> None:
    """And nothing changes."""
    pool = AgentPool(1)
    pool.acquire("a")

    with pytest.raises(AgentPoolExhaustedError) as caught:
        pool.acquire("b")

    assert (caught.value.active, caught.value.max_concurrent) == (1, 1)
    assert pool.active_agents == {"a"}


@pytest.mark.parametrize(
    ("active", "wanted", "reason"),
    [
        ([], [], None),
        ([], ["a", "b", "c"], None),
        ([], ["a", "a", "a", "b", "b"], None),
        (["x"], ["a", "b"], None),
        (["x"], ["a", "b", "c"], "exhausted: 3 slots wanted, 2 of 3 free"),
        (["x"], ["a", "x"], "already active: x"),
        ([], ["a", "b", "c", "d"], "exhausted: 4 slots wanted, 3 of 3 free"),
    ],
)
def test_a_batch_is_all_or_nothing(
    active: list[str], wanted: list[str], reason: str | None
) -> None:
    """A refusal says why and takes nothing."""
    pool = AgentPool(3)
    pool.try_acquire_batch(active)

    ok, why = pool.try_acquire_batch(iter(wanted))

    assert ok is (reason is None)
    assert why is None if reason is None else reason in str(why)
    assert pool.active_agents == {*active, *(wanted if ok else ())}


def test_release_batch_counts_those_that_were_active() -> None:
    """Duplicates and strangers do not count."""
    pool = AgentPool(3)
    pool.try_acquire_batch("abc")

    assert pool.release_batch(["a", "a", "b", "x"]) == 2

    assert pool.active_agents == {"c"}
    pool.reset()
    assert pool.active_count == 0


def test_active_agents_is_a_copy() -> None:
    """Nobody gets a slot by the back door."""
    pool = AgentPool(3)
    before = pool.active_agents

    pool.acquire("a")

    assert before == frozenset()


IDS = st.sampled_from("abcdef")


class PoolMachine(RuleBasedStateMachine):
    """Against a plain set."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = AgentPool(3)
        self.model: set[str] = set()

    def refuses(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except AgentPoolExhaustedError as exc:
            return exc.active == 3
        return False

    @rule(agent=IDS)
    def acquire(self, agent: str) -> None:
        if agent not in self.model and len(self.model) == 3:
            assert self.refuses(lambda: self.pool.acquire(agent))
            return
        assert self.pool.acquire(agent) is (agent not in self.model)
        self.model.add(agent)

    @rule(agent=IDS)
    def release(self, agent: str) -> None:
        assert self.pool.release(agent) is (agent in self.model)
        self.model.discard(agent)

    @rule(agents=st.lists(IDS, max_size=5))
    def acquire_batch(self, agents: list[str]) -> None:
        fits = not self.model & set(agents) and len(self.model | set(agents)) <= 3
        ok, reason = self.pool.try_acquire_batch(agents)
        assert ok is fits
        assert (reason is None) is fits
        if ok:
            self.model |= set(agents)

    @rule(agents=st.lists(IDS, max_size=5))
    def release_batch(self, agents: list[str]) -> None:
        assert self.pool.release_batch(agents) == len(self.model & set(agents))
        self.model -= set(agents)

    @rule()
    def reset(self) -> None:
        self.pool.reset()
        self.model.clear()

    @invariant()
    def capacity_is_never_exceeded(self) -> None:
        assert self.pool.active_agents == self.model
        assert self.pool.active_count == len(self.model) <= 3
        assert self.pool.available_count == 3 - len(self.model)
        assert self.pool.is_exhausted is (len(self.model) == 3)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
