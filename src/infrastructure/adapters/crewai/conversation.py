"""Model calls of one crew: asked in the crew's thread, answered in the event loop.

crewai has no way to stop a crew: it waits for its model in a thread. Here the thread
waits for an answer that the loop can take back, so that a crew ends when it is
cancelled, wherever it hangs.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from itertools import count
from typing import Any

from attrs import define, field, frozen

from muster.application.ports.agent_orchestrator import Report
from muster.domain.events import AgentEvent, ToolCallClosed, ToolCallOpened
from muster.domain.outcome import Failure
from muster.infrastructure.openai_wire import Message, ModelError


class CrewEndedError(BaseException):
    """The crew is to end now. Nobody catches it on the way, and nobody tries again.

    crewai tries what has failed up to 27 times; it catches `Exception` for that.
    """


@define(eq=False)
class Turn:
    """A place among the crews that may compute at the same time.

    They share one interpreter: 72 that all compute keep the loop, which talks to
    their models, from getting any time. While a crew waits it holds no place.
    """

    places: threading.Semaphore
    _is_held: bool = field(default=False, init=False)

    def take(self) -> None:
        """Waits for a place."""
        if not self._is_held:
            self.places.acquire()
            self._is_held = True

    def give(self) -> None:
        """Gives it back; without one, does nothing."""
        if self._is_held:
            self._is_held = False
            self.places.release()


@frozen(eq=False)
class Question:
    """What the crew asks its model."""

    messages: Sequence[Message]
    stop: Sequence[str]
    answer: "Future[str]" = field(factory=Future)


Ask = Callable[[Question], Awaitable[str]]


@define(eq=False)
class Conversation:
    """One crew's questions. ``failure`` and ``fault`` say why it was ended.

    With ``keeps_turn`` the crew computes in turns all its life; one that has tools
    only until its first question, since a tool may wait for the world.
    """

    turn: Turn
    report: Report
    keeps_turn: bool
    failure: Failure | None = field(default=None, init=False)
    fault: Exception | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    _questions: "asyncio.Queue[Question | None]" = field(factory=asyncio.Queue)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _open: "set[Future[str]]" = field(factory=set, init=False)
    _is_over: bool = field(default=False, init=False)
    _numbers: Iterator[int] = field(factory=count, init=False)

    # --- in the crew's thread -------------------------------------------------------

    def ask(self, messages: Sequence[Message], stop: Sequence[str]) -> str:
        """The model's answer. Raises `CrewEndedError` when the crew is to end."""
        question = Question(messages, stop)
        with self._lock:
            self.check()
            self._open.add(question.answer)
        self.turn.give()
        self._tell(self._questions.put_nowait, question)
        try:
            text = question.answer.result()
        except CancelledError:
            raise CrewEndedError from None
        finally:
            with self._lock:
                self._open.discard(question.answer)
        if self.keeps_turn:
            self.turn.take()
        return text

    def check(self) -> None:
        """Raises `CrewEndedError` when the crew is to end."""
        if self._is_over:
            raise CrewEndedError

    @contextmanager
    def tool_call(self, name: str) -> Iterator[None]:
        """A call of one of the crew's tools, told for as long as it lasts."""
        self.check()
        call_id = f"{name}-{next(self._numbers)}"
        self._tell(self._report_now, ToolCallOpened(call_id, name))
        try:
            yield
        finally:
            self._tell(self._report_now, ToolCallClosed(call_id))

    # --- in the loop ------------------------------------------------------------------

    async def serve(self, ask: Ask) -> None:
        """Answers until `end` is called. Cancelling it ends the crew."""
        try:
            async with asyncio.TaskGroup() as group:
                asked = set()
                while (question := await self._questions.get()) is not None:
                    asked.add(group.create_task(self._answer(question, ask)))
                for each in asked:
                    each.cancel()
        finally:
            self.end()

    def end(self) -> None:
        """Whoever waits for an answer learns that there is none; no one asks again."""
        with self._lock:
            self._is_over = True
            for answer in self._open:
                answer.cancel()
        self._questions.put_nowait(None)

    async def _answer(self, question: Question, ask: Ask) -> None:
        try:
            text = await ask(question)
        except ModelError as error:
            self.failure = self.failure or error.failure
            self.end()
        except Exception as error:  # noqa: BLE001 - the crew must not wait for ever
            self.fault = self.fault or error
            self.end()
        else:
            if question.answer.set_running_or_notify_cancel():
                question.answer.set_result(text)

    def _report_now(self, event: AgentEvent) -> None:
        if not self._is_over:
            self.report(event)

    def _tell(self, call: Callable[..., object], *what: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *what)
        except RuntimeError:
            # The loop is closed: whoever has asked for this crew is gone.
            raise CrewEndedError from None
