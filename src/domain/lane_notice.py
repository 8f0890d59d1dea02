"""What processes tell each other about a lane, and how far a wait is believed."""

import math

from attrs import frozen

from muster.domain import presets

_ROUNDING = 1e-6


@frozen
class LaneNotice:
    """A lane as one process sees it. Times are epoch seconds, ``rate`` is starts per second.

    ``writer`` names the process that told it; ``written_at`` lets a reader see
    how old the rate is.
    """

    gate_until: float | None = None
    rate: float | None = None
    parked_until: float | None = None
    reason: str = ""
    writer: str = ""
    written_at: float | None = None


def bounded_wait(seconds: float | None) -> float | None:
    """A wait that somebody else named, made safe: None, or within [0, a week].

    Backends send negative numbers, NaN, and epoch times where seconds belong.
    NaN says nothing, so it counts as not said.
    """
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), presets.LANE_MAX_WAIT)


def time_left(until: float, now: float, longest: float) -> float:
    """Seconds from ``now`` to ``until``, within [0, longest] whatever a clock did.

    Less than a microsecond is nothing: whoever slept exactly as long as told
    must not be sent to sleep again for what rounding left over.
    """
    left = until - now
    return min(left, longest) if left > _ROUNDING else 0.0
