"""Rules and quorums are exact, and what can't be meant is refused."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.voting_rule import Quorum, Rule

COUNTS = st.integers(1, 2000)
# Of two integers: drawing from `st.fractions` takes 100 times as long.
SHARES = st.integers(1, 1000).map(lambda part: Fraction(part, 1000))
MORE_THAN_HALF = st.integers(501, 1000).map(lambda part: Fraction(part, 1000))


@pytest.mark.parametrize(
    ("text", "votes", "cast", "is_met"),
    [
        ("majority", 2, 3, True),
        ("majority", 2, 4, False),
        ("Majority ", 37, 72, True),
        ("majority", 36, 72, False),
        ("2/3", 2, 3, True),
        ("2/3", 48, 72, True),
        ("2/3", 47, 72, False),
        ("0.6666666666666666", 2, 3, True),
        ("0.75", 54, 72, True),
        ("0.75", 53, 72, False),
        ("75%", 3, 4, True),
        ("75 %", 2, 4, False),
        ("supermajority", 2, 3, True),
        ("unanimous", 3, 3, True),
        ("unanimity", 2, 3, False),
        ("all", 1, 1, True),
        ("majority", 0, 0, False),
        ("unanimous", 0, 0, False),
        (0.75, 3, 4, True),
        (Fraction(2, 3), 2, 3, True),
    ],
)
def test_rules(text: str, votes: int, cast: int, is_met: object) -> None:
    """Of the votes cast; without one nothing is decided."""
    assert Rule.of(text).is_met(votes, cast) is is_met


@pytest.mark.parametrize(
    "text",
    ["", "most", "1/2", "0.5", "50%", "1/3", "3/2", "101%", "-2/3", "2/0", "1e9", "nan",
     "1e999999999", "inf", "0", "2", "9" * 40, "²/3"],
)  # fmt: skip
def test_a_rule_that_two_choices_could_meet_is_refused(text: str) -> None:
    """And what is no share."""
    with pytest.raises(ValueError, match="rule"):
        Rule.of(text)


@pytest.mark.parametrize(
    ("text", "members", "needed"),
    [
        ("majority", 1, 1),
        ("majority", 4, 3),
        ("majority", 5, 3),
        ("1/2", 4, 2),
        ("1/2", 5, 3),
        ("0.5", 5, 3),
        ("50%", 72, 36),
        ("2/3", 72, 48),
        ("2/3", 73, 49),
        ("all", 72, 72),
        ("1.0", 7, 7),
        ("100%", 7, 7),
        ("1", 7, 1),
        ("5", 7, 5),
        (5, 7, 5),
        (0.5, 5, 3),
        ("0.0001", 7, 1),
    ],
)
def test_quorums(text: str, members: int, needed: int) -> None:
    """A whole number counts members, everything else is a share of them."""
    assert Quorum.of(text).needed(members) == needed


@pytest.mark.parametrize("text", ["", "0", "some", "-1", "0.0", "3/2", "120%", 0, -3])
def test_a_quorum_that_is_none_is_refused(text: str) -> None:
    """At once."""
    with pytest.raises(ValueError, match="quorum"):
        Quorum.of(text)


@given(share=MORE_THAN_HALF, cast=COUNTS)
def test_a_share_needs_its_ceiling(share: Fraction, cast: int) -> None:
    """Exactly: one vote fewer is not enough."""
    rule, least = Rule.of(str(share)), ceil(share * cast)

    assert rule.is_met(least, cast)
    assert not rule.is_met(least - 1, cast)


@given(cast=COUNTS, votes=st.integers(0, 2000), share=SHARES)
def test_no_two_choices_meet_a_rule(cast: int, votes: int, share: Fraction) -> None:
    """Whatever the rule."""
    votes = min(votes, cast)
    rules = [Rule.of("majority"), Rule.of("unanimous")]
    rules += [Rule.of(str(share))] if share > Fraction(1, 2) else []

    for rule in rules:
        assert not (rule.is_met(votes, cast) and rule.is_met(cast - votes, cast))


@given(share=SHARES, members=COUNTS)
def test_a_quorum_is_the_least_number_that_is_enough(
    share: Fraction, members: int
) -> None:
    """In whole members, and between one and all."""
    needed = Quorum.of(str(share)).needed(members) if share != 1 else members

    assert 1 <= needed <= members
    assert Fraction(needed, members) >= share
    assert needed == 1 or Fraction(needed - 1, members) < share


@pytest.mark.parametrize(
    ("rule", "text"),
    [("majority", "majority"), ("66%", "33/50 of the votes"), ("all", "unanimity")],
)
def test_a_rule_says_what_it_is(rule: str, text: str) -> None:
    """In prompts and in minutes."""
    assert str(Rule.of(rule)) == text


@pytest.mark.parametrize(
    ("quorum", "text"),
    [("majority", "more than 1/2 present"), ("2/3", "2/3 present"), ("5", "5 present")],
)
def test_a_quorum_says_what_it_is(quorum: str, text: str) -> None:
    """Likewise."""
    assert str(Quorum.of(quorum)) == text
