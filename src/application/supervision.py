"""One attempt: an invocation under deadlines and eyes, and what became of it.

Nothing is polled. A timer stands at the earliest moment at which something
could be wrong; stderr is judged when everything has been quiet for as long as
a verdict needs. A verdict cancels the invocation, whose adapter then ends the
agent and all it started.
"""

import asyncio
from math import inf
from typing import Self

from attrs import define, field

from muster.application.first_looks import FirstLooks
from muster.application.last_words import LastWords
from muster.application.observer import Observer
from muster.application.output_lines import OutputLines
from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.application.pricing import Pricing
from muster.application.stream_reports import Reported, StreamReports
from muster.application.verdicts import STRAY, failure_of, timed_out
from muster.domain import health, presets
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    AgentExited,
    AgentStarted,
    OutputReceived,
    TerminalRecordSeen,
    ToolCallOpened,
)
from muster.domain.health import SilenceWarning
from muster.domain.outcome import Failure, FailureCause
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import AgentOutput, AgentRequest
from muster.domain.timeouts import AttemptDeadline, latest
from muster.domain.tool import ToolSpec

_NO_ROOM_HERE = (FailureCause.OUT_OF_MEMORY, FailureCause.DISK_FULL)


@define(eq=False)
class Attempt(Reported):
    """One attempt: what is known of it while it runs, and what became of it.

    After `run`, ``output`` is the answer or ``failure`` says why there is none;
    ``early`` says that muster ended it. `trip` ends it from outside. ``structured`` is
    the tool whose stdout is read record by record: there bytes alone are no progress.
    ``strict_model`` is the only model that may answer.
    """

    policy: SpawnPolicy
    first_look: float
    deadline_at: float = inf
    deadline_failure: Failure | None = None
    judges_stderr: bool = True
    silent_until_done: bool = False
    structured: ToolSpec | None = None
    strict_model: str | None = None
    observer: Observer | None = None
    looks: FirstLooks | None = None
    pricing: Pricing | None = None
    output: AgentOutput | None = None
    failure: Failure | None = None
    ended: AgentEnded | None = None
    early: bool = False
    duration: float = 0.0
    ended_at: float = 0.0
    events: int = 0
    stdout_bytes: int = 0
    total_bytes: int = 0
    _verdict: Failure | None = None
    _has_begun: bool = False
    _is_over: bool = False
    _is_late: bool = False
    _cancelling: int = 0
    _started_at: float = 0.0
    _heard_at: float | None = None
    _timer: asyncio.TimerHandle | None = None
    _deadline: AttemptDeadline | None = None
    _health: health.Health | None = None
    _started: AgentStarted | None = None
    _spared_until: float = 0.0
    _stream: StreamReports | None = None
    _lines: OutputLines | None = None
    _last_words: LastWords | None = None
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _task: "asyncio.Task[object]" = field(init=False)

    async def run(self, orchestrator: AgentOrchestrator, request: AgentRequest) -> Self:
        """Runs to the end. Cancelling it ends the agent and passes through."""
        if self._verdict is not None:
            self.failure = self._verdict
            return self
        loop = self._begin()
        try:
            self.output = await orchestrator.invoke(request, self.report)
        except asyncio.CancelledError:
            self._close()
            if self._task.cancelling() > self._cancelling:
                raise
            self.failure = self._verdict or STRAY
        except Exception as error:  # noqa: BLE001 - one task's trouble stays its own
            self._take_in(error)
        finally:
            self._close()
        if self._task.cancelling() > self._cancelling:
            # The adapter has swallowed a cancellation, whose sender waits for us.
            raise asyncio.CancelledError
        self.ended_at = loop.time()
        self.duration = self.ended_at - self._started_at
        if self.output is None:
            self.early = self.failure is self._verdict
        return self

    def _take_in(self, error: Exception) -> None:
        # What we saw first is the reason, though it ended in that very moment.
        self.failure = self._verdict or failure_of(error)
        if isinstance(error, AgentInvocationError) and self.ended is None:
            self.ended = error.ended

    def _close(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._verdict is not None:
            # Our own cancellation must not linger. An answer that came in the very
            # moment of the verdict stands.
            self._task.uncancel()
        if self.looks is not None:
            self.looks.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        for each in (self._last_words, self._stream):
            if each is not None:
                each.close()

    @property
    def extended(self) -> bool:
        """Whether the agent got more time because it was talking."""
        return self._deadline is not None and self._deadline.extended

    @property
    def was_refused(self) -> bool:
        """Whether this machine had no room to start it: says nothing about the agent."""
        failure = self.failure
        return (
            failure is not None
            and self._started is None
            and failure.cause in _NO_ROOM_HERE
        )

    @property
    def idle(self) -> float:
        """Seconds between the last output and the end."""
        return self._started_at + self.duration - self._last_heard()

    def trip(self, failure: Failure) -> None:
        """Ends the attempt with this verdict; the first verdict stands.

        Before `run`, it keeps the agent from being started.
        """
        if not self._has_begun:
            self._verdict = self._verdict or failure
            return
        # Not at once: the caller may be the very task that would be cancelled,
        # and would then meet the cancellation at some later, unrelated await.
        self._loop.call_soon(self._trip, failure)

    def report(self, event: AgentEvent) -> None:
        """What the adapter calls. Synchronous and cheap."""
        self.events += 1
        kind = type(event)
        if kind is OutputReceived:
            self._heard(event)  # type: ignore[arg-type]
        elif kind is AgentEnded:
            self.ended = event  # type: ignore[assignment]
            for each in (self._lines, self._stream):
                if each is not None:
                    each.flush()
        elif kind is AgentStarted:
            self._started = event  # type: ignore[assignment]
        elif kind is AgentExited:
            self._spared_until = self._loop.time() + self._longest_drain()
        else:
            self._noted(event)

    # --- time -----------------------------------------------------------------

    def _begin(self) -> asyncio.AbstractEventLoop:
        self._loop = loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are awaited
        self._task = task
        self._has_begun = True
        self._cancelling = task.cancelling()
        self._started_at = now = loop.time()
        due = now + self.first_look
        if self.looks is not None and due < self.deadline_at:
            self.looks.add(self, loop, due)
        elif self.deadline_at != inf or due != inf:
            self.looks = None
            self._timer = loop.call_at(min(due, self.deadline_at), self._look)
        return loop

    def first_look_now(self, planned: float) -> None:
        """Called once by `FirstLooks`, at or after ``planned``."""
        self.looks = None
        self._look(planned)

    def _look(self, planned: float | None = None) -> None:
        # Only a few attempts live long enough to be looked at, so what judges
        # them is made here and not at the start.
        deadline = self._deadline or self._arm_judges()
        if planned is None:
            planned = self._timer.when() if self._timer else 0.0
        # A timer may fire a tick of the clock before its moment.
        now = max(self._loop.time(), planned)
        if now - planned > presets.OWN_LAG:
            self._forgive(now - planned, deadline)
        elif (
            failure := self._overdue(now, deadline) or self._unhealthy(now)
        ) is not None:
            if self._is_spared(now) or self._may_return(now):
                return
            self._trip(failure, at_last=True)
            return
        # Never in the past: a task's deadline is not forgiven, and would come
        # late once more, for ever.
        moment = max(now, self._next_look(deadline))
        self._timer = self._loop.call_at(moment, self._look)

    def _longest_drain(self) -> float:
        # What an adapter may take from the agent's exit to the end of its family.
        grace = self.policy.termination.grace
        return 2 * presets.DRAIN + grace + presets.KILL_BOUND

    def _is_spared(self, now: float) -> bool:
        # It was done in time; that its pipes are still drained is our affair.
        if now >= self._spared_until:
            return False
        self._timer = self._loop.call_at(self._spared_until, self._look)
        return True

    def _may_return(self, now: float) -> bool:
        # Who has said that all is over gets a moment to return the answer.
        if self.ended is None or self._is_late:
            return False
        self._is_late = True
        moment = now + presets.LATE_EXIT_GRACE
        self._timer = self._loop.call_at(moment, self._look)
        return True

    def _arm_judges(self) -> AttemptDeadline:
        timeout = self.policy.timeout
        if self.structured is not None and self.structured.silent_turns:
            timeout = timeout.between_turns()
        termination = self.policy.termination
        if termination.enabled and not self.silent_until_done:
            self._health = health.Health(
                timeout,
                termination.stall,
                self._started_at,
                cpu_life=presets.CPU_LIFE_FRACTION
                if self.structured is None
                else presets.AGENT_CPU_LIFE_FRACTION,
            )
        self._deadline = AttemptDeadline(timeout, self._started_at)
        return self._deadline

    def _next_look(self, deadline: AttemptDeadline) -> float:
        due = min(self.deadline_at, deadline.due)
        return due if self._health is None else min(due, self._health.next_look)

    def _forgive(self, lag: float, deadline: AttemptDeadline) -> None:
        # Our loop stood still (a blocking callback of the host): what the agent
        # wrote meanwhile has not been read yet.
        deadline.forgive(lag)
        if self._health is not None:
            self._health.forgive(lag)

    def _overdue(self, now: float, deadline: AttemptDeadline) -> Failure | None:
        if now >= self.deadline_at:
            return self.deadline_failure
        # A tool that is silent until it is done can't ask for more time by talking.
        heard_at = deadline.due if self.silent_until_done else self._heard_at
        if self._stream is not None:
            heard_at = latest(heard_at, self._stream.talked_at(now))
        if not deadline.reached(now, heard_at):
            return None
        return timed_out(deadline.allowed, now - self._started_at)

    def _unhealthy(self, now: float) -> Failure | None:
        silence = self._health
        if silence is None or now < silence.next_look:
            return None
        verdict = silence.look(
            now,
            heard_at=self._signed_at(now),
            total_bytes=self.total_bytes,
            vitals=self._vitals,
            busy=self._stream is not None and self._stream.is_excused(now),
        )
        if isinstance(verdict, SilenceWarning):
            if self.observer:
                self.observer.silent(verdict)
            return None
        return verdict

    def _vitals(self) -> float | None:
        vitals = self._started.vitals if self._started else None
        try:
            return vitals() if vitals else None
        except Exception:  # noqa: BLE001 - nobody would look at the agent any more
            return None

    # --- output ---------------------------------------------------------------

    def _heard(self, event: OutputReceived) -> None:
        size = len(event.data) if event.size is None else event.size
        self.total_bytes += size
        if event.stream == "stdout":
            self.stdout_bytes += size
        if self.structured is None:
            self._took_in(event)
        if self.observer:
            self.observer.output(event.stream, self.total_bytes)

    def _took_in(self, event: OutputReceived) -> None:
        self._heard_at = self._loop.time()
        if event.stream == "stdout":
            if self._last_words is not None:
                self._last_words.gone_on(self._heard_at)
            observer = self.observer
            if observer and observer.wants_output and event.data:
                if self._lines is None:
                    self._lines = OutputLines(observer)
                self._lines.feed(event.data)
        elif (
            self.judges_stderr
            and self.policy.termination.enabled
            and self._verdict is None
        ):
            self._remember(event.data)

    def _remember(self, data: bytes | memoryview) -> None:
        if self._last_words is None:
            self._last_words = LastWords(
                self.policy.termination, self._loop, self._last_heard, self.accuse
            )
        self._last_words.add(data)

    def accuse(self, failure: Failure) -> None:
        """Like `trip`, where the agent has not said that it is done."""
        # Later, because its last record may stand behind what accuses it.
        self._loop.call_soon(self._punish, failure)

    def _punish(self, failure: Failure) -> None:
        # Of an agent that is gone, the adapter will read the same words.
        if self._loop.time() >= self._spared_until:
            self._trip(failure)

    def _last_heard(self) -> float:
        signed_at = self._signed_at(-inf)
        return self._started_at if signed_at is None else signed_at

    def _signed_at(self, now: float) -> float | None:
        """When it last gave a sign of life: output, or progress in its stream."""
        stream = self._stream
        return latest(self._heard_at, stream.silent_since(now) if stream else None)

    def _noted(self, event: AgentEvent) -> None:
        stream = self._stream
        if stream is None:
            tool, only = self.structured, self.strict_model
            stream = self._stream = StreamReports(
                self._loop, self.policy, self.observer, self.accuse, tool, only
            )
        stream.note(event)
        if isinstance(event, TerminalRecordSeen):
            # The adapter ends a process that lingers, and has the answer.
            late = presets.LATE_EXIT_GRACE + self._longest_drain()
            self._spared_until = self._loop.time() + late
        elif isinstance(event, ToolCallOpened):
            # Whoever checks the answer of an agent that is gone has limits again.
            self._spared_until = 0.0

    # --- the end ----------------------------------------------------------------

    def _trip(self, failure: Failure, *, at_last: bool = False) -> None:
        if self._verdict is not None or self._is_over:
            return
        if self.ended is None or at_last:
            self._verdict = failure
            self._task.cancel()
