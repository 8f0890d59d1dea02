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

    A limit grows only while at least half of it is used: growth that nobody
    used would have to be cut away again before a cut is felt.
    """

    limit: float | None = None
    _slow_start_until: float = field(default=math.inf, init=False)
    _before_collapse: float = field(default=0.0, init=False)

    def allows(self, in_flight: int) -> bool:
        """Whether one more may start beside ``in_flight`` others."""
        return self.limit is None or in_flight + 1 <= self.limit

    def grow(self, in_flight: int) -> None:
        """After a success: doubles per round in slow start, then +1 per round."""
        limit = self.limit
        if limit is None or in_flight * 2 < limit:
            return
        self.limit = limit + (1.0 if limit < self._slow_start_until else 1.0 / limit)

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

        Slow start ends at what was in use before (a full pool at least): doubling
        on, with a queue of work behind it, would overshoot what the backend can
        do by half and fell it again. When it does fall on the way back up, slow
        start ends at half of what was reached, as TCP's does after a timeout.
        """
        reached = max(self.limit or in_flight, presets.LANE_START_LIMIT)
        if reached < self._before_collapse:
            self._slow_start_until = max(presets.LANE_START_LIMIT, reached / 2)
        else:
            self._before_collapse = reached
            self._slow_start_until = max(reached, presets.POOL_CAPACITY)
        self.limit = min(float(presets.LANE_START_LIMIT), self.limit or math.inf)
