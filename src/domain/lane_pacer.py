"""When the next attempt of a lane may start: a gate, and a pace learnt from delivery."""

import math
from collections import deque

from attrs import define, field

from muster.domain import presets
from muster.domain.lane_notice import time_left

# A pace that has passed what the backend was last seen to refuse grows with
# this power of the excess: a token bucket of a few seconds is tolerated, and a
# pace that was misjudged is gone about a minute (at one start per second and
# more) after it has passed its ceiling, instead of ten.
_IMPATIENCE = 4
_LIFTED_AT = 4.0
# A delivery of so much of the pace is the pace, within the noise of counting.
_KEPT_PACE = 0.8


@define
class Pacer:
    """Spaces starts. ``rate`` is starts per second, None while nothing limits them;
    ``spacing`` the seconds that two starts are apart whatever the rate.

    On a cut the rate becomes 0.9 of the measured delivery. "Measured" means
    since demand last doubled or paused: what was delivered while nobody asked
    for more says nothing about what the backend can do.
    """

    spacing: float = 0.0
    rate: float | None = field(default=None, init=False)
    _ceiling: float = field(default=math.inf, init=False)
    _gate_until: float = field(default=-math.inf, init=False)
    _gate_length: float = field(default=0.0, init=False)
    _next_start: float = field(default=-math.inf, init=False)
    _measured_since: float = field(default=0.0, init=False)
    deliveries: deque[float] = field(
        factory=lambda: deque(maxlen=presets.LANE_DELIVERIES), init=False
    )

    def gated_for(self, now: float) -> float:
        """Seconds that the gate stays shut; never more than it was shut for."""
        return time_left(self._gate_until, now, self._gate_length)

    def spaced_for(self, now: float) -> float:
        """Seconds until the pace allows the next start."""
        gap = self._gap()
        return time_left(self._next_start, now, gap) if gap else 0.0

    def started(self, now: float) -> None:
        """One attempt starts now."""
        gap = self._gap()
        if gap:
            self._next_start = now + gap

    def _gap(self) -> float:
        return max(self.spacing, 0.0 if self.rate is None else 1.0 / self.rate)

    def hold(self, now: float, seconds: float) -> None:
        """Nobody starts for so long. An earlier, longer gate stays."""
        if now + seconds > self._gate_until or self.gated_for(now) == 0.0:
            self._gate_until = now + seconds
            self._gate_length = seconds

    def measure_from(self, now: float) -> None:
        """Forgets deliveries: demand is not what it was."""
        self.deliveries.clear()
        self._measured_since = now

    def slow(self, now: float) -> None:
        """The backend refused: 0.9 of its delivery, or half the pace if none is known."""
        delivery, rate = self._delivery(now), self.rate
        if delivery is None:
            rate = presets.LANE_FIRST_PACE if rate is None else rate / 2
        elif rate is None or delivery < _KEPT_PACE * rate:
            kept = presets.LANE_PACE_FRACTION * delivery
            rate = kept if rate is None else min(rate, kept)
        else:
            # The pace was delivered, and is known without the noise that a
            # count of some dozens has.
            rate *= presets.LANE_PACE_FRACTION
        self._next_start = now + 1.0 / self._set(rate)

    def adopt(self, rate: float) -> None:
        """Another process has learnt this pace; ours, if there is one, is better."""
        if self.rate is None:
            self._set(rate)

    def grow(self) -> None:
        """After a success at this pace."""
        if self.rate is None:
            return
        if self.rate > _LIFTED_AT * self._ceiling:
            self.rate = None
            return
        # Absolute growth gives every lane of more than one start per second the
        # same 20 s back to its ceiling; slower lanes need growth in proportion,
        # or each second call would be refused.
        step = presets.LANE_PACE_GROWTH * min(1.0, self.rate)
        excess = self.rate / self._ceiling
        self.rate += step * max(1.0, excess**_IMPATIENCE)

    def _set(self, rate: float) -> float:
        self.rate = rate = max(rate, presets.LANE_PACE_FLOOR)
        self._ceiling = rate / presets.LANE_PACE_FRACTION
        return rate

    def _delivery(self, now: float) -> float | None:
        count = len(self.deliveries)
        if count < presets.LANE_MIN_DELIVERIES:
            return None
        since = self._measured_since
        if count == self.deliveries.maxlen:
            since = self.deliveries[0]
        return count / max(now - since, 1.0)
