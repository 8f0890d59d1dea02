"""Where the story of a fleet goes: logs, live tables, tests."""

from typing import Protocol

from muster.domain.fleet_events import FleetEvent


class EventSink(Protocol):
    """Gets every event of a fleet, in order."""

    def emit(self, event: FleetEvent) -> None:
        """Takes one event; synchronous, cheap. What it raises is logged and ignored."""
        ...
