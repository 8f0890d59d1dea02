"""The words of a stub's script: what a simulated agent does, step by step.

A behaviour is a row of steps, joined by ``+``; what follows an end (`replies`,
`fails`, `hangs`, `raises`) is never reached::

    stub.on("tester", fails("rate_limit", retry_after=2).times(3), replies("done"))
    stub.on("slow", notes("got 429, retrying in 1s") + waits(1) + replies("fine"))
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from attrs import evolve, frozen

from muster.domain import presets
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    OutputReceived,
    RateLimited,
    RetryAnnounced,
    ToolCallClosed,
    ToolCallOpened,
    UsageReported,
)
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.task import AgentRequest

SIMULATED_REPLY = "This answer is simulated."

Text = str | Callable[[AgentRequest], str]


class Scene:
    """One invocation while it is played: what was said, and who listens."""

    __slots__ = ("_cut", "_said", "closing", "exit_code", "report", "request", "resist")

    def __init__(
        self, request: AgentRequest, report: Callable[[AgentEvent], None]
    ) -> None:
        self.request = request
        self.report = report
        self.closing: asyncio.Future[None] | None = None
        self.resist = 0.0
        self.exit_code: int | None = None
        self._said = {"stdout": bytearray(), "stderr": bytearray()}
        self._cut = False

    def say(self, stream: str, data: bytes) -> None:
        """Reports the bytes and keeps the first `presets.CAPTURE_BYTES` of them."""
        said = self._said[stream]
        room = presets.CAPTURE_BYTES - len(said)
        said += data[:room]
        self._cut = self._cut or len(data) > room
        self.report(OutputReceived(stream, data))

    async def rest(self, seconds: float | None) -> None:
        """Sleeps, for ever with None; raises when the stub is closed meanwhile."""
        # A future of our own: cancelling one that others await would cancel it
        # for them too.
        self.closing = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self.closing
        except TimeoutError:
            return
        finally:
            self.closing = None
        raise self.failed(Failure(FailureCause.KILLED, "the stub was closed"), None)

    def failed(self, failure: Failure, exit_code: int | None) -> AgentInvocationError:
        """The error that ends this scene."""
        self.exit_code = exit_code
        return AgentInvocationError(
            self.request.agent_id, failure, self.ended(exit_code)
        )

    def ended(self, exit_code: int | None) -> AgentEnded:
        """The last report of this scene."""
        return AgentEnded(
            exit_code,
            output=self._said["stdout"].decode(errors="replace"),
            stderr=self._said["stderr"].decode(errors="replace"),
            truncated=self._cut,
        )


class Step(Protocol):
    """One thing that a simulated agent does."""

    async def play(self, scene: Scene) -> str | None:
        """Does it. A text is the answer and ends the scene."""
        ...


@frozen
class Behaviour:
    """What an agent does in one invocation. ``a + b`` does a, then b."""

    steps: tuple[Step, ...]
    repeat: int = 1

    def __add__(self, other: "Behaviour") -> "Behaviour":
        return Behaviour(self.steps + other.steps)

    def times(self, n: int) -> "Behaviour":
        """The same for ``n`` invocations in a row."""
        return evolve(self, repeat=n)


def replies(
    text: Text = SIMULATED_REPLY, *, after: float = 0.0, usage: Usage | None = None
) -> Behaviour:
    """Answers; a function gets the request and returns the answer."""
    steps: list[Step] = [Wait(after)] if after else []
    if usage is not None:
        steps.append(Tell(UsageReported(usage)))
    return Behaviour((*steps, Reply(text)))


def fails(
    cause: Failure | FailureCause | str,
    message: str | None = None,
    *,
    after: float = 0.0,
    retry_after: float | None = None,
    resets_at: float | None = None,
    exit_code: int | None = 1,
) -> Behaviour:
    """Ends with that failure. A cause is enough; an unknown one is a `ValueError`."""
    if not isinstance(cause, Failure):
        cause = Failure(
            cause,
            message or f"simulated {FailureCause(cause)}",
            retry_after=retry_after,
            resets_at=resets_at,
        )
    steps: tuple[Step, ...] = (Wait(after),) if after else ()
    return Behaviour((*steps, Fail(cause, exit_code)))


def hangs() -> Behaviour:
    """Never ends by itself."""
    return Behaviour((Hang(),))


def raises(error: Exception) -> Behaviour:
    """Breaks as an adapter must not, or raises `SystemHaltedError` as it may."""
    return Behaviour((Break(error),))


def waits(seconds: float) -> Behaviour:
    """Says nothing for so long."""
    return Behaviour((Wait(seconds),))


def prints(*lines: str) -> Behaviour:
    """Writes lines to stdout; they belong to no answer but to the output."""
    return Behaviour(tuple(Say("stdout", f"{line}\n".encode()) for line in lines))


def notes(*lines: str) -> Behaviour:
    """Writes lines to stderr."""
    return Behaviour(tuple(Say("stderr", f"{line}\n".encode()) for line in lines))


def floods(
    size: int, *, stream: str = "stdout", chunk: int = presets.READ_BYTES
) -> Behaviour:
    """Writes ``size`` bytes in chunks; the loop turns between them."""
    return Behaviour((Flood(stream, size, chunk),))


def calls_tool(name: str, *, lasting: float | None = None) -> Behaviour:
    """Opens a tool call; closes it after ``lasting`` seconds, or never with None."""
    opened: Step = Tell(ToolCallOpened(name, name))
    if lasting is None:
        return Behaviour((opened,))
    return Behaviour((opened, Wait(lasting), Tell(ToolCallClosed(name))))


def announces_retry(delay: float | None, message: str = "") -> Behaviour:
    """Says that it will try again by itself, and goes on."""
    return Behaviour((Tell(RetryAnnounced(delay, message)),))


def is_rate_limited(
    retry_after: float | None = None, *, resets_at: float | None = None
) -> Behaviour:
    """Says that its backend limits it, and goes on."""
    return Behaviour((Tell(RateLimited(retry_after, resets_at)),))


def reports(*events: AgentEvent) -> Behaviour:
    """Reports any events."""
    return Behaviour(tuple(Tell(event) for event in events))


def resists(seconds: float) -> Behaviour:
    """From here on a cancellation is honoured only after so long.

    More than the request's grace + 0.5 s is what a broken adapter does.
    """
    return Behaviour((Resist(seconds),))


@frozen
class Wait:
    """Silence."""

    seconds: float

    async def play(self, scene: Scene) -> None:
        await scene.rest(self.seconds)


@frozen
class Say:
    """Bytes on a stream."""

    stream: str
    data: bytes

    async def play(self, scene: Scene) -> None:
        scene.say(self.stream, self.data)


@frozen
class Flood:
    """Many bytes on a stream."""

    stream: str
    size: int
    chunk: int

    async def play(self, scene: Scene) -> None:
        line = bytes(78).replace(b"\0", b"x") + b"\n"
        block = (line * (self.chunk // len(line) + 1))[: self.chunk]
        left = self.size
        while left > 0:
            scene.say(self.stream, block[:left])
            left -= len(block)
            await asyncio.sleep(0)


@frozen
class Tell:
    """One report."""

    event: AgentEvent

    async def play(self, scene: Scene) -> None:
        scene.report(self.event)


@frozen
class Resist:
    """A late answer to cancellation."""

    seconds: float

    async def play(self, scene: Scene) -> None:
        scene.resist = self.seconds


@frozen
class Reply:
    """The answer."""

    text: Text

    async def play(self, scene: Scene) -> str:
        await asyncio.sleep(0)
        text = self.text if isinstance(self.text, str) else self.text(scene.request)
        scene.say("stdout", text.encode(errors="replace"))
        scene.exit_code = 0
        return text


@frozen
class Fail:
    """A failure."""

    failure: Failure
    exit_code: int | None

    async def play(self, scene: Scene) -> None:
        await asyncio.sleep(0)
        raise scene.failed(self.failure, self.exit_code)


@frozen
class Hang:
    """No end."""

    async def play(self, scene: Scene) -> None:
        await scene.rest(None)


@frozen
class Break:
    """An error that is no failure of an agent."""

    error: Exception

    async def play(self, scene: Scene) -> None:
        await asyncio.sleep(0)
        raise self.error.with_traceback(None)
