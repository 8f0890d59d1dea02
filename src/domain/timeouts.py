"""How long one attempt may last: a deadline that moves while the agent talks."""

from muster.domain import presets
from muster.domain.spawn_policy import TimeoutPolicy


class AttemptDeadline:
    """The moment at which an attempt is over, by its policy.

    A progressive deadline that is reached is put off by half of the time it
    had, up to ``max_timeout``, if there was output within ``extension_threshold``
    before it; not otherwise. Times are monotonic seconds.
    """

    __slots__ = ("_allowed", "_policy", "_started_at", "due")

    def __init__(self, policy: TimeoutPolicy, started_at: float) -> None:
        self._policy = policy
        self._started_at = started_at
        self._allowed = (
            policy.timeout if policy.mode == "fixed" else policy.initial_timeout
        )
        self.due = started_at + self._allowed

    @property
    def allowed(self) -> float:
        """Seconds that the attempt may last as things stand."""
        return self._allowed

    @property
    def extended(self) -> bool:
        """Whether the deadline was put off at least once."""
        policy = self._policy
        return policy.mode == "progressive" and self._allowed > policy.initial_timeout

    def reached(self, now: float, last_output_at: float | None) -> bool:
        """Whether the attempt is over at ``now``; puts the deadline off if it is not."""
        while now >= self.due:
            if not self._may_extend(last_output_at):
                return True
            self._allowed = min(
                self._allowed * presets.TIMEOUT_EXTENSION_FACTOR,
                self._policy.max_timeout,
            )
            self.due = self._started_at + self._allowed
        return False

    def forgive(self, lag: float) -> None:
        """Moves the deadline by ``lag`` seconds in which we, not the agent, were slow."""
        self._started_at += lag
        self.due += lag

    def _may_extend(self, last_output_at: float | None) -> bool:
        policy = self._policy
        return (
            policy.mode == "progressive"
            and last_output_at is not None
            and self.due - last_output_at <= policy.extension_threshold
            and self._allowed < policy.max_timeout
        )


def latest(a: float | None, b: float | None) -> float | None:
    """The later of two moments, either of which may not have come."""
    return b if a is None else a if b is None else max(a, b)
