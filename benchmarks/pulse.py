"""A beat on the event loop: how late it was at worst, and how memory grew."""

import asyncio
import gc
import os
from pathlib import Path
from typing import Final, Self

BEAT: Final = 0.005


class Pulse:
    """Beats while its ``with`` lasts. ``late`` in seconds, ``growth`` in bytes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.growth = 0
        self.late = 0.0

    def __enter__(self) -> Self:
        # A collection of the benchmark's own leftovers is no stall of ours.
        gc.collect()
        self._memory = rss()
        self._due = self._loop.time() + BEAT
        self._timer = self._loop.call_at(self._due, self._beat)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        self._look()

    def _beat(self) -> None:
        self._due = self._look() + BEAT
        self._timer = self._loop.call_at(self._due, self._beat)

    def _look(self) -> float:
        now = self._loop.time()
        self.late = max(self.late, now - self._due)
        self.growth = max(self.growth, rss() - self._memory)
        return now


def rss() -> int:
    """Resident memory of this process in bytes."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
