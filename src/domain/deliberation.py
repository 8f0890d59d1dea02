"""What a round brought, what its votes add up to, and when a council is done.

Every member is in one place of a poll: among the votes, the abstentions or the absent.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from muster.domain.ballot import Abstention, Unreadable, Vote
from muster.domain.council import Council, Phase
from muster.domain.outcome import Failure

Ballot = Vote | Abstention | Unreadable


class Outcome(StrEnum):
    """How a deliberation ended."""

    DECIDED = "decided"
    NO_QUORUM = "no_quorum"
    DEADLOCK = "deadlock"
    HALTED = "halted"


@frozen
class Poll:
    """One vote of a council, by member, in the order of its members.

    Those who voted or abstained are present; a failed agent is absent.
    """

    votes: Mapping[str, Vote] = field(factory=dict)
    abstentions: Mapping[str, Abstention] = field(factory=dict)
    absent: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(
        cls,
        council: Council,
        ballots: Mapping[str, Ballot],
        absent: Mapping[str, str] | None = None,
    ) -> "Poll":
        """The poll of these ballots. Who has none is absent, and ``absent`` says why."""
        votes: dict[str, Vote] = {}
        abstentions: dict[str, Abstention] = {}
        missing: dict[str, str] = {}
        for name in (each.name for each in council.members):
            ballot = ballots.get(name)
            if isinstance(ballot, Vote):
                votes[name] = ballot
            elif isinstance(ballot, Abstention):
                abstentions[name] = ballot
            elif isinstance(ballot, Unreadable):
                abstentions[name] = Abstention(f"unreadable vote: {ballot.problem}")
            else:
                missing[name] = (absent or {}).get(name, "gave no answer")
        return cls(votes, abstentions, missing)

    @property
    def present(self) -> int:
        """How many members took part."""
        return len(self.votes) + len(self.abstentions)

    def tally(self, council: Council) -> dict[str, int]:
        """Votes by choice, in the order of the choices; those with none, too."""
        counts = dict.fromkeys(council.choices, 0)
        for vote in self.votes.values():
            counts[vote.choice] += 1
        return counts


@frozen
class Round:
    """What was committed in a round. ``statements`` and ``absent`` by member."""

    number: int
    phase: Phase
    statements: Mapping[str, str] = field(factory=dict)
    absent: Mapping[str, Failure] = field(factory=dict)
    poll: Poll | None = None


@frozen
class Verdict:
    """What a council came to. ``poll`` is the last vote; ``reason`` is for people.

    ``choice`` is None unless it is decided, and only then are there dissents.
    """

    outcome: Outcome
    choice: str | None
    tally: Mapping[str, int]
    poll: Poll
    rounds: int
    reason: str

    @property
    def dissents(self) -> dict[str, Vote]:
        """Votes for anything but what was decided, by member."""
        if self.choice is None:
            return {}
        votes = self.poll.votes.items()
        return {name: vote for name, vote in votes if vote.choice != self.choice}

    def to_dict(self) -> dict[str, Any]:
        """The outcome document."""
        poll = self.poll
        return {
            "outcome": self.outcome.value,
            "choice": self.choice,
            "tally": dict(self.tally),
            "abstentions": [
                {"agent": name, "reason": each.reason}
                for name, each in poll.abstentions.items()
            ],
            "dissents": _listed(self.dissents),
            "rounds": self.rounds,
            "reason": self.reason,
            "votes": _listed(poll.votes),
            "absent": [
                {"agent": name, "reason": why} for name, why in poll.absent.items()
            ],
        }


def conclude(council: Council, poll: Poll, number: int) -> Verdict | None:
    """The verdict after the vote in that round; None asks for another vote."""
    if poll.present < council.needed:
        return no_quorum(council, poll, number, poll.present)
    tally = poll.tally(council)
    cast = len(poll.votes)
    for choice, votes in tally.items():
        if council.rule.is_met(votes, cast):
            reason = f"{votes} of {cast} votes for '{choice}' ({council.rule})"
            return Verdict(Outcome.DECIDED, choice, tally, poll, number, reason)
    if number < council.max_rounds:
        return None
    reason = f"no choice had {_share(council)} after {number} rounds"
    return Verdict(Outcome.DEADLOCK, None, tally, poll, number, reason)


def no_quorum(council: Council, poll: Poll, number: int, present: int) -> Verdict:
    """Too few were present in that round to go on."""
    reason = (
        f"{present} of {len(council.members)} members were present in round "
        f"{number}, and the quorum is {council.needed}"
    )
    tally = poll.tally(council)
    return Verdict(Outcome.NO_QUORUM, None, tally, poll, number, reason)


def halted(council: Council, poll: Poll, number: int, reason: str) -> Verdict:
    """It was ended from outside in that round; what was committed is kept."""
    tally = poll.tally(council)
    return Verdict(Outcome.HALTED, None, tally, poll, number, reason)


def _share(council: Council) -> str:
    rule = council.rule
    if rule.share == 1:
        return "all votes"
    return "a majority" if rule.strict else str(rule)


def _listed(votes: Mapping[str, Vote]) -> list[dict[str, Any]]:
    return [{"agent": name, **vote.to_dict()} for name, vote in votes.items()]
