"""Who shows a run while it goes on: a live table, plain lines, or nobody."""

from collections.abc import Iterable
from typing import Protocol

from attrs import define

from muster.application.ports.event_sink import EventSink
from muster.domain.fleet_events import FleetEvent


class View(Protocol):
    """An event sink for people, which also passes on what muster has to say."""

    def emit(self, event: FleetEvent) -> None:
        """Shows the event."""
        ...

    def say(self, text: str) -> None:
        """Shows a line of talk."""
        ...

    def close(self) -> None:
        """Leaves the terminal as it was. Again: does nothing."""
        ...


@define(eq=False)
class FanOut:
    """Tells several sinks; one that fails is left out from then on."""

    sinks: list[EventSink]

    @classmethod
    def to(cls, sinks: Iterable[EventSink | None]) -> "FanOut":
        """To those that exist."""
        return cls([each for each in sinks if each is not None])

    def emit(self, event: FleetEvent) -> None:
        """See `EventSink`."""
        fault: Exception | None = None
        for sink in tuple(self.sinks):
            try:
                sink.emit(event)
            except Exception as error:  # noqa: BLE001 - the others must hear it too
                self.sinks.remove(sink)
                fault = error
        if fault is not None:
            raise fault
