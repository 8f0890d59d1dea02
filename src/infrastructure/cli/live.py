"""The live table on stderr: who does what, for how long, and what failed.

Taking an event costs a few assignments. One thread draws, at most five times a
second and only when something has changed; a terminal that is stopped (Ctrl-S) stops
that thread and nothing else.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from attrs import define, field
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from muster.domain import fleet_events as events
from muster.domain.fleet_events import FleetEvent
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.cli.board import Board, Row, State
from muster.infrastructure.cli.words import clock, event_words, is_left_out, one_line
from muster.infrastructure.cost_words import money

REDRAW_SECONDS: Final = 0.2
TICKS_PER_CLOCK: Final = 5  # redraws are left out while only the clocks would move
CLOSE_SECONDS: Final = 2.0
FRAME_LINES: Final = 4  # header, progress, and room for the prompt
WIDE: Final = 100  # from here on there is room for tokens and cost
_LAST_LINE: Final = 160

_STYLES: Final = {
    State.WAITING: "dim",
    State.RUNNING: "cyan",
    State.RETRY: "yellow",
    State.DONE: "green",
    State.FAILED: "red",
    State.LEFT_OUT: "dim",
}
# Printed above the table as they happen; the rest is in the table itself.
_NEWS: Final = (
    events.RetryScheduled,
    events.FallbackStarted,
    events.CircuitBlocked,
    events.LaneParked,
    events.LaneSlowed,
    events.SilenceWarned,
)


@define(eq=False)
class LiveView:
    """See `View`. ``now`` is a monotonic clock."""

    board: Board
    console: Console
    now: Callable[[], float]
    mask: Callable[[str], str] = str
    interval: float = REDRAW_SECONDS
    _news: deque[Text] = field(factory=deque, init=False)
    _is_over: threading.Event = field(factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """Begins to draw."""
        self._thread = threading.Thread(
            target=self._run, name="muster-live", daemon=True
        )
        self._thread.start()

    def emit(self, event: FleetEvent) -> None:
        """See `View`."""
        self.board.take(event, self.now())
        if isinstance(event, events.TaskEnded):
            if not event.result.success and not is_left_out(event.result):
                self._tell(event, "red")
        elif isinstance(event, _NEWS):
            self._tell(event, "yellow")

    def say(self, text: str) -> None:
        """See `View`."""
        self._news.append(Text(strip_terminal(self.mask(text)), style="bold"))

    def close(self) -> None:
        """See `View`. The table disappears; what was printed above it stays."""
        thread, self._thread = self._thread, None
        self._is_over.set()
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    def _tell(self, event: FleetEvent, style: str) -> None:
        words = event_words(event)
        if words is not None:
            self._news.append(Text(self.mask(words), style=style))

    def _run(self) -> None:
        try:
            self._draw()
        except (OSError, ValueError):
            # The terminal is gone. The run goes on, and its results are on disk.
            return

    def _draw(self) -> None:
        live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        seen, ticks = -1, 0
        with live:
            while not self._is_over.wait(self.interval):
                ticks += 1
                has_news = self._flush(live.console)
                version = self.board.version
                if has_news or version != seen or ticks >= TICKS_PER_CLOCK:
                    seen, ticks = version, 0
                    live.update(self.picture(), refresh=True)
            self._flush(live.console)

    def _flush(self, console: Console) -> bool:
        has_news = bool(self._news)
        while self._news:
            console.print(self._news.popleft(), soft_wrap=False)
        return has_news

    def picture(self) -> Group:
        """The table and the progress line, as wide and high as the terminal."""
        now, size = self.now(), self.console.size
        table = _table(self.board, now, size.width, max(1, size.height - FRAME_LINES))
        progress = Text(self.board.progress(now), style="bold", no_wrap=True)
        progress.truncate(size.width, overflow="ellipsis")
        return Group(table, progress)


def _table(board: Board, now: float, width: int, room: int) -> Table:
    usage = board.total_usage()
    is_wide = width >= WIDE and usage is not None
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    table.add_column("task", no_wrap=True, max_width=max(8, width // 5))
    table.add_column("agent", no_wrap=True, max_width=max(6, width // 7))
    table.add_column("state", no_wrap=True, width=8)
    table.add_column("try", no_wrap=True, justify="right", width=3)
    table.add_column("age", no_wrap=True, justify="right", width=6)
    table.add_column("idle", no_wrap=True, justify="right", width=5)
    if is_wide:
        table.add_column("tokens", no_wrap=True, justify="right", width=8)
        table.add_column("cost", no_wrap=True, justify="right", width=8)
    table.add_column("last line", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in board.shown(room):
        table.add_row(*_cells(row, now, is_wide=is_wide))
    return table


def _cells(row: Row, now: float, *, is_wide: bool) -> list[Text]:
    style = _STYLES[row.state]
    state = row.state.value
    if row.state is State.RETRY:
        state = f"in {max(0.0, row.due_at - now):.0f} s"
    cells = [
        Text(one_line(row.name), style="bold" if row.state is State.RUNNING else style),
        Text(one_line(row.agent), style=style),
        Text(state, style=style),
        Text(str(row.attempt) if row.attempt else "", style="dim"),
        Text(_clock(row.age(now)), style=style),
        Text(_clock(row.idle(now)), style="dim"),
    ]
    if is_wide:
        cells += [Text(_tokens(row)), Text(money(row.usage, 3))]
    # Before an agent has said anything, what it was asked.
    last = one_line(row.last_line, _LAST_LINE)
    asked = Text(one_line(row.title, _LAST_LINE), style="dim italic")
    return [*cells, Text(last, style="dim") if last else asked]


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else clock(seconds)


def _tokens(row: Row) -> str:
    used = None if row.usage is None else row.usage.tokens
    return "" if used is None else f"{used:,}"
