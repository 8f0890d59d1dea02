"""What a run may use up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.budget import Budget, BudgetLimits, Cost, Refused, Reservation, Spent
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


def test_what_is_unknown_makes_nothing_dearer() -> None:
    """The mean is that of attempts that told what they used."""
    budget = Budget(BudgetLimits(tokens=350), 0.0)
    budget.settle(taken(budget.reserve(0.0)), Usage(output_tokens=100))

    for _ in range(2):
        budget.settle(taken(budget.reserve(0.0)), None)

    refused = budget.reserve(0.0)
    assert isinstance(refused, Refused)
    assert (refused.needed, refused.may_pass) == (400.0, False)
    assert refused.reason == "400 of 350 tokens with the next attempt"


def test_tokens_and_money_are_told_apart() -> None:
    """Who tells one of them says nothing of the other."""
    budget = Budget(BudgetLimits(usd=10.0), 0.0)
    budget.settle(taken(budget.reserve(0.0)), Usage(cost_usd=4.0))
    budget.settle(taken(budget.reserve(0.0)), Usage(output_tokens=5))

    assert (budget.usd, budget.tokens) == (8.0, 5.0)
    assert isinstance(budget.reserve(0.0), Refused)


def test_what_is_told_on_the_way_counts_at_once() -> None:
    """The reservation grows with it, and shrinks to what it was in the end."""
    budget = Budget(BudgetLimits(usd=10.0), 0.0)
    flying = taken(budget.reserve(0.0))

    assert budget.note(flying, Usage(cost_usd=6.0)) is None
    assert budget.note(flying, Usage(cost_usd=10.0)) is None
    refused = budget.reserve(0.0)
    over = budget.note(flying, Usage(cost_usd=11.0))

    assert isinstance(refused, Refused)
    assert (refused.is_used, refused.reason) == (True, "10 of 10 USD used")
    assert over == Refused("usd", 10.0, 11.0, is_used=True)
    budget.settle(flying, Usage(cost_usd=9.0))
    assert (budget.usd, budget.in_flight) == (9.0, 0)
    assert budget.note(flying, Usage(cost_usd=99.0)) is None


def test_what_never_started_is_given_back() -> None:
    """Its place among the agents, too; once."""
    budget = Budget(BudgetLimits(agents=1), 0.0, Spent(), Cost(usd=3.0))
    held = taken(budget.reserve(0.0))
    budget.release(held)

    assert (held.usd, budget.agents, budget.usd) == (3.0, 0, 0.0)
    with pytest.raises(InvalidTransitionError):
        budget.release(held)
    assert isinstance(budget.reserve(0.0), Reservation)
