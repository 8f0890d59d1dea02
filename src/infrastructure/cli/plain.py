"""One line per event on stderr, for logs, pipes and screen readers. No ANSI."""

from collections.abc import Callable
from functools import partial

from attrs import define, field

from muster.domain.fleet_events import FleetEvent
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.cli.background import Background, write_all
from muster.infrastructure.cli.words import event_words


def to_stderr(data: bytes) -> None:
    """Writes to the descriptor of stderr."""
    write_all(2, data)


@define(eq=False)
class PlainView:
    """See `View`. Lines begin with the seconds since the start of the run.

    ``write`` gets whole lines; ``now`` is a monotonic clock.
    """

    now: Callable[[], float]
    write: Callable[[bytes], object] = to_stderr
    mask: Callable[[str], str] = str
    is_quiet: bool = False
    encoding: str = "utf-8"
    _began: float = field(init=False)
    _background: Background = field(factory=Background, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.now()

    def emit(self, event: FleetEvent) -> None:
        """See `View`."""
        words = None if self.is_quiet else event_words(event)
        if words is not None:
            self._line(f"[{self.now() - self._began:7.1f}s] {words}")

    def say(self, text: str) -> None:
        """See `View`."""
        self._line(text)

    def close(self) -> None:
        """See `View`."""
        self._background.close()

    def _line(self, text: str) -> None:
        line = strip_terminal(self.mask(text)) + "\n"
        data = line.encode(self.encoding, "backslashreplace")
        self._background.do(partial(self.write, data))
