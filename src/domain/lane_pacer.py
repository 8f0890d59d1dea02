"""When the next attempt of a lane may start: a gate, and a pace learnt from delivery."""

import math
from collections import deque

from attrs import define, field
from muster.domain import presets

# A pace that has passed what the backend was last seen to refuse grows with
# this power of the excess: a token bucket of a few seconds is tolerated, and a
# pace that was misjudged is gone about a minute (at one start per second and
# more) after it has passed its ceiling, instead of ten.
_IMPATIENCE = 4
_LIFTED_AT = 4.0


@define
class Pacer:
    """Spaces starts. ``rate`` is starts per second, None while nothing limits them.

    On a cut the rate becomes 0.9 of the measured delivery. "Measured" means
    since demand last doubled or paused: what was delivered while nobody asked
    for more says nothing about what the backend can do.
    """

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
        return max(0.0, min(self._gate_until - now, self._gate_length))

    def spaced_for(self, now: float) -> float:
        """Seconds until the pace allows the next start."""
        if self.rate is None:
            return 0.0
        return max(0.0, min(self._next_start - now, 1.0 / self.rate))

    def started(self, now: float) -> None:
        """One attempt starts now."""
        if self.rate is not None:
            self._next_start = now + 1.0 / self.rate

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
        delivery = self._delivery(now)
        if delivery is not None:
            rate = presets.LANE_PACE_FRACTION * delivery
            self.rate = rate if self.rate is None else min(self.rate, rate)
        elif self.rate is None:
            self.rate = presets.LANE_FIRST_PACE
        else:
            self.rate /= 2
        self.rate = max(self.rate, presets.LANE_PACE_FLOOR)
        self._ceiling = self.rate / presets.LANE_PACE_FRACTION
        self._next_start = now + 1.0 / self.rate

    def adopt(self, rate: float) -> None:
        """Another process has learnt this pace; ours, if there is one, is better."""
        if self.rate is None:
            self.rate = max(rate, presets.LANE_PACE_FLOOR)
            self._ceiling = self.rate / presets.LANE_PACE_FRACTION

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

    def _delivery(self, now: float) -> float | None:
        count = len(self.deliveries)
        if count < presets.LANE_MIN_DELIVERIES:
            return None
        since = self._measured_since
        if count == self.deliveries.maxlen:
            since = self.deliveries[0]
        return count / max(now - since, 1.0)
