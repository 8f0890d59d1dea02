"""What time it is."""

from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for durations, epoch seconds for records."""

    def monotonic(self) -> float:
        """Seconds that never go back; the zero means nothing."""
        ...

    def epoch(self) -> float:
        """Seconds since 1970 UTC, for records and reset times; may jump."""
        ...

    def utc(self, epoch: float) -> str:
        """Epoch seconds as ISO 8601 in UTC, with the offset."""
        ...

    def zone_offset(self, zone: str | None, epoch: float) -> float | None:
        """Seconds east of UTC in ``zone`` (None: this machine's) then; None if unknown."""
        ...
