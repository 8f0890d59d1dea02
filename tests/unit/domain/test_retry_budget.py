"""Retries cost, successes earn."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from muster.domain.retry_budget import RetryBudget


def test_a_hundred_retries_and_no_more() -> None:
    """A dead backend gets a hundred retries, whatever the number of tasks."""
    budget = RetryBudget()

    assert [budget.try_spend() for _ in range(101)] == [True] * 100 + [False]


@pytest.mark.parametrize(("successes", "affordable"), [(3, 0), (4, 1), (9, 2)])
def test_four_successes_earn_a_retry(successes: int, affordable: int) -> None:
    """Parts of a token buy nothing."""
    budget = RetryBudget()
    while budget.try_spend():
        pass

    for _ in range(successes):
        budget.record_success()

    assert budget.can_spend is (affordable > 0)
    assert [budget.try_spend() for _ in range(5)].count(True) == affordable


class BudgetMachine(RuleBasedStateMachine):
    """Against a count of quarters."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget(3.0)
        self.quarters = 12

    @rule()
    def retry(self) -> None:
        assert self.budget.try_spend() is (self.quarters >= 4)
        if self.quarters >= 4:
            self.quarters -= 4

    @rule(times=st.integers(1, 20))
    def succeed(self, times: int) -> None:
        for _ in range(times):
            self.budget.record_success()
        self.quarters = min(12, self.quarters + times)

    @invariant()
    def within_bounds(self) -> None:
        assert self.budget.tokens == self.quarters / 4
        assert 0 <= self.budget.tokens <= 3


TestBudget = BudgetMachine.TestCase
TestBudget.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
