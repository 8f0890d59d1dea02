"""How a question stands: its phases and, under one of them, its subgoals."""

from typing import Final, Self

from attrs import define, field

from muster.application.soar.ledger import BEFORE, place_of
from muster.domain.fleet_events import AttemptStarted, FleetEvent
from muster.domain.soar_events import (
    Phase,
    PhaseBegan,
    PhaseEnded,
    SoarEvent,
    SubgoalsRouted,
)
from muster.infrastructure.cli.board import Board, Row, State

# The tasks that a phase puts to a model are shown as that phase.
_MODEL_TASKS: Final = {
    "decompose": Phase.DECOMPOSE,
    "decompose-repair": Phase.DECOMPOSE,
    "decompose-retry": Phase.VERIFY,
    "answer": Phase.SYNTHESIZE,
    "answer-repair": Phase.SYNTHESIZE,
    "synthesize": Phase.SYNTHESIZE,
    "synthesize-repair": Phase.SYNTHESIZE,
}
_AT: Final = {phase: at for at, phase in enumerate(Phase)}


@define(eq=False)
class SoarBoard(Board):
    """A board whose rows are phases and subgoals, in the order of the work."""

    _phase_of: dict[int, Phase] = field(factory=dict, init=False)
    _names: dict[int, str] = field(factory=dict, init=False)

    @classmethod
    def empty(cls, at_once: int, now: float) -> Self:
        """All phases, waiting."""
        board = cls(at_once, now)
        board._phase_of = {place_of(each): it for each, it in _MODEL_TASKS.items()}
        board.rows = {_key(each): Row(_key(each), each.value) for each in Phase}
        return board

    def hear(self, event: SoarEvent, now: float) -> None:
        """Takes note of what the pipeline tells."""
        self.version += 1
        if isinstance(event, PhaseBegan):
            row = self.rows[_key(event.phase)]
            row.state, row.started_at, row.heard_at = State.RUNNING, now, now
        elif isinstance(event, PhaseEnded):
            row = self.rows[_key(event.phase)]
            is_failed = event.detail.startswith("failed")
            row.state = State.FAILED if is_failed else State.DONE
            row.took, row.usage = event.seconds, event.usage
            row.last_line = event.detail
        elif isinstance(event, SubgoalsRouted):
            self._insert(event)

    def take(self, event: FleetEvent, now: float) -> None:
        """See `Board`; who was made up for a subgoal keeps the name it was given."""
        Board.take(self, event, now)
        if isinstance(event, AttemptStarted) and event.task_index in self._names:
            self.rows[event.task_index].agent = self._names[event.task_index]

    def seconds_left(self, now: float) -> float | None:
        """None: what a phase took says nothing of the next one."""
        return None

    def _insert(self, event: SubgoalsRouted) -> None:
        ordered: dict[int, Row] = {}
        for phase in Phase:
            ordered[_key(phase)] = self.rows[_key(phase)]
            if phase is not Phase.COLLECT:
                continue
            for number, name, text in event.subgoals:
                index = len(BEFORE) - 1 + number
                self._names[index] = name
                ordered[index] = Row(index, f"  s{number}", name, text)
        self.rows = ordered

    def _row(self, index: int) -> Row:
        phase = self._phase_of.get(index)
        if phase is not None:
            return self.rows[_key(phase)]
        return Board._row(self, index)  # noqa: SLF001 - its own base


def _key(phase: Phase) -> int:
    # Below all places of tasks.
    return _AT[phase] - len(_AT)
