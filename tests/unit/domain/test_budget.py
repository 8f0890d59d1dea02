"""What a run may use up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.budget import Budget, BudgetLimits, Refused, Reservation
from muster.domain.errors import InvalidTransitionError
from muster.domain.outcome import Usage


def taken(answer: Reservation | Refused) -> Reservation:
    """The reservation, of an answer that must be one."""
    assert isinstance(answer, Reservation)
    return answer


@pytest.mark.parametrize(
    ("limits", "now", "limit"),
    [
        (BudgetLimits(agents=0), 0.0, "agents"),
        (BudgetLimits(minutes=1.0), 61.0, "minutes"),
        (BudgetLimits(tokens=0), 0.0, "tokens"),
        (BudgetLimits(usd=0.0), 0.0, "usd"),
    ],
)
def test_each_limit_holds(limits: BudgetLimits, now: float, limit: str) -> None:
    """A limit that leaves no room refuses, and says which it is."""
    answer = Budget(limits, 0.0).reserve(now)

    assert isinstance(answer, Refused)
    assert answer.limit == limit
    assert "budget reached" in answer.message


def test_no_limits_no_refusal() -> None:
    """Without limits everything is allowed."""
    budget = Budget(BudgetLimits(), 0.0)

    assert budget.limits.are_none
    for _ in range(1000):
        budget.settle(taken(budget.reserve(1e9)), Usage(10**6, 10**6, None, 1e6))


def test_attempts_in_flight_count_by_their_estimate() -> None:
    """Many at once can't overspend together what each alone would not."""
    budget = Budget(BudgetLimits(usd=10.0), 0.0)
    budget.settle(taken(budget.reserve(0.0)), Usage(cost_usd=2.0))

    flying = [taken(budget.reserve(0.0)) for _ in range(4)]

    assert isinstance(budget.reserve(0.0), Refused)
    budget.settle(flying[0], Usage(cost_usd=0.5))
    assert isinstance(budget.reserve(0.0), Refused | Reservation)


def test_what_is_unknown_costs_what_was_reserved() -> None:
    """A tool that tells nothing does not make a run free."""
    budget = Budget(BudgetLimits(tokens=100), 0.0)
    budget.settle(taken(budget.reserve(0.0)), Usage(input_tokens=30, output_tokens=10))

    budget.settle(taken(budget.reserve(0.0)), None)

    assert budget.tokens == 80
    assert isinstance(budget.reserve(0.0), Refused)


def test_settled_once() -> None:
    """A reservation is given back exactly once."""
    budget = Budget(BudgetLimits(), 0.0)
    reservation = taken(budget.reserve(0.0))
    budget.settle(reservation, None)

    with pytest.raises(InvalidTransitionError):
        budget.settle(reservation, None)


@given(
    st.lists(st.tuples(st.floats(0.0, 5.0), st.booleans()), max_size=60),
    st.floats(0.1, 20.0),
)
def test_overspending_is_bounded_by_what_was_in_flight(
    costs: list[tuple[float, bool]], limit: float
) -> None:
    """Sequential attempts never begin once the limit is reached."""
    budget = Budget(BudgetLimits(usd=limit), 0.0)
    for cost, is_told in costs:
        answer = budget.reserve(0.0)
        if isinstance(answer, Refused):
            assert budget.usd + budget.usd / max(1, budget.agents) >= 0
            break
        assert budget.usd < limit or limit == 0
        budget.settle(answer, Usage(cost_usd=cost) if is_told else None)
