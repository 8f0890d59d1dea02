"""The closed set of what an adapter can report while an agent runs.

An adapter calls ``report(event)``; it is synchronous and cheap. The order is
the order in which things happened; `AgentEnded` is the last one on every path,
cancellation included.
"""

from collections.abc import Callable

from attrs import field, frozen

from muster.domain.outcome import Failure, Usage


@frozen
class AgentStarted:
    """The agent runs. ``vitals()`` gives the CPU seconds of its whole family, or None."""

    pid: int | None = None
    vitals: Callable[[], float | None] | None = field(default=None, eq=False)


@frozen
class OutputReceived:
    """Raw bytes of ``stream`` ("stdout" or "stderr"), in order, cut anywhere.

    ``data`` is valid only during the call of ``report``: its memory is used again.
    Where nobody wants the content, ``data`` is empty and ``size`` counts the bytes.
    """

    stream: str
    data: bytes | memoryview
    size: int | None = None

    @property
    def count(self) -> int:
        """How many bytes came, whether or not ``data`` shows them."""
        return len(self.data) if self.size is None else self.size


@frozen
class TextProduced:
    """A piece of the answer, as the tool's stream format says it."""

    text: str


@frozen
class UsageReported:
    """What the attempt has cost so far, by the tool's own account."""

    usage: Usage


@frozen
class ProgressMade:
    """The agent is getting on, though with nothing to show: it thinks, it writes a call."""


@frozen
class RetryAnnounced:
    """The tool says that it will try again by itself after ``delay`` seconds.

    ``failure`` is why, where that is known. A permanent one can't be cured by trying.
    """

    delay: float | None
    message: str = ""
    failure: Failure | None = None


@frozen
class RateLimited:
    """The backend limits us, while the agent goes on. Times as in `Failure`."""

    retry_after: float | None = None
    resets_at: float | None = None
    message: str = ""


@frozen
class SessionStarted:
    """The tool's own id of this conversation, by which it can be continued."""

    session_id: str


@frozen
class ModelServed:
    """The model that answers, by the tool's own account; it may not be the one asked for."""

    model: str


@frozen
class PermissionAsked:
    """The agent may not do ``what`` without a person's consent.

    ``waits``: it stands still until somebody answers, and nobody will.
    """

    what: str
    waits: bool = False


@frozen
class ToolCallOpened:
    """The agent is running a tool of its own; its silence meanwhile is no stall."""

    call_id: str
    name: str = ""


@frozen
class ToolCallClosed:
    """The tool call is over."""

    call_id: str


@frozen
class TerminalRecordSeen:
    """The stream has said how it ends; the process may linger for a moment."""

    success: bool


@frozen
class AgentExited:
    """The agent's own process is over; the rest of its family and its pipes may not be.

    At most once, after `AgentStarted`. From now on only muster waits: what it does
    until `AgentEnded` is bounded, and no limit of the agent's is charged with it.
    """


@frozen
class AgentEnded:
    """The agent and all it started are gone, or ``unkillable`` says who is not.

    ``output`` and ``stderr`` are bounded; ``truncated`` says that something is
    missing there and ``output_path`` names the file that holds the whole.
    ``leftovers`` counts processes that outlived their leader and were ended.
    """

    exit_code: int | None = None
    output: str = ""
    stderr: str = ""
    truncated: bool = False
    output_path: str | None = None
    leftovers: int = 0
    unkillable: tuple[int, ...] = ()


AgentEvent = (
    AgentStarted
    | OutputReceived
    | TextProduced
    | ProgressMade
    | UsageReported
    | RetryAnnounced
    | RateLimited
    | SessionStarted
    | ModelServed
    | PermissionAsked
    | ToolCallOpened
    | ToolCallClosed
    | TerminalRecordSeen
    | AgentExited
    | AgentEnded
)
