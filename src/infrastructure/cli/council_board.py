"""How a council stands: what its live table shows. Fed with events, asked for cells.

What a member says is known here only from the moment in which it is committed.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import define, field

from muster.domain import council_events as told
from muster.domain import fleet_events as events
from muster.domain.ballot import Abstention, Vote
from muster.domain.council import Council, Phase
from muster.domain.council_events import CouncilEvent
from muster.domain.fleet_events import FleetEvent
from muster.infrastructure.cli.words import clock


class Seat(StrEnum):
    """What a member does in this round."""

    WAITS = "waits"
    THINKS = "thinks"
    RETRIES = "retries"
    SPOKE = "spoke"
    VOTED = "voted"
    ABSTAINED = "abstained"
    UNREAD = "unreadable"
    ABSENT = "absent"


DONE: Final = (Seat.SPOKE, Seat.VOTED, Seat.ABSTAINED, Seat.ABSENT)


@define
class Chair:
    """One member. Moments are monotonic seconds; ``said`` is its last committed line."""

    name: str
    seat: Seat = Seat.WAITS
    choice: str = ""
    said: str = ""
    number: int = 0
    heard_at: float = 0.0

    def idle(self, now: float) -> float | None:
        """Seconds since the agent was last heard of."""
        return now - self.heard_at if self.seat is Seat.THINKS else None


@define(eq=False)
class CouncilBoard:
    """All members of a council, and its round."""

    council: Council
    began: float
    number: int = 0
    phase: Phase | None = None
    round_began: float = 0.0
    chairs: dict[str, Chair] = field(init=False)
    version: int = 0

    def __attrs_post_init__(self) -> None:
        names = [each.name for each in self.council.members]
        self.chairs = {name: Chair(name) for name in names}

    def take(self, event: FleetEvent, now: float) -> None:
        """Takes note of what the fleet tells of the agents."""
        chair = self._chair_at(getattr(event, "task_index", None))
        if chair is None:
            return
        self.version += 1
        if isinstance(event, events.AttemptStarted):
            chair.seat, chair.heard_at = Seat.THINKS, now
        elif isinstance(event, events.AttemptProgressed):
            chair.heard_at = now
        elif isinstance(event, events.RetryScheduled):
            chair.seat = Seat.RETRIES

    def hear(self, event: CouncilEvent, now: float) -> None:
        """Takes note of what the council tells."""
        self.version += 1
        apply = _APPLY.get(type(event))
        if apply is not None:
            apply(self, event, now)

    def count(self, *seats: Seat) -> int:
        """How many members are in one of these states."""
        return sum(each.seat in seats for each in list(self.chairs.values()))

    def tally(self) -> dict[str, int]:
        """The votes of this round so far."""
        counts = dict.fromkeys(self.council.choices, 0)
        for each in list(self.chairs.values()):
            if each.seat is Seat.VOTED:
                counts[each.choice] += 1
        return counts

    def headline(self) -> str:
        """``round 3 of at most 6: cross-examine``."""
        if self.phase is None:
            return f"a council of {len(self.chairs)} convenes"
        most = self.council.max_rounds
        return f"round {self.number} of at most {most}: {self.phase.value}"

    def progress(self, now: float) -> str:
        """``41/72 spoke, 2 absent, 29 think | 0:12 of 1:04``."""
        total = len(self.chairs)
        is_vote = self.phase is Phase.VOTE
        parts = [f"{self.count(*DONE) - self.count(Seat.ABSENT)}/{total} answered"]
        if is_vote:
            parts = [f"{votes} {choice}" for choice, votes in self.tally().items()]
            parts += [f"{self.count(Seat.ABSTAINED)} abstained"]
        for seat, word in _SHOWN.items():
            number = self.count(seat)
            parts += [f"{number} {word}"] if number else []
        here, all_ = clock(now - self.round_began), clock(now - self.began)
        return f"{', '.join(parts)} | {here}, in all {all_}"

    def _chair_at(self, index: int | None) -> Chair | None:
        if index is None:
            return None
        seat = index % len(self.council.members)
        return self.chairs[self.council.members[seat].name]

    # --- what was told ----------------------------------------------------------

    def _round(self, event: told.RoundBegan, now: float) -> None:
        self.number, self.phase, self.round_began = event.number, event.phase, now
        for each in self.chairs.values():
            each.seat, each.choice, each.heard_at = Seat.WAITS, "", now

    def _said(self, event: told.StatementCommitted, now: float) -> None:
        chair, ballot = self.chairs[event.member], event.ballot
        chair.number = event.number
        if isinstance(ballot, Vote):
            chair.seat, chair.choice, chair.said = (
                Seat.VOTED,
                ballot.choice,
                ballot.reason,
            )
        elif isinstance(ballot, Abstention) or (ballot is not None and event.again):
            chair.seat, chair.said = Seat.ABSTAINED, _why(ballot)
        elif ballot is not None:
            chair.seat, chair.said = Seat.UNREAD, _why(ballot)
        else:
            chair.seat, chair.said = Seat.SPOKE, first_line(event.content)

    def _absent(self, event: told.MemberAbsent, now: float) -> None:
        chair = self.chairs[event.member]
        chair.seat = Seat.ABSENT
        chair.said = f"{event.failure.cause.value}: {event.failure.message}"

    def _again(self, event: told.AskedAgain, now: float) -> None:
        for name in event.members:
            self.chairs[name].seat = Seat.WAITS


def first_line(text: str) -> str:
    """The first line that says something, without its Markdown."""
    lines = (line.strip(" \t#*>-_`") for line in text.splitlines())
    return next((line for line in lines if line), "")


def _why(ballot: Any) -> str:
    return str(getattr(ballot, "reason", "") or getattr(ballot, "problem", ""))


_SHOWN: Final = {
    Seat.UNREAD: "unreadable",
    Seat.ABSENT: "absent",
    Seat.THINKS: "thinking",
    Seat.RETRIES: "retrying",
    Seat.WAITS: "waiting",
}
_APPLY: Final[Mapping[type[Any], Callable[[CouncilBoard, Any, float], None]]] = {
    told.RoundBegan: CouncilBoard._round,  # noqa: SLF001 - its own table
    told.StatementCommitted: CouncilBoard._said,  # noqa: SLF001
    told.MemberAbsent: CouncilBoard._absent,  # noqa: SLF001
    told.AskedAgain: CouncilBoard._again,  # noqa: SLF001
}
