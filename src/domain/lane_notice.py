"""What processes tell each other about a lane, and how far a wait is believed."""

import math

from attrs import frozen
from muster.domain import presets


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
