"""What became of agents that were asked at once: every request ends here, in order."""

from typing import Any

from attrs import frozen

from muster.domain.outcome import Failure
from muster.domain.task import AgentOutput


@frozen
class AgentFailure:
    """One agent's missing answer: why, after how many starts, after how many seconds.

    ``attempts`` is 0 for an agent that was never invoked.
    """

    agent_id: str
    request_id: str | None
    failure: Failure
    attempts: int = 0
    duration: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "agent_id": self.agent_id,
            "request_id": self.request_id,
            "failure": self.failure.to_dict(),
            "attempts": self.attempts,
            "duration": self.duration,
        }


@frozen
class ConcurrentResult:
    """One batch. ``outputs`` and ``failures`` are in the order of the requests.

    Together they are as many as the requests, always. ``started_at`` and
    ``completed_at`` are epoch seconds. After a halt ``halted`` is true, and who had no
    answer by then is among the failures.
    """

    batch_id: str
    outputs: tuple[AgentOutput, ...]
    failures: tuple[AgentFailure, ...]
    started_at: float
    completed_at: float
    total_ms: float
    halted: bool = False
    halt_reason: str | None = None

    @property
    def failed_agents(self) -> tuple[str, ...]:
        """Whose answer is missing, by agent id, in the order of the requests."""
        return tuple(each.agent_id for each in self.failures)

    @property
    def success_count(self) -> int:
        """How many answered."""
        return len(self.outputs)

    @property
    def failure_count(self) -> int:
        """How many did not."""
        return len(self.failures)

    @property
    def total_count(self) -> int:
        """How many were asked."""
        return len(self.outputs) + len(self.failures)
