"""The lines of an answer while it is written, for whoever wants them."""

from muster.application.observer import Observer
from muster.domain.lines import LineSplitter


class OutputLines:
    """Cuts what an agent says into lines and tells each once it is whole."""

    __slots__ = ("_observer", "_splitter")

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._splitter = LineSplitter()

    def feed(self, data: bytes | memoryview) -> None:
        """More of it."""
        for line in self._splitter.feed(data):
            self._observer.line(line)

    def flush(self) -> None:
        """It is over: the last line, where it has no end."""
        for line in self._splitter.finish():
            self._observer.line(line)
