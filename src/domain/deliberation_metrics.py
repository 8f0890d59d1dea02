"""What a monitor watches of agents that are asked at once."""

from attrs import asdict, frozen


@frozen
class DeliberationMetrics:
    """A reading. The first two are of the batch that ended last.

    ``pool_active_count`` is of now; ``pool_exhaustion_errors`` counts the batches
    that the pool had no room for.
    """

    concurrent_invocation_total_ms: float = 0.0
    agent_failure_count: int = 0
    pool_active_count: int = 0
    pool_exhaustion_errors: int = 0

    def to_dict(self) -> dict[str, float]:
        """By name."""
        return asdict(self)
