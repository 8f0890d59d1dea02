"""The live table, plain lines and JSON lines, fed with made-up events."""

import io
import json
import threading
from pathlib import Path

import pytest
from rich.console import Console

from muster.domain.fleet_events import FleetEvent
from muster.infrastructure.cli.background import Background
from muster.infrastructure.cli.board import Board, names_of
from muster.infrastructure.cli.jsonl import JsonLines
from muster.infrastructure.cli.live import LiveView
from muster.infrastructure.cli.plain import PlainView
from muster.infrastructure.cli.streams import OutputLostError
from muster.infrastructure.cli.views import FanOut
from tests.unit.infrastructure.cli import story


def live(count: int, width: int = 80, height: int = 24) -> LiveView:
    """A view on a screen of that size, which is not drawn by itself."""
    console = Console(file=io.StringIO(), width=width, height=height, markup=False)
    tasks = [(index, f"t{index}", None) for index in range(count)]
    now = story.Now()
    return LiveView(Board.of(names_of(tasks, {0: "the title"}), 5, now()), console, now)


def screen(view: LiveView) -> list[str]:
    """What stands on it."""
    with view.console.capture() as capture:
        view.console.print(view.picture())
    return capture.get().splitlines()


def test_the_table_shows_who_does_what() -> None:
    """Task, agent, state, attempt, age, silence, last line; then the progress."""
    view = live(3)
    view.emit(story.started(1, "ann", 2))
    view.emit(story.said(1, "thinking hard"))

    header, first, second, _, progress = screen(view)

    assert header.split() == [
        "task",
        "agent",
        "state",
        "try",
        "age",
        "idle",
        "last",
        "line",
    ]
    assert first.split() == ["t0", "waiting", "the", "title"]
    assert second.split() == [
        "t1",
        "ann",
        "running",
        "2",
        "0:00",
        "0:00",
        "thinking",
        "hard",
    ]
    assert progress.rstrip() == "0/3 done, 1 running, 2 waiting | 0:00"


@pytest.mark.parametrize(("width", "height"), [(40, 10), (80, 24), (120, 40)])
def test_the_table_fits_any_terminal(width: int, height: int) -> None:
    """72 agents with long names and wide characters."""
    view = live(72, width, height)
    for index in range(72):
        view.emit(story.started(index, "an-agent-with-a-very-long-name"))
        view.emit(story.said(index, "日本語のテキスト" * 40))

    lines = screen(view)

    assert len(lines) < height
    assert all(
        sum(2 if ord(each) > 0x2E7F else 1 for each in line) <= width for line in lines
    )
    assert "running" in lines[1]


def test_agents_can_t_draw_on_the_table() -> None:
    """Neither escapes nor markup nor several lines."""
    view = live(1)
    view.emit(story.started(0, "ann"))
    view.emit(story.said(0, story.EVIL))

    lines = screen(view)

    assert len(lines) == 3
    assert lines[1].rstrip().endswith("red bidi [bold]")


def test_tokens_and_cost_are_shown_where_known() -> None:
    """On a wide terminal only."""
    for width, has_cost in ((120, True), (80, False)):
        view = live(1, width)
        view.emit(story.ended(0, usage=story.COSTS))
        text = "\n".join(screen(view))
        assert ("1,234" in text and "$0.500" in text) is has_cost


def test_failures_are_printed_above_the_table_as_they_happen() -> None:
    """And so is what muster has to say; a success is in the table only."""
    view = live(3)
    view.start()
    view.emit(story.ended(0))
    view.emit(story.ended(1, story.LIMIT))
    view.emit(story.retry(2))
    view.say("Ctrl-C: 1 still running")
    view.close()
    view.close()

    text = view.console.file.getvalue()  # type: ignore[attr-defined]
    assert "t1: failed: rate_limit: Error: 429" in text
    assert "t2: retry 1 in 3.0 s" in text
    assert "Ctrl-C: 1 still running" in text
    assert "t0: done" not in text


def test_a_terminal_that_goes_away_stops_nobody() -> None:
    """Drawing ends; events are taken all the same."""
    view = live(1)

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    view.console.file = Gone()
    view.start()
    view.say("hello")
    view.emit(story.started(0))
    view.close()

    assert view.board.rows[0].attempt == 1


def test_a_terminal_that_is_stopped_stops_nobody() -> None:
    """With Ctrl-S a write waits for ever; the events don't."""
    view, stopped = live(1), threading.Event()

    class Stopped(io.StringIO):
        def write(self, text: str) -> int:
            stopped.wait()
            return len(text)

    view.console.file = Stopped()
    view.start()
    for number in range(1000):
        view.emit(story.said(0, str(number)))
    assert view.board.rows[0].last_line == "999"
    stopped.set()
    view.close()


