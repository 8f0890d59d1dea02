"""The machine's clocks behind the port."""

import time
from datetime import UTC, datetime

from attrs import frozen

from muster.infrastructure import time_zones


@frozen
class SystemClock:
    """Durations from the monotonic clock, records from the wall clock."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def epoch(self) -> float:
        """Seconds since 1970 UTC; may jump."""
        return time.time()  # noqa: TID251 -- this is the Clock port

    def utc(self, epoch: float) -> str:
        """ISO 8601 with milliseconds and offset."""
        return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")

    def zone_offset(self, zone: str | None, epoch: float) -> float | None:
        """See `time_zones.zone_offset`."""
        return time_zones.zone_offset(zone, epoch)
