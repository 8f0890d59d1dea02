"""Whether a silent agent is thinking, or gone: fed with output, asked at times.

Nothing here polls: `next_look` says when silence could become a fact, and until
then nobody needs to ask. Output, CPU time of the family and open tool calls are
signs of life and begin a new episode.
"""

from collections.abc import Callable
from math import inf

from attrs import frozen
from muster.domain import presets
from muster.domain.outcome import Failure, FailureCause
from muster.domain.spawn_policy import EarlyDetectionConfig, TimeoutPolicy


@frozen
class SilenceWarning:
    """Half of the allowed silence is over. Seconds."""

    silent_for: float
    limit: float


class Health:
    """The silence of one agent, judged by its policy. Times are monotonic seconds."""

    __slots__ = (
        "_cpu",
        "_cpu_at",
        "_episode",
        "_last_sign",
        "_policy",
        "_seen_stalled",
        "_settled",
        "_stall",
        "_warned",
        "last_output_at",
        "next_look",
        "total_bytes",
    )

    def __init__(
        self, policy: TimeoutPolicy, stall: EarlyDetectionConfig, started_at: float
    ) -> None:
        self._policy = policy
        self._stall = stall
        self._last_sign = self._episode = started_at
        self._warned = False
        self._seen_stalled = 0
        self._settled = False
        self._cpu: float | None = None
        self._cpu_at = started_at
        self.last_output_at: float | None = None
        self.total_bytes = 0
        self.next_look = started_at + self._limit() * presets.SILENCE_WARNING_FRACTION

    def heard(self, now: float, size: int) -> None:
        """Takes note of output; may bring `next_look` forward. Called for every chunk."""
        self.last_output_at = self._last_sign = now
        self.total_bytes += size
        if not self._settled:
            self._settle()

    def look(
        self,
        now: float,
        vitals: Callable[[], float | None] | None = None,
        *,
        busy: bool = False,
    ) -> Failure | SilenceWarning | None:
        """Judges the silence at ``now`` and sets the next look.

        ``vitals`` gives the CPU seconds that the family has used so far, where
        that is known; it is called only when the silence is long enough to ask.
        ``busy`` says that a tool call of the agent is open.
        """
        if busy:
            self._last_sign = now
        if self._last_sign != self._episode:
            self._begin_episode()
        limit = self._limit()
        half = limit * presets.SILENCE_WARNING_FRACTION
        if now >= self._last_sign + half and self._works(now, vitals):
            self._last_sign = now
            self._begin_episode()
        # Moments are compared, not spans: (a + b) - a can be less than b, and a
        # look that comes "too early" for ever would ask to be repeated for ever.
        if now < self._last_sign + half:
            self._look_again_at(self._last_sign + half)
            return None
        failure = self._failure(now)
        if failure is not None or self._warned:
            return failure
        self._warned = True
        return SilenceWarning(now - self._last_sign, limit)

    def forgive(self, lag: float) -> None:
        """Leaves out ``lag`` seconds in which we, not the agent, were slow."""
        self._last_sign += lag
        self._episode += lag
        self._cpu_at += lag
        self.next_look += lag

    def _settle(self) -> None:
        # The limit is another one after the first byte, and once more when the
        # stall detector arms itself.
        enough = self.total_bytes >= self._stall.min_output_bytes
        self._settled = enough or not self._stall.enabled
        half = self._limit() * presets.SILENCE_WARNING_FRACTION
        self.next_look = min(self.next_look, self._last_sign + half)

    def _failure(self, now: float) -> Failure | None:
        silent_for = now - self._last_sign
        if now >= self._last_sign + self._silence_limit():
            return self._inactive(silent_for)
        if now >= self._last_sign + self._stall_limit():
            self._seen_stalled += 1
            if self._seen_stalled >= presets.STALL_CHECKS:
                return self._stalled(silent_for)
            self._look_again_at(now + self._stall.check_interval)
            return None
        self._look_again_at(self._last_sign + self._limit())
        return None

    def _look_again_at(self, moment: float) -> None:
        self.next_look = min(moment, self._last_sign + self._silence_limit())

    def _silence_limit(self) -> float:
        if self.last_output_at is None:
            limit = self._policy.first_output_timeout
        else:
            limit = self._policy.no_activity_timeout
        return inf if limit is None else limit

    def _stall_limit(self) -> float:
        stall = self._stall
        armed = stall.enabled and self.total_bytes >= stall.min_output_bytes
        return stall.stall_threshold if armed else inf

    def _limit(self) -> float:
        return min(self._silence_limit(), self._stall_limit())

    def _begin_episode(self) -> None:
        self._episode = self._last_sign
        self._warned = False
        self._seen_stalled = 0
        self._cpu = None

    def _works(self, now: float, vitals: Callable[[], float | None] | None) -> bool:
        # The first look of an episode only takes the base line: what the family
        # did before it fell silent says nothing about what it does now.
        before, before_at = self._cpu, self._cpu_at
        self._cpu, self._cpu_at = vitals() if vitals else None, now
        if self._cpu is None or before is None or now <= before_at:
            return False
        return self._cpu - before >= presets.CPU_LIFE_FRACTION * (now - before_at)

    def _inactive(self, silent_for: float) -> Failure:
        never = self.last_output_at is None
        text = "no first output" if never else "no output"
        return Failure(
            FailureCause.NO_ACTIVITY,
            f"No activity: {text} for {silent_for:.0f} s",
            detection_time_ms=silent_for * 1000,
        )

    def _stalled(self, silent_for: float) -> Failure:
        return Failure(
            FailureCause.STALL,
            f"Stalled: no output for {silent_for:.0f} s "
            f"({presets.STALL_CHECKS} checks)",
            detection_time_ms=silent_for * 1000,
        )
