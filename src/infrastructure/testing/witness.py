"""What an invocation reported and how it ended, held against the port's promises."""

import asyncio
import pickle
import threading
from typing import Any

from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    AgentExited,
    AgentStarted,
    OutputReceived,
)
from muster.domain.task import AgentOutput, AgentRequest


def check(condition: object, broken_promise: str) -> None:
    """Raises `AssertionError` with that text unless the condition holds."""
    if not condition:
        raise AssertionError(broken_promise)


class Witness:
    """A ``report`` that remembers."""

    def __init__(self) -> None:
        self.events: list[AgentEvent] = []
        self.first = asyncio.Event()
        self._thread = threading.get_ident()

    def __call__(self, event: AgentEvent) -> None:
        check(
            threading.get_ident() == self._thread,
            "report() must be called in the thread of the event loop",
        )
        check(isinstance(event, AgentEvent), f"{event!r} is no AgentEvent")
        if isinstance(event, OutputReceived):
            # The bytes are the adapter's and valid only during this call.
            event = OutputReceived(event.stream, bytes(event.data), event.count)
        self.events.append(event)
        self.first.set()

    def check_order(self) -> None:
        """`AgentStarted` at most once and first, `AgentEnded` exactly once and last.

        `AgentExited`, where it is reported, comes once between them.
        """
        names = [type(event).__name__ for event in self.events]
        shown = ", ".join(names) or "nothing"
        ends = names.count(AgentEnded.__name__)
        check(ends == 1, f"AgentEnded must come exactly once; came: {shown}")
        check(names[-1] == AgentEnded.__name__, f"AgentEnded must be last: {shown}")
        starts = names.count(AgentStarted.__name__)
        first = names[0] == AgentStarted.__name__
        check(
            starts == 0 or (starts == 1 and first),
            f"AgentStarted must be first, and once: {shown}",
        )
        exits = names.count(AgentExited.__name__)
        check(exits <= starts, f"AgentExited follows AgentStarted, once: {shown}")


class Invocation:
    """One call of ``invoke``, and all that came of it."""

    def __init__(self, orchestrator: AgentOrchestrator, request: AgentRequest) -> None:
        self.request = request
        self.witness = Witness()
        self.answer: AgentOutput | None = None
        self.error: BaseException | None = None
        self._orchestrator = orchestrator
        self._task: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Waits for the end; a cancellation passes through, an error is kept."""
        self._task = asyncio.current_task()
        try:
            self.answer = await self._orchestrator.invoke(self.request, self.witness)
        except asyncio.CancelledError as error:
            self.error = error
            raise
        except Exception as error:  # noqa: BLE001 - judged by the test
            self.error = error

    def cancel(self) -> None:
        """Cancels the task that runs it."""
        if self._task is not None:
            self._task.cancel()

    @property
    def is_over(self) -> bool:
        """Whether ``invoke`` has returned or raised."""
        return self.answer is not None or self.error is not None

    async def under_way(self, patience: float = 1.0) -> None:
        """Returns when something was reported, or after ``patience`` seconds."""
        try:
            async with asyncio.timeout(patience):
                await self.witness.first.wait()
        except TimeoutError:
            return

    def check_answer(self, text: str) -> None:
        """It answered, with that text, for that request."""
        if self.error is not None:
            problem = f"invoke() must answer, but raised {self.error!r}"
            raise AssertionError(problem) from self.error
        answer = self.answer
        if answer is None:
            problem = "invoke() must return an AgentOutput"
            raise AssertionError(problem)
        check(
            answer.content == text, f"expected {_cut(text)}, got {_cut(answer.content)}"
        )
        check(
            answer.agent_id == self.request.agent_id, "agent_id must be the request's"
        )
        check(
            answer.request_id == self.request.request_id,
            "request_id must be the request's",
        )
        self.witness.check_order()

    def check_failed(self) -> None:
        """It raised one picklable `AgentInvocationError` that says why."""
        error = self.error
        if not isinstance(error, AgentInvocationError):
            got = error or self.answer
            problem = f"expected AgentInvocationError, got {got!r}"
            raise AssertionError(problem) from error  # noqa: TRY004 - a test's verdict
        failure = error.failure
        check(error.agent_id == self.request.agent_id, "agent_id must be kept")
        check(failure.message, "a failure must have a message")
        check(failure.cause.is_agent_failure, f"an agent can't be {failure.cause}")
        copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
        check(copied.failure == failure, "the error must survive pickle")
        self.witness.check_order()
        last = self.witness.events[-1]
        check(error.ended in (None, last), "error.ended must be the last report")

    def check_cancelled(self) -> None:
        """It was cancelled, said so by `CancelledError`, and reported its end."""
        check(
            isinstance(self.error, asyncio.CancelledError),
            f"CancelledError must pass through, but invoke() ended with "
            f"{self.error or self.answer!r}",
        )
        self.witness.check_order()


def _cut(text: str, width: int = 60) -> str:
    return repr(text if len(text) <= width else f"{text[:width]}... ({len(text)})")