def plain(**options: object) -> tuple[PlainView, list[bytes], story.Now]:
    """A plain view that writes into a list."""
    lines: list[bytes] = []
    now = story.Now()
    return PlainView(now, lines.append, **options), lines, now  # type: ignore[arg-type]


def test_plain_lines() -> None:
    """One per event, with the seconds since the start, and no ANSI."""
    view, lines, now = plain()
    view.say("run x: 1 task")
    now.seconds += 1.25
    view.emit(story.started(0))
    view.emit(story.said(0, "not shown"))
    view.emit(story.ended(0, story.LIMIT))
    view.say(story.EVIL)
    view.close()

    assert lines[0] == b"run x: 1 task\n"
    assert lines[1] == b"[    1.2s] t0: started with sh\n"
    assert lines[2].startswith(b"[    1.2s] t0: failed: rate_limit")
    assert len(lines) == 4
    assert b"\x1b" not in lines[3]


def test_quiet_says_no_event() -> None:
    """But passes on what must be said."""
    view, lines, _ = plain(is_quiet=True)
    view.emit(story.started(0))
    view.say("Ctrl-C")
    view.close()

    assert lines == [b"Ctrl-C\n"]


def test_plain_lines_mask_and_escape() -> None:
    """Secrets and characters that the terminal does not have."""
    view, lines, _ = plain(
        mask=lambda text: text.replace("secret", "***"), encoding="ascii"
    )
    view.say("the secret é")
    view.close()

    assert lines == [b"the *** \\xe9\n"]


def json_lines() -> tuple[JsonLines, list[bytes], story.Now]:
    """JSON lines that are written into a list."""
    lines: list[bytes] = []
    now, background = story.Now(), Background()
    sink = JsonLines(
        "run-1",
        now,  # type: ignore[arg-type]
        background,
        lambda value: value,
        lambda result: Path("results") / f"{result.task_id}.json",
        lines.append,
    )
    return sink, lines, now


def test_json_lines_carry_run_and_time() -> None:
    """And the fields of their event, without what drives terminals."""
    sink, lines, _ = json_lines()
    sink.tell("launch", {"tasks": ["t0"]})
    sink.emit(story.started(0, story.EVIL))
    sink.emit(story.ended(0, story.LIMIT))
    sink.background.close()

    launch, start, end = (json.loads(line) for line in lines)
    assert launch == {
        "event": "launch",
        "run_id": "run-1",
        "time": "T1800000100",
        "tasks": ["t0"],
    }
    assert (start["event"], start["attempt"]) == ("attempt_started", 1)
    assert "\x1b" not in start["agent"]
    assert end["failure"]["cause"] == "rate_limit"
    assert end["result"] == "results/t0.json"


def test_progress_is_told_twice_a_second_per_task() -> None:
    """However much an agent prints."""
    sink, lines, now = json_lines()
    for _ in range(100):
        sink.emit(story.said(0, "x"))
        sink.emit(story.said(1, "x"))
        now.seconds += 0.01
    sink.background.close()

    assert len(lines) == 2 * 2


def test_background_keeps_order_and_stops_at_the_first_loss() -> None:
    """Whoever waits for it is told once."""
    done: list[int] = []
    lost: list[OutputLostError] = []
    background = Background(lost.append)
    background.do(lambda: done.append(1))
    background.do(lambda: done.append(2))
    background.do(lambda: (_ for _ in ()).throw(OSError(28, "No space left")))
    background.do(lambda: done.append(3))
    background.close(None)
    background.do(lambda: done.append(4))
    background.close(None)

    assert done == [1, 2]
    assert [each.problem for each in lost] == ["No space left"]


class Recorder:
    """A sink that remembers, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.events: list[FleetEvent] = []
        self.fails = fails

    def emit(self, event: FleetEvent) -> None:
        """See `EventSink`."""
        self.events.append(event)
        if self.fails:
            raise ValueError


def test_a_sink_that_fails_is_left_out() -> None:
    """The others hear everything."""
    good, bad = Recorder(), Recorder(fails=True)
    sink = FanOut.to([bad, None, good])

    with pytest.raises(ValueError):  # noqa: PT011
        sink.emit(story.started(0))
    sink.emit(story.started(1))

    assert (len(good.events), len(bad.events)) == (2, 1)
