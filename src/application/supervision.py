"""One attempt: an invocation under deadlines and eyes, and what became of it.

Nothing is polled. A timer stands at the earliest moment at which something
could be wrong; stderr is judged when everything has been quiet for as long as
a verdict needs. A verdict cancels the invocation, whose adapter then ends the
agent and all it started.
"""

import asyncio
from math import inf

from attrs import define, evolve, field, frozen

from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain import presets
from muster.domain.classification import LineWatch
from muster.domain.errors import AgentInvocationError, SystemHaltedError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    AgentStarted,
    OutputReceived,
    RateLimited,
    RetryAnnounced,
    SessionStarted,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
    UsageReported,
)
from muster.domain.health import Health, SilenceWarning
from muster.domain.lines import LineSplitter
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import AgentOutput, AgentRequest
from muster.domain.timeouts import AttemptDeadline


@frozen
class AttemptOutcome:
    """What became of one attempt. ``early`` says that muster ended it. Seconds."""

    output: AgentOutput | None
    failure: Failure | None
    ended: AgentEnded | None
    duration: float
    extended: bool = False
    early: bool = False
    produced: int = 0
    events: int = 0
    idle: float = 0.0
    session_id: str | None = None
    usage: Usage | None = None


class Observer:
    """Who wants to know what happens in an attempt; this one wants nothing."""

    wants_output = False

    def started(self, event: AgentStarted) -> None:
        """The agent runs."""

    def line(self, line: str) -> None:
        """A line of stdout is complete; called only if ``wants_output``."""

    def output(self, stream: str, total: int) -> None:
        """Something was written; ``total`` bytes so far."""

    def silent(self, warning: SilenceWarning) -> None:
        """Half of the allowed silence is over."""

    def rate_limited(self, event: RateLimited) -> None:
        """The backend limits the agent, which goes on."""

    def retrying(self, event: RetryAnnounced) -> None:
        """The tool tries again by itself."""


