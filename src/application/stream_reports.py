"""What an agent's reports say of its attempt: how far it is, what it waits for.

Text, tool calls, tokens and thoughts are progress. Bytes are not: a tool may print
notices of its own retries for ever.
"""

import asyncio
from collections.abc import Callable

from attrs import define, field

from muster.application.inner_retries import InnerRetries
from muster.application.observer import Observer
from muster.application.output_lines import OutputLines
from muster.application.pricing import Pricing
from muster.domain import presets
from muster.domain.events import (
    AgentEvent,
    ModelServed,
    PermissionAsked,
    ProgressMade,
    RateLimited,
    RetryAnnounced,
    SessionStarted,
    TerminalRecordSeen,
    TextProduced,
    ToolCallClosed,
    ToolCallOpened,
    UsageReported,
)
from muster.domain.model_names import is_same_model
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.stream_outcome import needs_approval
from muster.domain.task import AgentOutput
from muster.domain.tool import ToolSpec

_CALLS = (ToolCallOpened, ToolCallClosed)
_PROGRESS = (TextProduced, ProgressMade, UsageReported, *_CALLS)


@define(eq=False)
class StreamReports:
    """The reports of one attempt. Moments are the loop's time.

    ``tool`` is set where stdout is read record by record. ``strict_model`` is the only
    model that may answer. ``accuse`` is called with a verdict.
    """

    loop: asyncio.AbstractEventLoop
    policy: SpawnPolicy
    observer: Observer | None
    accuse: Callable[[Failure], object]
    tool: ToolSpec | None = None
    strict_model: str | None = None
    progress_at: float | None = None
    has_ended: bool = False
    has_produced: bool = False
    session_id: str | None = None
    usage: Usage | None = None
    served_models: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    calls: set[str] = field(factory=set)
    _retries: InnerRetries | None = None
    _lines: OutputLines | None = None

    def note(self, event: AgentEvent) -> None:
        """Something was reported."""
        if isinstance(event, _PROGRESS):
            self._progressed(event)
        elif isinstance(event, RetryAnnounced):
            self._retrying(event)
        elif isinstance(event, RateLimited):
            if self.observer:
                self.observer.rate_limited(event)
        elif isinstance(event, TerminalRecordSeen):
            self.has_ended = True
            self.calls.clear()
            self.close()
        else:
            self._learned(event)

    def is_excused(self, now: float) -> bool:
        """Whether its silence was announced, or a tool call of its own is open."""
        if self.calls:
            return True
        return self._retries is not None and now < self._retries.excused_until

    def silent_since(self, now: float) -> float | None:
        """The last sign of life: progress, or the end of a wait that was announced."""
        if self.progress_at is None or self._retries is None:
            return self.progress_at
        return max(self.progress_at, min(now, self._retries.excused_until))

    def talked_at(self, now: float) -> float | None:
        """When it was last heard, as far as more time depends on that."""
        if self.tool is None or self.progress_at is None:
            return self.progress_at
        if self.calls:
            return now
        # Who prints whole messages only is as silent in each turn as in its first.
        silent = self.tool.silent_turns
        quiet = self.policy.timeout.first_output_timeout if silent else None
        return self.progress_at + (quiet or 0.0)

    def flush(self) -> None:
        """The stream is over: the last line of the answer."""
        if self._lines is not None:
            self._lines.flush()

    def close(self) -> None:
        """Nothing is watched any more."""
        if self._retries is not None:
            self._retries.close()

    def _progressed(self, event: AgentEvent) -> None:
        self.progress_at = self.loop.time()
        if self._retries is not None:
            self._retries.progressed()
        if isinstance(event, UsageReported):
            self.usage = event.usage
            if self.observer:
                self.observer.usage(event.usage)
        elif isinstance(event, ToolCallOpened):
            self._lives()
            self.calls.add(event.call_id)
        elif isinstance(event, ToolCallClosed):
            self.calls.discard(event.call_id)
        elif isinstance(event, TextProduced):
            self._lives()
            if self.tool is not None:
                self._show(event.text)

    def _lives(self) -> None:
        if not self.has_produced and self.observer:
            self.observer.alive()
        self.has_produced = True

    def _show(self, text: str) -> None:
        observer = self.observer
        if observer is None or not observer.wants_output:
            return
        if self._lines is None:
            self._lines = OutputLines(observer)
        self._lines.feed(text.encode(errors="replace"))

    def _learned(self, event: AgentEvent) -> None:
        if isinstance(event, SessionStarted):
            self.session_id = event.session_id
            if self.observer:
                self.observer.session(event.session_id)
        elif isinstance(event, ModelServed):
            self._served(event.model)
        elif isinstance(event, PermissionAsked):
            self.denied += (event.what,)
            if event.waits:
                self.accuse(needs_approval((event.what,)))

    def _served(self, model: str) -> None:
        self.served_models += (model,)
        wanted = self.strict_model
        if wanted is not None and not is_same_model(wanted, model):
            message = f"{model} answers, and only {wanted} may"
            self.accuse(Failure(FailureCause.INVALID_MODEL, message))

    def _retrying(self, event: RetryAnnounced) -> None:
        if self.observer:
            self.observer.retrying(event)
        if self.tool is None or not self.policy.termination.enabled:
            return
        if self._retries is None:
            patience = self.tool.retry_patience
            if patience is None:
                patience = presets.INNER_RETRY_PATIENCE
            self._retries = InnerRetries(self.loop, patience, self.accuse)
        self._retries.announced(event)


class Reported:
    """An attempt, as far as its reports tell of it."""

    __slots__ = ()
    output: AgentOutput | None
    structured: ToolSpec | None
    stdout_bytes: int
    pricing: Pricing | None
    _stream: StreamReports | None

    @property
    def session_id(self) -> str | None:
        """By which name the tool can continue the conversation."""
        return self._stream.session_id if self._stream else None

    @property
    def usage(self) -> Usage | None:
        """What it has used so far, as far as that is known; with a price, if there is one."""
        told = self._stream.usage if self._stream else None
        if self.output is not None and self.output.usage is not None:
            told = self.output.usage
        if told is None or self.pricing is None:
            return told
        return self.pricing(told, self.served_models)

    @property
    def served_models(self) -> tuple[str, ...]:
        """The models that answered, by the tool's own account."""
        return self._stream.served_models if self._stream else ()

    @property
    def denied(self) -> tuple[str, ...]:
        """What the agent was not allowed to do."""
        return self._stream.denied if self._stream else ()

    @property
    def has_produced(self) -> bool:
        """Whether it has said or done anything: bytes, or more where a stream tells."""
        if self.structured is None:
            return self.stdout_bytes > 0
        return self._stream is not None and self._stream.has_produced
