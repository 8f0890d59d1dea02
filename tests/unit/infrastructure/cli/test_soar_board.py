"""A question on the screen: phases, their subgoals, what is said of them."""

import io

import pytest
from rich.console import Console

from muster.application.soar.ledger import place_of
from muster.domain import fleet_events as events
from muster.domain.outcome import SpawnResult, Usage
from muster.domain.soar_events import (
    Phase,
    PhaseBegan,
    PhaseEnded,
    SoarEvent,
    SubgoalsRouted,
    Warned,
)
from muster.infrastructure.cli.board import State
from muster.infrastructure.cli.soar_board import SoarBoard
from muster.infrastructure.cli.soar_live import SoarLive
from muster.infrastructure.cli.soar_views import SoarPlain
from muster.infrastructure.cli.soar_words import soar_document, soar_words

ROUTED = SubgoalsRouted(((1, "adhoc-reader", "look"), (2, "coder", "tell")))
ENDED = PhaseEnded(Phase.DECOMPOSE, 2.0, "2 subgoals", 1, Usage(10, 5, None, 0.01))


def started(task_id: str) -> events.AttemptStarted:
    """The engine's word of it."""
    return events.AttemptStarted(place_of(task_id), task_id, "llm", "claude", 1)


def board_after(*told: SoarEvent | events.FleetEvent) -> SoarBoard:
    """The board that has heard all that."""
    board = SoarBoard.empty(4, 0.0)
    for moment, each in enumerate(told):
        if isinstance(each, SoarEvent):
            board.hear(each, float(moment))
        else:
            board.take(each, float(moment))
    return board


def states(board: SoarBoard) -> dict[str, str]:
    """What stands beside each name."""
    return {row.name.strip(): row.state.value for row in board.shown(99)}


def test_all_phases_wait_at_first() -> None:
    """In their order."""
    assert list(states(board_after())) == [each.value for each in Phase]
    assert set(states(board_after()).values()) == {"waiting"}


def test_a_model_is_shown_as_its_phase() -> None:
    """Also when it is asked once more."""
    board = board_after(PhaseBegan(Phase.DECOMPOSE), started("decompose-repair"))

    assert len(board.rows) == len(Phase)
    assert states(board)["decompose"] == "running"
    assert board.count(State.RUNNING) == 1


def test_subgoals_stand_below_their_phase() -> None:
    """With their agents, as they are worked on."""
    done = SpawnResult(success=True, task_id="s1", task_index=place_of("s1"))
    board = board_after(
        ENDED, ROUTED, started("s1"), started("s2"), events.TaskEnded(done)
    )

    assert list(states(board))[5:9] == ["collect", "s1", "s2", "synthesize"]
    assert (states(board)["s1"], states(board)["s2"]) == ("done", "running")
    assert states(board)["decompose"] == "done"
    assert board.total_usage() == Usage(10, 5, None, 0.01)


def test_a_phase_that_fails() -> None:
    """Is seen as such."""
    board = board_after(PhaseEnded(Phase.VERIFY, 0.1, "failed: no_subgoals"))

    assert states(board)["verify"] == "failed"


def test_on_the_screen() -> None:
    """One table, warnings above it."""
    screen = io.StringIO()
    console = Console(file=screen, width=120, height=40, force_terminal=False)
    board = board_after(ENDED, ROUTED, started("s2"))
    view = SoarLive(board, console, lambda: 9.0)
    view.hear(Warned("nothing was retrieved"))
    console.print(view.picture())

    shown = screen.getvalue()
    assert "decompose" in shown
    assert "2 subgoals" in shown
    assert "s2" in shown
    assert "coder" in shown
    assert "left" not in shown
    assert "tell" in shown


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (PhaseBegan(Phase.ASSESS), None),
        (Warned("x\x1b[31m"), "warning: x"),
        (ENDED, "decompose: 2 subgoals (2.0 s, 1 agent asked, 15 tokens, $0.0100)"),
        (
            PhaseEnded(Phase.ROUTE, 0.1, "2 agents known", recalled=True),
            "route: 2 agents known (known from before)",
        ),
        (ROUTED, "subgoals: s1 adhoc-reader: look; s2 coder: tell"),
    ],
)
def test_in_words(event: SoarEvent, words: str | None) -> None:
    """A line each, which drives no terminal; and as JSON."""
    assert soar_words(event) == words
    assert isinstance(soar_document(event), dict)


def test_in_plain_lines() -> None:
    """With the time since the start; nothing when quiet."""
    said: list[bytes] = []
    for is_quiet in (False, True):
        view = SoarPlain(lambda: 3.0, said.append, is_quiet=is_quiet)
        view.hear(ENDED)
        view.hear(PhaseBegan(Phase.VERIFY))
        view.close()

    assert [each.decode().split("] ")[1][:21] for each in said] == [
        "decompose: 2 subgoals"
    ]
