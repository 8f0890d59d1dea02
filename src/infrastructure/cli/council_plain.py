"""A council in plain lines on stderr, or nothing but errors with ``--quiet``."""

from attrs import define

from muster.domain import fleet_events as events
from muster.domain.council_events import CouncilEvent
from muster.domain.fleet_events import FleetEvent
from muster.infrastructure.cli.council_words import council_words
from muster.infrastructure.cli.plain import PlainView

# Who starts and who answers is told by the council, in its own words.
_SILENT = (events.AttemptStarted, events.TaskEnded)


@define(eq=False)
class CouncilPlain(PlainView):
    """See `PlainView`; also hears what the council tells."""

    def emit(self, event: FleetEvent) -> None:
        """See `View`."""
        if not isinstance(event, _SILENT):
            # By name: attrs makes the class anew, and `super()` would not find it.
            PlainView.emit(self, event)

    def hear(self, event: CouncilEvent) -> None:
        """Takes an event of the council."""
        # On resuming, what was told before is told in sum.
        if not self.is_quiet and not getattr(event, "recalled", False):
            words = council_words(event)
            self._line(f"[{self.now() - self._began:7.1f}s] {words}")
