"""Stops a lane whose backend is gone, and asks now and then whether it is back.

It judges cohorts of admissions, never completions: failures come back sooner
than successes, so among completed attempts a healthy fleet looks sick.
"""

from bisect import bisect_right, insort

from attrs import define, field

from muster.domain import presets
from muster.domain.lane_notice import time_left

_REMEMBERED_FAILURES = 4 * presets.LANE_BREAKER_WINDOW


@define
class LaneBreaker:
    """Attempts are known by their number, counted from 1 in the order of admission.

    Only failures are remembered: in the cohort of the last 50 admitted before
    a failed one, whatever is not known to have failed (succeeded or in flight)
    counts as not failed.
    """

    _failed: list[int] = field(factory=list, init=False)
    _forgiven: int = field(default=0, init=False)
    _open_until: float = field(default=0.0, init=False)
    _open_for: float = field(default=0.0, init=False)
    _probe: int | None = field(default=None, init=False)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is held back."""
        return self._open_for == 0.0

    def wait(self, now: float) -> float:
        """Seconds until an attempt may start; 0.0 while closed or when a probe is due."""
        if self.is_closed:
            return 0.0
        # While a probe is out, its lease runs: a backend that swallows probes
        # must not keep the lane shut once it is back.
        longest = (
            self._open_for if self._probe is None else presets.LANE_BREAKER_OPEN_MAX
        )
        return time_left(self._open_until, now, longest)

    def started(self, number: int, now: float) -> None:
        """An attempt starts although the breaker is not closed: it is the probe."""
        self._probe = number
        self._open_until = now + presets.LANE_BREAKER_OPEN_MAX

    def succeeded(self, number: int, admitted: int) -> bool:
        """Whether this closes the breaker; a success from before the opening does not."""
        if self.is_closed or number <= self._forgiven:
            return False
        self._open_for = 0.0
        self._probe = None
        self._forget(admitted)
        return True

    def failed(self, number: int, now: float, admitted: int) -> bool:
        """Whether this opens the breaker, out of ``admitted`` attempts so far."""
        if not self.is_closed:
            if number == self._probe:
                doubled = min(2 * self._open_for, presets.LANE_BREAKER_OPEN_MAX)
                self._open(now, doubled)
            return False
        if not self._is_lost(number):
            return False
        self._forget(admitted)
        self._open(now, presets.LANE_BREAKER_OPEN)
        return True

    def released(self, number: int, now: float) -> None:
        """An attempt ended without a verdict; a lost probe frees its place at once."""
        if number == self._probe:
            self._probe = None
            self._open_until = now

    def _is_lost(self, number: int) -> bool:
        if number <= self._forgiven:
            return False
        insort(self._failed, number)
        if len(self._failed) > _REMEMBERED_FAILURES:
            del self._failed[: presets.LANE_BREAKER_WINDOW]
        before = max(self._forgiven, number - presets.LANE_BREAKER_WINDOW)
        size = number - before
        if size < presets.LANE_BREAKER_MIN:
            return False
        end = bisect_right(self._failed, number)
        failures = end - bisect_right(self._failed, before)
        return failures >= presets.LANE_BREAKER_FRACTION * size

    def _open(self, now: float, seconds: float) -> None:
        self._open_for = seconds
        self._open_until = now + seconds
        self._probe = None

    def _forget(self, admitted: int) -> None:
        self._failed.clear()
        self._forgiven = admitted
