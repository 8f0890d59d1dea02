"""The live table of a council: every member at a glance, in as many columns as it takes."""

from collections.abc import Sequence
from math import ceil
from posixpath import commonprefix
from typing import Any, Final, cast

from attrs import define, field
from rich.console import Group
from rich.table import Table
from rich.text import Text

from muster.domain import council_events as told
from muster.domain import fleet_events as events
from muster.domain.council import Phase
from muster.domain.council_events import CouncilEvent
from muster.domain.fleet_events import FleetEvent
from muster.infrastructure.cli.council_board import Chair, CouncilBoard, Seat
from muster.infrastructure.cli.council_words import council_words
from muster.infrastructure.cli.live import LiveView
from muster.infrastructure.cli.words import clock, event_words, one_line

FRAME_LINES: Final = 6  # headline, gaps, bar, progress, and room for the prompt
NARROWEST: Final = 18  # of a column
LEAST_SAID: Final = 16  # columns; less of a line tells nothing
WORD: Final = 10
MAX_NAME: Final = 24
BESIDE: Final = 4  # the mark and the gaps
ABSENCES_TOLD: Final = 5  # of a round; the table has them all
COLOURS: Final = ("green", "red", "yellow", "magenta", "blue", "cyan")
_MARKS: Final = {
    Seat.WAITS: (".", "dim"),
    Seat.THINKS: ("*", "cyan"),
    Seat.RETRIES: ("~", "yellow"),
    Seat.SPOKE: ("+", "green"),
    Seat.VOTED: ("+", "green"),
    Seat.ABSTAINED: ("o", "yellow"),
    Seat.UNREAD: ("?", "yellow"),
    Seat.ABSENT: ("x", "red"),
}
_ORDER: Final = tuple(_MARKS)
_NEWS: Final = (events.RetryScheduled, events.LaneParked, events.LaneSlowed)


@define(eq=False)
class CouncilLive(LiveView):
    """See `LiveView`; also hears what the council tells."""

    _absences: int = field(default=0, init=False)

    @property
    def council(self) -> CouncilBoard:
        """Its board is a council's."""
        return cast("CouncilBoard", self.board)

    def emit(self, event: FleetEvent) -> None:
        """See `View`. What became of a member is told by the council, once it is sure."""
        self.council.take(event, self.now())
        if isinstance(event, _NEWS):
            self._news.append(Text(self.mask(event_words(event) or ""), style="yellow"))

    def hear(self, event: CouncilEvent) -> None:
        """Takes an event of the council."""
        self.council.hear(event, self.now())
        style = self._style(event)
        if style is not None:
            self._news.append(Text(self.mask(council_words(event)), style=style))

    def _style(self, event: CouncilEvent) -> str | None:
        if isinstance(event, told.RoundBegan):
            self._absences = 0
        if isinstance(event, told.RoundEnded):
            return "bold"
        if isinstance(event, told.AskedAgain):
            return "yellow"
        if isinstance(event, told.MemberAbsent) and not event.recalled:
            self._absences += 1
            return "red" if self._absences <= ABSENCES_TOLD else None
        return None

    def picture(self) -> Group:
        """Everybody, the votes as a bar, and the progress line."""
        now, size, board = self.now(), self.console.size, self.council
        width = max(NARROWEST, size.width - 1)
        parts: list[Any] = [_cut(Text(board.headline(), style="bold"), width)]
        parts.append(_seats(board, now, width, max(1, size.height - FRAME_LINES)))
        if board.phase is Phase.VOTE:
            parts.append(_bar(board, width))
        parts.append(_cut(Text(board.progress(now), style="bold"), width))
        return Group(*parts)


def _cut(text: Text, width: int) -> Text:
    text.no_wrap = True
    text.truncate(width, overflow="crop")
    return text


def _seats(board: CouncilBoard, now: float, width: int, room: int) -> Table:
    chairs = list(board.chairs.values())
    columns = min(ceil(len(chairs) / room), max(1, width // NARROWEST))
    shown = _most_telling(chairs, columns * room)
    rows, cell = ceil(len(shown) / columns), width // columns
    word = _word_width(board)
    names = _labels([each.name for each in shown], cell - word - BESIDE)
    label = max(len(each) for each in names)
    table = Table.grid(padding=0)
    for _ in range(columns):
        table.add_column(no_wrap=True, width=cell)
    texts = [
        _seat(chair, name.ljust(label), board, now, (cell, word))
        for chair, name in zip(shown, names, strict=True)
    ]
    for row in range(rows):
        # Down the columns, as one reads a list of names.
        table.add_row(*texts[row::rows])
    return table


def _word_width(board: CouncilBoard) -> int:
    words = ["absent"]
    if board.phase is Phase.VOTE:
        words = ["abstains", *board.council.choices]
    return min(WORD, max(map(len, words)))


def _labels(names: Sequence[str], width: int) -> list[str]:
    """The names within that width; what they all begin with is left out first."""
    longest = max(len(each) for each in names)
    if longest > width:
        common = commonprefix(list(names))
        stem = common[: max(common.rfind("-"), common.rfind(" ")) + 1]
        names = [each.removeprefix(stem) for each in names]
    return [one_line(each, max(4, min(width, MAX_NAME))) for each in names]


def _most_telling(chairs: Sequence[Chair], room: int) -> Sequence[Chair]:
    if len(chairs) <= room:
        return chairs
    urgency = (Seat.THINKS, Seat.RETRIES, Seat.UNREAD, Seat.ABSENT)
    ranked = sorted(chairs, key=lambda each: each.seat not in urgency)[:room]
    kept = {each.name for each in ranked}
    return [each for each in chairs if each.name in kept]


def _seat(
    chair: Chair, name: str, board: CouncilBoard, now: float, room: tuple[int, int]
) -> Text:
    width, word = room
    mark, style = _MARKS[chair.seat]
    if chair.seat is Seat.VOTED:
        style = _colour(board, chair.choice)
    text = Text(f"{mark} {name} ", style=style)
    text.append(one_line(_word(chair, now), word).ljust(word), style=style)
    left = width - text.cell_len - BESIDE
    if left >= LEAST_SAID and chair.said:
        text.append(f" {one_line(chair.said, left)}", style="dim")
    return _cut(text, width - 1)


def _word(chair: Chair, now: float) -> str:
    idle = chair.idle(now)
    if idle is not None:
        return clock(idle)
    words = {
        Seat.VOTED: chair.choice,
        Seat.RETRIES: "retries",
        Seat.ABSTAINED: "abstains",
        Seat.UNREAD: "unread",
        Seat.ABSENT: "absent",
    }
    return words.get(chair.seat, "")


def _colour(board: CouncilBoard, choice: str) -> str:
    at = board.council.choices.index(choice)
    return COLOURS[at % len(COLOURS)]


def _bar(board: CouncilBoard, width: int) -> Text:
    total, bar = len(board.chairs), Text(no_wrap=True)
    for choice, votes in board.tally().items():
        bar.append("=" * round(votes * width / total), style=_colour(board, choice))
    bar.append("-" * max(0, width - bar.cell_len), style="dim")
    return _cut(bar, width)
