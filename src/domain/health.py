"""Whether a silent agent is thinking, or gone.

Nothing here polls and nothing is fed: `next_look` says when silence could become
a fact, and until then nobody needs to ask. Output, CPU time of the family and
open tool calls are signs of life and begin a new episode of silence.
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


def first_look_after(policy: TimeoutPolicy, stall: EarlyDetectionConfig) -> float:
    """Seconds after the start before which no silence can be worth a look.

    It is the same whether or not something is written meanwhile, so output never
    has to bring a look forward.
    """
    limits = (
        policy.first_output_timeout,
        policy.no_activity_timeout,
        stall.stall_threshold if stall.enabled else None,
    )
    shortest = min((limit for limit in limits if limit is not None), default=inf)
    return max(shortest * presets.SILENCE_WARNING_FRACTION, presets.SHORTEST_LOOK)


class Health:
    """The silence of one agent, judged by its policy. Times are monotonic seconds.

    ``cpu_life`` is the part of a core above which its family works.
    """

    __slots__ = (
        "_cpu",
        "_cpu_at",
        "_cpu_life",
        "_episode",
        "_heard",
        "_last_sign",
        "_policy",
        "_seen_stalled",
        "_shortest",
        "_stall",
        "_total",
        "_warned",
        "next_look",
    )

    def __init__(
        self,
        policy: TimeoutPolicy,
        stall: EarlyDetectionConfig,
        started_at: float,
        *,
        cpu_life: float = presets.CPU_LIFE_FRACTION,
    ) -> None:
        self._cpu_life = cpu_life
        self._policy = policy
        self._stall = stall
        self._last_sign = self._episode = started_at
        self._heard = False
        self._total = 0
        self._warned = False
        self._seen_stalled = 0
        self._cpu: float | None = None
        self._cpu_at = started_at
        self._shortest = first_look_after(policy, stall)
        self.next_look = started_at + self._shortest

    def look(
        self,
        now: float,
        *,
        heard_at: float | None,
        total_bytes: int,
        vitals: Callable[[], float | None] | None = None,
        busy: bool = False,
    ) -> Failure | SilenceWarning | None:
        """Judges the silence at ``now`` and sets the next look.

        ``heard_at`` is the moment of the last output (None: there was none) and
        ``total_bytes`` all of it so far. ``vitals`` gives the CPU seconds that
        the family has used, where that is known; it is called only when the
        silence is long enough to ask. ``busy``: a tool call of the agent is open.
        """
        self._take_in(now, heard_at, total_bytes, busy=busy)
        half = self._limit() * presets.SILENCE_WARNING_FRACTION
        if now >= self._last_sign + half and self._works(now, vitals):
            self._last_sign = now
            self._begin_episode()
        # Moments are compared, not spans: (a + b) - a can be less than b, and a
        # look that comes "too early" for ever would ask to be repeated for ever.
        if now < self._last_sign + half:
            self._look_again(now, self._last_sign + half)
            return None
        failure = self._failure(now)
        if failure is not None or self._warned:
            return failure
        self._warned = True
        return SilenceWarning(now - self._last_sign, self._limit())

    def forgive(self, lag: float) -> None:
        """Leaves out ``lag`` seconds in which we, not the agent, were slow."""
        self._last_sign += lag
        self._episode += lag
        self._cpu_at += lag
        self.next_look += lag

    def _take_in(
        self, now: float, heard_at: float | None, total: int, *, busy: bool
    ) -> None:
        self._heard = heard_at is not None
        self._total = total
        if heard_at is not None and heard_at > self._last_sign:
            self._last_sign = heard_at
        if busy:
            self._last_sign = now
        if self._last_sign != self._episode:
            self._begin_episode()

    def _failure(self, now: float) -> Failure | None:
        silent_for = now - self._last_sign
        if now >= self._last_sign + self._silence_limit():
            return self._inactive(silent_for)
        if now >= self._last_sign + self._stall_limit():
            self._seen_stalled += 1
            if self._seen_stalled >= presets.STALL_CHECKS:
                return self._stalled(silent_for)
            self._look_again(now, now + self._stall.check_interval)
            return None
        self._look_again(now, self._last_sign + self._limit())
        return None

    def _look_again(self, now: float, moment: float) -> None:
        moment = min(moment, self._last_sign + self._silence_limit())
        armed = self._total >= self._stall.min_output_bytes or not self._stall.enabled
        if not (self._heard and armed):
            # The limit is another one after the first byte, and once more when
            # the stall detector arms itself: see that in time.
            moment = min(moment, now + self._shortest)
        self.next_look = moment

    def _silence_limit(self) -> float:
        policy = self._policy
        limit = (
            policy.no_activity_timeout if self._heard else policy.first_output_timeout
        )
        return inf if limit is None else limit

    def _stall_limit(self) -> float:
        stall = self._stall
        armed = stall.enabled and self._total >= stall.min_output_bytes
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
        return self._cpu - before >= self._cpu_life * (now - before_at)

    def _inactive(self, silent_for: float) -> Failure:
        text = "no output" if self._heard else "no first output"
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
