"""A simulated council shows how a council goes: the same every time, stamped, decided."""

import pytest

from muster.domain.ballot import Vote, read_vote
from muster.domain.council import Council, Phase
from muster.domain.task import AgentRequest
from muster.infrastructure.cli.simulated_members import simulated

COUNCIL = Council(
    "t", [f"m-{n}" for n in range(72)], ("now", "later", "never"), max_rounds=20
)


def answer(number: int, name: str, *, again: bool = False) -> str:
    """What that member says when it is asked."""
    task_id = COUNCIL.question_id(number, name, again=again)
    return simulated(COUNCIL, AgentRequest(name, task_id=task_id))


@pytest.mark.parametrize("again", [False, True])
def test_votes_can_be_read(again: object) -> None:
    """Each is for a choice that exists, and for the same one when asked again."""
    votes = [
        read_vote(answer(4, each.name, again=bool(again)), COUNCIL.choices)
        for each in COUNCIL.members
    ]

    assert all(isinstance(each, Vote) for each in votes)
    assert {each.choice for each in votes if isinstance(each, Vote)} == {
        "now",
        "later",
        "never",
    }


@pytest.mark.parametrize("number", [1, 2, 3])
def test_other_rounds_are_words_that_say_what_they_are(number: int) -> None:
    """With the member's whole name in them."""
    phase = COUNCIL.phase(number)

    said = answer(number, "m-7")

    assert said == answer(number, "m-7")
    assert said.startswith(f"Simulated {phase.value}: m-7 leans to ")
    assert phase is not Phase.VOTE


def test_from_vote_to_vote_more_agree() -> None:
    """So that it ends."""
    shares = [
        sum('"now"' in answer(number, each.name) for each in COUNCIL.members)
        for number in (4, 8, 20)
    ]

    assert shares == sorted(shares)
    assert shares[-1] >= 70
