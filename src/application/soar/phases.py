"""Keeps the time and the cost of each phase, and tells of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from attrs import define, field

from muster.application.ports.clock import Clock
from muster.application.soar.ledger import Ledger
from muster.domain.outcome import SpawnResult, Usage
from muster.domain.soar_events import (
    Phase,
    PhaseBegan,
    PhaseEnded,
    SoarEvent,
    Warned,
)


@define(eq=False)
class Note:
    """What a phase has to say at its end."""

    detail: str = ""


@define(eq=False)
class PhaseBook:
    """The phases so far. ``listener`` is told as they begin and end."""

    ledger: Ledger
    clock: Clock
    listener: Callable[[SoarEvent], object]
    phases: list[PhaseEnded] = field(factory=list, init=False)
    warnings: list[str] = field(factory=list, init=False)

    def warn(self, text: str) -> None:
        """Something is not as it should be, and the work goes on."""
        self.warnings.append(text)
        self.listener(Warned(text))

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[Note]:
        """Inside the block the phase is under way; one that fails is told, too."""
        ledger, note = self.ledger, Note()
        before = set(ledger.results)
        began = self.clock.monotonic()
        self.listener(PhaseBegan(phase))
        try:
            yield note
        except BaseException as error:
            note.detail = note.detail or f"failed: {error}"
            raise
        finally:
            new = {
                each: result
                for each, result in ledger.results.items()
                if each not in before
            }
            fresh = {
                each: result
                for each, result in new.items()
                if each not in ledger.recalled and result.attempts
            }
            ended = PhaseEnded(
                phase,
                self.clock.monotonic() - began,
                note.detail,
                len(fresh),
                _usage(fresh),
                recalled=bool(new) and ledger.recalled.issuperset(new),
            )
            self.phases.append(ended)
            self.listener(ended)


def _usage(results: Mapping[str, SpawnResult]) -> Usage | None:
    total: Usage | None = None
    for each in results.values():
        if each.usage is not None:
            total = each.usage if total is None else total + each.usage
    return total
