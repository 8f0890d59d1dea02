"""What stderr said last, judged when everything has been quiet for long enough.

Only what stands last can be confirmed: output that goes on drops a match. So nothing
is searched until there is silence, and a flood of stderr costs a copy of its last few
KiB and no pattern at all.
"""

import asyncio
from collections.abc import Callable

from attrs import define, evolve, field

from muster.domain import presets
from muster.domain.classification import LineWatch
from muster.domain.outcome import Failure
from muster.domain.spawn_policy import TerminationPolicy


@define(eq=False)
class LastWords:
    """The end of one attempt's stderr. Moments are the loop's time.

    ``heard_at`` tells when anything was heard last, on either stream; ``convict`` is
    called with a verdict.
    """

    policy: TerminationPolicy
    loop: asyncio.AbstractEventLoop
    heard_at: Callable[[], float]
    convict: Callable[[Failure], object]
    _tail: bytearray = field(factory=bytearray, init=False)
    _noted_at: float = field(default=0.0, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def add(self, data: bytes | memoryview) -> None:
        """More of stderr."""
        keep = presets.JUDGED_TAIL_BYTES
        self._noted_at = self.heard_at()
        self._tail += data[-keep:]
        if len(self._tail) > keep:
            del self._tail[:-keep]
        if self._timer is None:
            self._judge_at(self._noted_at + self._confirm_after())

    def gone_on(self, now: float) -> None:
        """Something came on stdout: what stderr said last was not the end."""
        if self._tail and now > self._noted_at + presets.SAME_MOMENT:
            self._tail.clear()

    def close(self) -> None:
        """Nothing is judged any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _confirm_after(self) -> float:
        override = self.policy.confirm_after
        return presets.CONFIRM_AFTER_PERMANENT if override is None else override

    def _judge_at(self, moment: float) -> None:
        self._timer = self.loop.call_at(moment, self._judge, moment)

    def _judge(self, planned: float) -> None:
        # A timer may fire a tick of the clock before its moment.
        now = max(self.loop.time(), planned)
        self._timer = None
        heard_at = self.heard_at()
        shortest = heard_at + self._confirm_after()
        if now < shortest:
            self._judge_at(shortest)
            return
        text = self._tail.decode("utf-8", "replace")
        suspicion = LineWatch(self.policy).judge(text, now - heard_at)
        if suspicion is None:
            return
        confirmed_at = heard_at + suspicion.confirm_after
        if now < confirmed_at:
            self._judge_at(confirmed_at)
            return
        waited = (now - heard_at) * 1000
        self.convict(evolve(suspicion.failure, detection_time_ms=waited))
