"""What a council tells, in a line each."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from muster.domain import council_events as told
from muster.domain.ballot import Abstention, Unreadable, Vote
from muster.domain.council_events import CouncilEvent
from muster.domain.deliberation import Round
from muster.infrastructure.cli.council_board import first_line
from muster.infrastructure.cli.words import failure_words, one_line, plural

NAMED: Final = 5
_LINE: Final = 160


def council_words(event: CouncilEvent) -> str:
    """A line about the event."""
    return _WORDS[type(event)](event)


def ended_words(held: Round) -> str:
    """What a round brought."""
    words = f"round {held.number} ({held.phase.value}) ended: "
    if held.poll is None:
        words += f"{len(held.statements)} answered"
    else:
        words += plural(len(held.poll.votes), "vote")
        abstained = len(held.poll.abstentions)
        words += f", {plural(abstained, 'abstention')}" if abstained else ""
    return words + (f", {len(held.absent)} absent" if held.absent else "")


def vote_words(vote: Vote) -> str:
    """``approve (0.80): because``."""
    sure = "" if vote.confidence is None else f" ({vote.confidence:.2f})"
    return f"{vote.choice}{sure}" + (
        f": {one_line(vote.reason)}" if vote.reason else ""
    )


def names(members: tuple[str, ...]) -> str:
    """The first of them, and how many more."""
    shown = ", ".join(one_line(each) for each in members[:NAMED])
    more = len(members) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _said(event: told.StatementCommitted) -> str:
    name, ballot = one_line(event.member), event.ballot
    if isinstance(ballot, Vote):
        return f"{name}: votes {vote_words(ballot)}"
    if isinstance(ballot, Abstention):
        return f"{name}: abstains: {one_line(ballot.reason)}"
    if isinstance(ballot, Unreadable):
        return f"{name}: vote unreadable: {one_line(ballot.problem)}"
    return f"{name}: {one_line(first_line(event.content), _LINE)}"


_WORDS: Final[Mapping[type[Any], Callable[[Any], str]]] = {
    told.RoundBegan: lambda event: f"round {event.number} ({event.phase.value}) begins",
    told.StatementCommitted: _said,
    told.MemberAbsent: lambda event: (
        f"{one_line(event.member)}: absent: {failure_words(event.failure)}"
    ),
    told.AskedAgain: lambda event: (
        f"asked again, for their votes could not be read: {names(event.members)}"
    ),
    told.RoundEnded: lambda event: ended_words(event.round),
    told.Concluded: lambda event: (
        f"{event.verdict.outcome.value}: {event.verdict.reason}"
    ),
}
