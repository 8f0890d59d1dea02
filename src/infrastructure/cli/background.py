"""Writes for the event loop in a thread of its own.

Whoever reads our output may stop reading (a stopped pager, Ctrl-S, a full pipe). Then
this thread waits, and the agents are watched all the same.
"""

import os
import queue
import threading
from collections.abc import Callable
from typing import Final

from attrs import define, field

from muster.infrastructure.cli.streams import OutputLostError

CLOSE_SECONDS: Final = 2.0
Deed = Callable[[], object]


@define(eq=False)
class Background:
    """Does deeds in order. After one that fails, no other is done.

    ``on_lost`` is called once, from the thread.
    """

    on_lost: Callable[[OutputLostError], object] | None = None
    lost: OutputLostError | None = field(default=None, init=False)
    _deeds: "queue.SimpleQueue[Deed | None]" = field(
        factory=queue.SimpleQueue, init=False
    )
    _thread: threading.Thread | None = field(default=None, init=False)

    def do(self, deed: Deed) -> None:
        """Takes the deed; at once."""
        if self.lost is not None:
            return
        self._deeds.put(deed)
        if self._thread is None:
            # A daemon: a reader that never reads must not keep us from ending.
            self._thread = threading.Thread(
                target=self._run, name="muster-output", daemon=True
            )
            self._thread.start()

    def close(self, timeout: float | None = CLOSE_SECONDS) -> None:
        """Waits until everything is done; None waits as long as it takes."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._deeds.put(None)
            thread.join(timeout)

    def _run(self) -> None:
        while (deed := self._deeds.get()) is not None:
            if self.lost is not None:
                continue
            try:
                deed()
            except (OSError, ValueError) as error:
                self._lose(
                    OutputLostError(getattr(error, "strerror", None) or str(error))
                )
            except OutputLostError as error:
                self._lose(error)

    def _lose(self, error: OutputLostError) -> None:
        self.lost = error
        if self.on_lost is not None:
            self.on_lost(error)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes to the descriptor itself.

    A thread that is stuck in Python's own stream holds its lock, and the interpreter
    aborts when it flushes that stream at its exit.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
