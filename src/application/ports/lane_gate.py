"""What other processes of this user know about a lane."""

from typing import Protocol

from muster.domain.lane_notice import LaneNotice


class LaneGate(Protocol):
    """Shares waits between the processes of one user; slow enough to be asked rarely."""

    def read(self, lane: str) -> LaneNotice | None:
        """The latest notice of anybody else, or None."""
        ...

    def publish(self, lane: str, notice: LaneNotice) -> None:
        """Tells everybody. A failure to do so is not the caller's problem."""
        ...
