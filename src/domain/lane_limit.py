"""How many attempts of a lane may run at once: additive increase, multiplicative decrease.

After Chiu and Jain (1989) and TCP's slow start (RFC 5681). Only rate limits
cut; what a backend's own errors do is decided by the lane's breaker.
"""

import math

from attrs import define, field

from muster.domain import presets


@define
class ConcurrencyLimit:
    """``limit`` is None until something says that there is one.

    A limit grows only while at least half of it was used in this round or the
    one before: growth that nobody used would have to be cut away again before a
    cut is felt.
    """

    limit: float | None = None
    _slow_start_until: float = field(default=math.inf, init=False)
    _before_collapse: float = field(default=0.0, init=False)
    _peak: int = field(default=0, init=False)
    _peak_before: int = field(default=0, init=False)
    _left_of_round: int = field(default=0, init=False)

    def allows(self, in_flight: int) -> bool:
        """Whether one more may start beside ``in_flight`` others."""
        return self.limit is None or in_flight + 1 <= self.limit

    def started(self, in_flight: int) -> None:
        """So many run now."""
        self._peak = max(self._peak, in_flight)

    def grow(self, in_flight: int) -> None:
        """After a success: doubles per round in slow start, then +1 per round."""
        limit = self.limit
        if limit is None:
            return
        if self._left_of_round <= 0:
            self._peak_before, self._peak = self._peak, in_flight
            self._left_of_round = int(limit)
        self._left_of_round -= 1
        if max(self._peak, self._peak_before) * 2 >= limit:
            is_slow_start = limit < self._slow_start_until
            self.limit = limit + (1.0 if is_slow_start else 1.0 / limit)

    def cut(self, in_flight: int) -> None:
        """Down to 0.8; a lane without a limit gets one from what is in flight.

        That first limit is not below the start limit: a lone first call that
        met a 429 says little about how many would fit.
        """
        if self.limit is None:
            base = max(in_flight * presets.LANE_CUT, presets.LANE_START_LIMIT)
        else:
            base = self.limit * presets.LANE_CUT
        self.limit = self._slow_start_until = max(1.0, base)

    def collapse(self, in_flight: int) -> None:
        """Begins again with slow start, for a backend that was gone.

        Slow start ends at half of what was in flight, as TCP's does after a
        timeout: with a queue of work behind it, doubling on would overshoot what
        the backend can do and fell it again. The first time it does not end
        below a full pool, for little in flight may have been little to do.
        """
        reached = max(self.limit or in_flight, presets.LANE_START_LIMIT)
        least = presets.LANE_START_LIMIT
        if reached >= self._before_collapse:
            self._before_collapse = reached
            least = presets.POOL_CAPACITY
        self._slow_start_until = max(least, reached / 2)
        self.limit = min(float(presets.LANE_START_LIMIT), self.limit or math.inf)
