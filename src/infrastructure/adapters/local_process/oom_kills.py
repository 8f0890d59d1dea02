"""Whether the kernel's out-of-memory killer struck while an agent ran.

A SIGKILL tells nobody who sent it. The kernel counts its own; reading that for each
agent would cost more than the rare answer is worth, so it is read when one was killed.
"""

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Final

_REMEMBERED_LOOKS: Final = 64


class OomKills:
    """Compares counts of this machine's kills; the first is taken when it is made."""

    def __init__(self, count: "Callable[[], int | None] | None" = None) -> None:
        self._count = count or count_of_kernel
        self._looks = deque([(-inf, self._count())], maxlen=_REMEMBERED_LOOKS)

    def struck(self, since: float, now: float) -> bool | None:
        """Whether anybody was killed since the last look before ``since``.

        A few agents that end by one stroke each get the same answer. None where the
        kernel does not tell.
        """
        self._looks.append((now, self._count()))
        before = self._looks[0][1]
        for (moment, count), _ in pairwise(self._looks):
            if moment <= since:
                before = count
        latest = self._looks[-1][1]
        if latest is None or before is None:
            return None
        return latest > before


def count_of_kernel() -> int | None:
    """How many processes the kernel has killed for want of memory since its start."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
