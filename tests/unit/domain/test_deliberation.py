"""No vote is lost, none is made up, and their order changes nothing."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import deliberation
from muster.domain.ballot import Abstention, Unreadable, Vote
from muster.domain.council import Council, Phase
from muster.domain.deliberation import Ballot, Outcome, Poll, conclude

FIVE = Council("Shall we?", ("a", "b", "c", "d", "e"))
YES, NO = Vote("approve", 0.9, "why not"), Vote("reject", 0.6, "too risky")
SILENT = Unreadable("no JSON object")
PASS = Abstention("not my field", is_deliberate=True)

BALLOTS = st.sampled_from([YES, NO, PASS, SILENT, None])
POLLS = st.lists(BALLOTS, min_size=5, max_size=5)


def cast(*ballots: Ballot | None) -> dict[str, Ballot]:
    """The ballots of the five, in order; None is absent."""
    given_ = zip("abcde", ballots, strict=True)
    return {name: ballot for name, ballot in given_ if ballot is not None}


@pytest.mark.parametrize(
    ("ballots", "changes", "number", "outcome", "choice"),
    [
        ((YES, YES, YES, NO, NO), {}, 4, Outcome.DECIDED, "approve"),
        ((NO, NO, YES, PASS, None), {}, 4, Outcome.DECIDED, "reject"),
        ((YES, YES, NO, NO, PASS), {}, 4, None, None),
        ((YES, YES, NO, NO, PASS), {}, 6, Outcome.DEADLOCK, None),
        ((PASS, PASS, PASS, SILENT, SILENT), {}, 6, Outcome.DEADLOCK, None),
        ((YES, YES, None, None, None), {}, 4, Outcome.NO_QUORUM, None),
        ((YES, PASS, SILENT, None, None), {}, 4, Outcome.DECIDED, "approve"),
        ((None, None, None, None, None), {"quorum": 1}, 4, Outcome.NO_QUORUM, None),
        ((YES, None, None, None, None), {"quorum": 1}, 4, Outcome.DECIDED, "approve"),
        ((YES, YES, YES, YES, None), {"quorum": "all"}, 4, Outcome.NO_QUORUM, None),
        ((YES, YES, YES, NO, NO), {"rule": "2/3"}, 4, None, None),
        ((YES, YES, YES, YES, NO), {"rule": "2/3"}, 4, Outcome.DECIDED, "approve"),
        ((YES, YES, NO, PASS, None), {"rule": "2/3"}, 4, Outcome.DECIDED, "approve"),
        ((YES, YES, YES, YES, NO), {"rule": "unanimous"}, 6, Outcome.DEADLOCK, None),
        ((YES, YES, YES, YES, PASS), {"rule": "all"}, 6, Outcome.DECIDED, "approve"),
    ],
)
def test_verdicts(
    ballots: tuple[Ballot | None, ...],
    changes: Mapping[str, Any],
    number: int,
    outcome: Outcome | None,
    choice: str | None,
) -> None:
    """The rule looks at the votes cast, the quorum at who is present."""
    council = Council(FIVE.topic, FIVE.members, **changes)

    verdict = conclude(council, Poll.of(council, cast(*ballots)), number)

    assert (verdict and verdict.outcome) == outcome
    assert (verdict and verdict.choice) == choice


@given(POLLS)
def test_everybody_is_in_one_place(ballots: list[Ballot | None]) -> None:
    """Votes, abstentions and absent members are all members."""
    poll = Poll.of(FIVE, cast(*ballots))

    places = [*poll.votes, *poll.abstentions, *poll.absent]
    assert sorted(places) == list("abcde")
    assert sum(poll.tally(FIVE).values()) == len(poll.votes)
    assert poll.present == sum(ballot is not None for ballot in ballots)


@given(POLLS, st.permutations(range(5)))
def test_the_order_of_ballots_changes_nothing(
    ballots: list[Ballot | None], order: list[int]
) -> None:
    """Neither by whom they were cast nor when they came in."""
    here = Poll.of(FIVE, cast(*ballots))
    late = Poll.of(FIVE, dict(reversed(cast(*ballots).items())))
    swapped = Poll.of(FIVE, cast(*(ballots[each] for each in order)))
    verdicts = [conclude(FIVE, poll, 6) for poll in (here, late, swapped)]

    assert here == late
    assert list(here.votes) == list(late.votes)
    assert here.tally(FIVE) == swapped.tally(FIVE)
    assert len({(each.outcome, each.choice) for each in verdicts if each}) == 1


@given(POLLS)
def test_dissents_and_winners_are_all_votes(ballots: list[Ballot | None]) -> None:
    """A dissent keeps its reason, and nobody dissents from nothing."""
    verdict = conclude(FIVE, Poll.of(FIVE, cast(*ballots)), 6)

    assert verdict is not None
    if verdict.choice is None:
        assert not verdict.dissents
    else:
        total = len(verdict.dissents) + verdict.tally[verdict.choice]
        assert total == len(verdict.poll.votes)


def test_an_unreadable_vote_is_an_abstention_with_its_reason() -> None:
    """It can be told from one that was meant."""
    poll = Poll.of(FIVE, cast(SILENT, PASS, YES, YES, YES))

    assert poll.abstentions == {
        "a": Abstention("unreadable vote: no JSON object"),
        "b": PASS,
    }


def test_the_outcome_document() -> None:
    """Everything that a reader or a program asks for."""
    poll = Poll.of(FIVE, cast(YES, YES, NO, PASS, None), {"e": "timed out"})

    verdict = conclude(FIVE, poll, 4)

    assert verdict is not None
    assert verdict.to_dict() == {
        "outcome": "decided",
        "choice": "approve",
        "tally": {"approve": 2, "reject": 1},
        "abstentions": [{"agent": "d", "reason": "not my field"}],
        "dissents": [
            {"agent": "c", "choice": "reject", "confidence": 0.6, "reason": "too risky"}
        ],
        "rounds": 4,
        "reason": "2 of 3 votes for 'approve' (majority)",
        "votes": [
            {"agent": "a", "choice": "approve", "confidence": 0.9, "reason": "why not"},
            {"agent": "b", "choice": "approve", "confidence": 0.9, "reason": "why not"},
            {
                "agent": "c",
                "choice": "reject",
                "confidence": 0.6,
                "reason": "too risky",
            },
        ],
        "absent": [{"agent": "e", "reason": "timed out"}],
    }


def test_a_halt_keeps_what_was_committed() -> None:
    """And says why."""
    poll = Poll.of(FIVE, cast(YES, None, None, None, None))

    verdict = deliberation.halted(FIVE, poll, 4, "smoke")

    assert (verdict.outcome, verdict.reason, verdict.rounds) == ("halted", "smoke", 4)
    assert verdict.tally == {"approve": 1, "reject": 0}


@pytest.mark.parametrize(
    ("rounds", "phases"),
    [
        (1, [Phase.VOTE]),
        (2, [Phase.POSITION, Phase.VOTE]),
        (3, [Phase.POSITION, Phase.CROSS_EXAMINE, Phase.VOTE]),
        (4, list(Phase)),
        (6, [*Phase, Phase.VOTE, Phase.VOTE]),
    ],
)
def test_the_last_round_is_a_vote(rounds: int, phases: list[Phase]) -> None:
    """However few there are."""
    council = Council("t", ("a",), max_rounds=rounds)

    assert [council.phase(each) for each in range(1, rounds + 1)] == phases


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"topic": " "}, "needs a topic"),
        ({"members": ()}, "needs members"),
        ({"members": ("a", "b", "a")}, "'a' is there twice"),
        ({"members": ("",)}, "name"),
        ({"members": ("-x",)}, "name"),
        ({"members": ("a\nb",)}, "name"),
        ({"members": ("x" * 81,)}, "80 characters"),
        ({"members": tuple(map(str, range(1001)))}, "1,000"),
        ({"choices": ("yes",)}, "two choices"),
        ({"choices": ("yes", "Yes")}, "two choices"),
        ({"choices": ("yes", " ")}, "two choices"),
        ({"max_rounds": 0}, "rounds"),
        ({"max_rounds": 101}, "rounds"),
        ({"quorum": 6}, "quorum is 6 present, and there are 5 members"),
        ({"rule": "half"}, "rule"),
    ],
)
def test_a_council_that_can_decide_nothing_is_refused(
    changes: Mapping[str, Any], problem: str
) -> None:
    """Before anybody is asked."""
    fields = {"topic": "t", "members": tuple("abcde")}

    with pytest.raises(ValueError, match=problem):
        Council(**{**fields, **changes})


def test_a_member_is_found_by_its_name() -> None:
    """Or the nearest one is named."""
    council = Council("t", ("alice", "bob"))

    assert council.member("bob").name == "bob"
    with pytest.raises(ValueError, match="did you mean 'alice'"):
        council.member("alise")


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 7])
def test_every_question_has_a_name_and_a_place_of_its_own(rounds: int) -> None:
    """Whatever members are called; in the order in which they are asked."""
    council = Council("t", ("x", "again-x", "vote-x"), max_rounds=rounds)
    questions = [
        (number, each.name, again)
        for number in range(1, rounds + 1)
        for again in (
            (False, True) if council.phase(number) is Phase.VOTE else (False,)
        )
        for each in council.members
    ]

    ids = {council.question_id(n, name, again=again) for n, name, again in questions}
    places = [council.place(n, name, again=again) for n, name, again in questions]

    assert len(ids) == len(questions)
    assert places == list(range(len(questions)))