@define(eq=False)
class Attempt:
    """One attempt in progress. `trip` ends it from outside with a verdict."""

    policy: SpawnPolicy
    deadline_at: float
    deadline_failure: Failure | None
    judges_stderr: bool
    silent_until_done: bool
    observer: Observer | None
    verdict: Failure | None = field(default=None, init=False)
    early: bool = field(default=False, init=False)
    ended: AgentEnded | None = field(default=None, init=False)
    session_id: str | None = field(default=None, init=False)
    usage: Usage | None = field(default=None, init=False)
    events: int = field(default=0, init=False)
    stdout_bytes: int = field(default=0, init=False)
    total_bytes: int = field(default=0, init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _task: "asyncio.Task[object]" = field(init=False)
    _cancelling: int = field(default=0, init=False)
    _started_at: float = field(default=0.0, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _quiet: asyncio.TimerHandle | None = field(default=None, init=False)
    _deadline: AttemptDeadline = field(init=False)
    _health: Health | None = field(default=None, init=False)
    _started: AgentStarted | None = field(default=None, init=False)
    _calls: set[str] = field(factory=set, init=False)
    _lines: LineSplitter | None = field(default=None, init=False)
    _tail: bytearray = field(factory=bytearray, init=False)
    _heard_at: float | None = field(default=None, init=False)

    async def run(
        self, orchestrator: AgentOrchestrator, request: AgentRequest
    ) -> AttemptOutcome:
        """Runs to the end. Cancelling it ends the agent and passes through."""
        self._begin()
        output, failure = None, None
        try:
            output = await orchestrator.invoke(request, self.report)
        except asyncio.CancelledError:
            if self.verdict is None or self._task.uncancel() > self._cancelling:
                raise
            failure = self.verdict
        except AgentInvocationError as error:
            failure = self._reconciled(error.failure)
            self.ended = self.ended or error.ended
        except SystemHaltedError as error:
            failure = Failure(FailureCause.HALTED, str(error))
        except Exception as error:  # noqa: BLE001 - one task's trouble stays its own
            failure = self._reconciled(_foreign(error))
        else:
            if self.verdict is not None:
                self._task.uncancel()
        finally:
            self._close()
        return self._outcome(output, failure)

    def trip(self, failure: Failure) -> None:
        """Ends the attempt with this verdict; the first verdict stands."""
        # Not at once: the caller may be the very task that would be cancelled,
        # and would then meet the cancellation at some later, unrelated await.
        self._loop.call_soon(self._trip, failure)

    def report(self, event: AgentEvent) -> None:
        """What the adapter calls. Synchronous, cheap, never raises of itself."""
        self.events += 1
        if isinstance(event, OutputReceived):
            self._heard(event)
        elif isinstance(event, AgentEnded):
            self.ended = event
            self._flush_lines()
        elif isinstance(event, AgentStarted):
            self._started = event
            if self.observer:
                self.observer.started(event)
        else:
            self._noted(event)

    # --- time -----------------------------------------------------------------

    def _begin(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are awaited
        self._task = task
        self._cancelling = task.cancelling()
        self._started_at = now = loop.time()
        timeout = self.policy.timeout
        self._deadline = AttemptDeadline(timeout, now)
        due = min(self._deadline.due, self.deadline_at)
        if self.policy.termination.enabled and not self.silent_until_done:
            self._health = Health(timeout, self.policy.termination.stall, now)
            due = min(due, self._health.next_look)
        if due != inf:
            self._timer = loop.call_at(due, self._look)

    def _look(self) -> None:
        now, planned = self._loop.time(), self._timer
        self._timer = None
        lag = now - planned.when() if planned else 0.0
        if lag > presets.OWN_LAG:
            # Our loop stood still (a blocking callback of the host): what the
            # agent wrote meanwhile has not been read yet.
            self._deadline.forgive(lag)
            if self._health:
                self._health.forgive(lag)
        elif (failure := self._overdue(now) or self._unhealthy(now)) is not None:
            self._trip(failure)
            return
        self._rearm(now)

    def _rearm(self, now: float) -> None:
        due = min(self._deadline.due, self.deadline_at)
        if self._health:
            due = min(due, self._health.next_look)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(max(due, now), self._look)

    def _overdue(self, now: float) -> Failure | None:
        if now >= self.deadline_at:
            return self.deadline_failure
        # A tool that is silent until it is done can't ask for more time by talking.
        heard_at = self._deadline.due if self.silent_until_done else self._heard_at
        if not self._deadline.reached(now, heard_at):
            return None
        seconds = self._deadline.allowed
        return Failure(
            FailureCause.TIMEOUT,
            f"Timed out after {seconds:g} s",
            detection_time_ms=(now - self._started_at) * 1000,
        )

    def _unhealthy(self, now: float) -> Failure | None:
        health = self._health
        if health is None or now < health.next_look:
            return None
        vitals = self._started.vitals if self._started else None
        verdict = health.look(now, vitals, busy=bool(self._calls))
        if isinstance(verdict, SilenceWarning):
            if self.observer:
                self.observer.silent(verdict)
            return None
        return verdict

    # --- output ---------------------------------------------------------------

    def _heard(self, event: OutputReceived) -> None:
        size = event.count
        self._listen(self._loop.time(), size)
        if event.stream == "stdout":
            self.stdout_bytes += size
            if self.observer and self.observer.wants_output and event.data:
                self._split(event.data)
        elif self.judges_stderr and self.policy.termination.enabled:
            self._remember(event.data)
        if self.observer:
            self.observer.output(event.stream, self.total_bytes)

    def _listen(self, now: float, size: int) -> None:
        self._heard_at = now
        self.total_bytes += size
        health = self._health
        if health:
            before = health.next_look
            health.heard(now, size)
            if health.next_look < before:
                self._rearm(now)

    def _split(self, data: bytes | memoryview) -> None:
        if self._lines is None:
            self._lines = LineSplitter()
        for line in self._lines.feed(data):
            self.observer.line(line)  # type: ignore[union-attr]

    def _flush_lines(self) -> None:
        if self._lines is not None:
            for line in self._lines.finish():
                self.observer.line(line)  # type: ignore[union-attr]

    def _remember(self, data: bytes | memoryview) -> None:
        # Only what stands last can be confirmed: output that goes on drops a
        # match. So nothing is searched until there is silence, and a flood of
        # stderr costs a copy of its last few KiB and no pattern at all.
        keep = presets.JUDGED_TAIL_BYTES
        self._tail += data[-keep:]
        if len(self._tail) > keep:
            del self._tail[:-keep]
        if self._quiet is None and self.verdict is None:
            confirm = self._confirm_after()
            self._quiet = self._loop.call_later(confirm, self._judge)

    def _confirm_after(self) -> float:
        override = self.policy.termination.confirm_after
        return presets.CONFIRM_AFTER_PERMANENT if override is None else override

    def _judge(self) -> None:
        self._quiet = None
        now = self._loop.time()
        heard_at = self._last_heard()
        shortest = heard_at + self._confirm_after()
        if now < shortest:
            self._quiet = self._loop.call_at(shortest, self._judge)
            return
        watch = LineWatch(self.policy.termination)
        text = self._tail.decode("utf-8", "replace")
        suspicion = watch.judge(text, now - heard_at)
        if suspicion is None:
            return
        confirmed_at = heard_at + suspicion.confirm_after
        if now < confirmed_at:
            self._quiet = self._loop.call_at(confirmed_at, self._judge)
            return
        waited = (now - heard_at) * 1000
        self._trip(evolve(suspicion.failure, detection_time_ms=waited))

    def _last_heard(self) -> float:
        return self._started_at if self._heard_at is None else self._heard_at

    # --- reports of structured streams ------------------------------------------

    def _noted(self, event: AgentEvent) -> None:
        if isinstance(event, UsageReported):
            self.usage = event.usage
        elif isinstance(event, SessionStarted):
            self.session_id = event.session_id
        elif isinstance(event, ToolCallOpened):
            self._calls.add(event.call_id)
        elif isinstance(event, ToolCallClosed):
            self._calls.discard(event.call_id)
        elif isinstance(event, TextProduced):
            self._listen(self._loop.time(), 0)
        elif self.observer:
            self._passed_on(event, self.observer)

    @staticmethod
    def _passed_on(event: AgentEvent, observer: Observer) -> None:
        if isinstance(event, RateLimited):
            observer.rate_limited(event)
        elif isinstance(event, RetryAnnounced):
            observer.retrying(event)

    # --- the end ----------------------------------------------------------------

    def _trip(self, failure: Failure) -> None:
        if self.verdict is None and self.ended is None and not self._task.done():
            self.verdict = failure
            self.early = True
            self._task.cancel()

    def _reconciled(self, failure: Failure) -> Failure:
        # The agent ended by itself in the very moment of our verdict: what we
        # saw first is the reason, and the cancellation must not linger.
        if self.verdict is None:
            return failure
        self._task.uncancel()
        return self.verdict

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._quiet is not None:
            self._quiet.cancel()
        if self.ended is None:
            # A verdict that is still under way must not meet a finished attempt.
            self.ended = _NOTHING_KNOWN

    def _outcome(
        self, output: AgentOutput | None, failure: Failure | None
    ) -> AttemptOutcome:
        now = self._loop.time()
        usage = output.usage if output is not None and output.usage else self.usage
        return AttemptOutcome(
            output=output,
            failure=failure,
            ended=None if self.ended is _NOTHING_KNOWN else self.ended,
            duration=now - self._started_at,
            extended=self._deadline.extended,
            early=self.early and failure is not None,
            produced=self.stdout_bytes,
            events=self.events,
            idle=now - self._last_heard(),
            session_id=self.session_id,
            usage=usage,
        )


_NOTHING_KNOWN = AgentEnded()


def _foreign(error: Exception) -> Failure:
    text = str(error) or "no message"
    return Failure(FailureCause.UNKNOWN, f"{type(error).__name__}: {text}")
