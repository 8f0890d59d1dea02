"""The time axis of a report: from moments to percent of its width.

A run that died at night and was resumed in the morning has hours in which nothing
happened: they are folded, or nobody could see the minutes in which something did.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, Self

from attrs import frozen

WHOLE: Final = 100.0
LONG: Final = 0.25  # of the time that was worked: a longer pause is folded
FOLD: Final = 0.04  # of the time that was worked: what a folded pause looks like
MAX_TICKS: Final = 8  # as many labels as a phone has room for
_STEPS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200)
_LARGEST: Final = 86400.0
_MINUTE, _HOUR = 60, 3600


@frozen
class Axis:
    """Stretches of work, each (start, end, width of the fold before it); seconds."""

    stretches: tuple[tuple[float, float, float], ...]
    paused: float = 0.0

    @classmethod
    def of(cls, spans: Iterable[tuple[float, float]]) -> Self:
        """The axis on which all these lie."""
        merged: list[list[float]] = []
        for start, end in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        if not merged:
            return cls(((0.0, 0.0, 0.0),))
        worked = sum(end - start for start, end in merged)
        return cls(*_folded(merged, worked))

    @property
    def seconds(self) -> float:
        """From the first moment to the last."""
        return self.stretches[-1][1] - self.stretches[0][0]

    def place(self, moment: float) -> float:
        """Percent from the left; of a moment that the axis holds."""
        total = self._widths[-1] or 1.0
        before = 0.0
        for (start, end, fold), reached in zip(
            self.stretches, self._widths, strict=True
        ):
            if moment <= end:
                inside = max(moment - start, 0.0)
                return min((before + fold + inside) / total * WHOLE, WHOLE)
            before = reached
        return WHOLE

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Where a label stands, and what it says: the time since the start."""
        step = next(
            (each for each in _STEPS if self._widths[-1] / each <= MAX_TICKS), _LARGEST
        )
        first = self.stretches[0][0]
        taken = -WHOLE
        for start, end, _ in self.stretches:
            number = -(-(start - first) // step)
            while self.seconds and first + number * step <= end:
                at = self.place(first + number * step)
                # Labels on both sides of a fold would lie upon each other.
                if at - taken >= WHOLE / MAX_TICKS / 2:
                    yield at, _label(number * step, step)
                    taken = at
                number += 1

    def breaks(self) -> tuple[tuple[float, float], ...]:
        """Where a pause is folded: its middle in percent, and the seconds left out."""
        found = []
        total = self._widths[-1] or 1.0
        for at, (start, _, fold) in enumerate(self.stretches[1:], start=1):
            middle = (self._widths[at - 1] + fold / 2) / total * WHOLE
            found.append((middle, start - self.stretches[at - 1][1]))
        return tuple(found)

    @property
    def _widths(self) -> list[float]:
        """What each stretch reaches to, of the whole width in seconds."""
        return list(
            accumulate(fold + end - start for start, end, fold in self.stretches)
        )


def _folded(
    merged: list[list[float]], worked: float
) -> tuple[tuple[tuple[float, float, float], ...], float]:
    stretches = [(merged[0][0], merged[0][1], 0.0)]
    paused = 0.0
    for start, end in merged[1:]:
        pause = start - stretches[-1][1]
        if worked and pause > worked * LONG:
            paused += pause
            stretches.append((start, end, worked * FOLD))
        else:
            stretches[-1] = (stretches[-1][0], end, stretches[-1][2])
    return tuple(stretches), paused


def _label(seconds: float, step: float) -> str:
    if step < _MINUTE:
        return f"{seconds:.0f} s"
    if step < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h"
