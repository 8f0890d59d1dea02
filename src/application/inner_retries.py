"""A tool that tries again by itself, and how long that is watched.

Its notices are activity without progress. While it waits as announced nobody calls
it silent; a cause that no trying cures, a wait that is longer than the patience, or
retries without progress for that long end the attempt with the cause they name.
"""

import asyncio
from collections.abc import Callable

from attrs import define, evolve, field

from muster.domain import presets
from muster.domain.events import RetryAnnounced
from muster.domain.outcome import Failure, FailureCategory, FailureCause


@define(eq=False)
class InnerRetries:
    """The retries of one attempt since its last progress. Moments are the loop's time."""

    loop: asyncio.AbstractEventLoop
    patience: float
    convict: Callable[[Failure], object]
    excused_until: float = field(default=0.0, init=False)
    _began_at: float = field(default=0.0, init=False)
    _failure: Failure | None = field(default=None, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def announced(self, event: RetryAnnounced) -> None:
        """It will try again."""
        now = self.loop.time()
        if self._timer is None:
            self._began_at = now
            self._timer = self.loop.call_at(now + self.patience, self._lose_patience)
        self._failure = event.failure or self._failure
        delay = presets.UNNAMED_RETRY_PATIENCE if event.delay is None else event.delay
        self.excused_until = now + delay
        if event.failure is not None and _is_firm(event.failure):
            self.convict(evolve(event.failure, detection_time_ms=0.0))
        elif event.delay is not None and event.delay > self.patience:
            # It would sleep through an hour: that can be had without the agent.
            failure = event.failure or Failure(FailureCause.OVERLOADED, event.message)
            self.convict(evolve(failure, retry_after=event.delay))

    def progressed(self) -> None:
        """What it tried has worked."""
        self.close()
        self._failure = None
        self.excused_until = 0.0

    def close(self) -> None:
        """Nothing is watched any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _lose_patience(self) -> None:
        failure = self._failure or Failure(
            FailureCause.NO_ACTIVITY, "it tries again and again, for no reason it names"
        )
        waited = self.loop.time() - self._began_at
        message = (
            f"no progress for {waited:.0f} s of its own retries: {failure.message}"
        )
        self.convict(evolve(failure, message=message, detection_time_ms=waited * 1000))


def _is_firm(failure: Failure) -> bool:
    return (
        failure.category is FailureCategory.PERMANENT
        or failure.cause is FailureCause.QUOTA
    )
