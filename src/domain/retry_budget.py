"""How many retries a fleet may make against one backend.

Each retry costs a token, each success earns a quarter: while a backend is dead,
the load on it falls to one attempt per task, and a brown-out is not kept alive
by the retries that it causes (the retry throttling of gRPC).
"""

from attrs import define, field

from muster.domain import presets


@define(eq=False)
class RetryBudget:
    """Tokens between 0 and ``capacity``; it begins full."""

    capacity: float = presets.RETRY_BUDGET_TOKENS
    tokens: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tokens = self.capacity

    @property
    def can_spend(self) -> bool:
        """Whether there is a whole token."""
        return self.tokens >= presets.RETRY_BUDGET_COST

    def try_spend(self) -> bool:
        """Takes the token for one retry. False: there is none; wait for successes."""
        if not self.can_spend:
            return False
        self.tokens -= presets.RETRY_BUDGET_COST
        return True

    def record_success(self) -> None:
        """An attempt succeeded: retries are affordable again."""
        self.tokens = min(self.capacity, self.tokens + presets.RETRY_BUDGET_REFUND)
