"""Ctrl-C in three steps; SIGTERM and SIGHUP stop at once, with the grace.

Handlers are the command line's, for as long as a run takes: a host that uses muster
as a library keeps its own.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from attrs import define, field

from muster.infrastructure.cli.exit_codes import ExitCode

_CODES: Final = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HUNG_UP,
}
_REASONS: Final = {
    signal.SIGINT: "interrupted (Ctrl-C)",
    signal.SIGTERM: "terminated (SIGTERM)",
    signal.SIGHUP: "hung up (SIGHUP)",
}


class Stoppable(Protocol):
    """What the signals act on: a fleet."""

    def drain(self, reason: str = ...) -> None:
        """Starts nothing new."""
        ...

    def stop(self, reason: str = ...) -> None:
        """Ends what runs."""
        ...


@define(eq=False)
class Interruptions:
    """Turns signals into draining, stopping and leaving; ``code`` remembers the first."""

    fleet: Stoppable
    say: Callable[[str], object]
    running: Callable[[], int]
    leave: Callable[[], object] = lambda: None
    exit_now: Callable[[int], object] = os._exit
    code: ExitCode | None = field(default=None, init=False)
    _steps: int = field(default=0, init=False)

    @contextmanager
    def handled(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Signals are handled inside the block, and are as before after it."""
        taken: list[signal.Signals] = []
        for number in _CODES:
            # Under nohup, and in the background of a shell script, a signal is
            # ignored on purpose.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.receive, number)
                taken.append(number)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)

    def receive(self, number: signal.Signals) -> None:
        """Acts on a signal."""
        if self.code is None:
            self.code = _CODES[number]
        # Whoever terminates a program does not mean "finish first".
        self._steps = max(self._steps + 1, 1 if number == signal.SIGINT else 2)
        if self._steps == 1:
            self._drain(_REASONS[number])
        elif self._steps == 2:  # noqa: PLR2004 - the second of three steps
            self._stop(_REASONS[number])
        else:
            self.leave()
            self.exit_now(int(self.code))

    def lost(self, reason: str) -> None:
        """Nobody reads the results any more: stops."""
        self._steps = max(self._steps, 2)
        self.say(f"{reason}: ending what runs")
        self.fleet.stop(reason)

    def _drain(self, reason: str) -> None:
        count = self.running()
        still = "nothing is running" if not count else f"{count} still running"
        self.say(
            f"{reason}: nothing new is started, {still}; "
            "Ctrl-C again ends them now, a third time leaves at once"
        )
        self.fleet.drain(reason)

    def _stop(self, reason: str) -> None:
        self.say(f"{reason}: ending {self.running()} running; Ctrl-C leaves at once")
        self.fleet.stop(reason)
