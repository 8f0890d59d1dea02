"""Agents of CrewAI: a profile becomes its agent, the prompt its task, in a crew of one."""

import asyncio
import os
import threading
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.domain import presets
from muster.domain.agent_profile import AgentProfile
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentStarted,
    OutputReceived,
    TextProduced,
    UsageReported,
)
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.task import AgentOutput, AgentRequest
from muster.infrastructure.adapters.crewai.conversation import (
    Conversation,
    CrewEndedError,
    Question,
    Turn,
)
from muster.infrastructure.adapters.crewai.failures import failure_of
from muster.infrastructure.adapters.crewai.library import Library
from muster.infrastructure.model_client import Endpoint, Listener, ModelClient
from muster.infrastructure.openai_wire import ModelError

TOOLS: Final = "tools"
_LAST_STEP: Final = 0.5


class CrewAIOrchestrator:
    """The adapter for crewai. The model is asked over HTTP, at the tool's ``base_url``.

    Each crew has a thread of its own, so that as many think at once as are asked. The
    tool's ``options`` are fields of every request to the model, but for ``tools``: a
    table of names, as profiles use them, and places ("package.module:name").

    A cancelled crew ends where it waits for its model. What cannot be ended is a tool
    of the crew that does not return: its thread is left behind, and Python waits for
    it before it exits.
    """

    capabilities = Capabilities("crewai", takes_profiles=True)

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._library = Library()
        self._client = ModelClient()
        self._places = threading.BoundedSemaphore(presets.CREWS_COMPUTING)
        self._works: set[_Work] = set()

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """See `AgentOrchestrator`."""
        work = _Work(request, report, self._library, self._client, Turn(self._places))
        self._works.add(work)
        try:
            report(AgentStarted())
            content = await work.run(self._environ)
        except ModelError as error:
            ended = work.ended()
            failure = work.closed or error.failure
            cause = error.__cause__ or error
            raise AgentInvocationError(request.agent_id, failure, ended) from cause
        finally:
            self._works.discard(work)
            report(work.ended())
            work.is_over.set()
        return AgentOutput(
            content, request.agent_id, request.request_id, usage=work.usage
        )

    async def aclose(self) -> None:
        """See `AgentOrchestrator`: crews that still think are ended."""
        works = list(self._works)
        for work in works:
            work.closed = Failure(FailureCause.KILLED, "the crew was ended by us")
            work.end()
        for work in works:
            await work.is_over.wait()
        await self._client.aclose()


@define(eq=False)
class _Work:
    """One invocation."""

    request: AgentRequest
    report: Report
    library: Library
    client: ModelClient
    turn: Turn
    usage: Usage | None = field(default=None, init=False)
    closed: Failure | None = field(default=None, init=False)
    is_over: asyncio.Event = field(factory=asyncio.Event, init=False)
    _said: bytearray = field(factory=bytearray, init=False)
    _noted: str = field(default="", init=False)
    _content: str | None = field(default=None, init=False)
    _conversation: Conversation | None = field(default=None, init=False)
    _ended: AgentEnded | None = field(default=None, init=False)

    async def run(self, environ: Mapping[str, str]) -> str:
        """The crew's answer. Raises `ModelError`; cancelling ends the crew."""
        endpoint = self._endpoint(environ)
        places = self._tool_places()
        thread = _CrewThread(
            Conversation(self.turn, self.report, keeps_turn=not places),
            self.request,
            self.library,
            places,
        )
        self._conversation = conversation = thread.conversation
        if self.closed is not None:
            raise ModelError(self.closed)

        async def ask(question: Question) -> str:
            return await self._ask(question, endpoint, streams=not places)

        thread.start()
        try:
            await conversation.serve(ask)
        finally:
            await thread.wait(self.request.grace + presets.KILL_BOUND)
        if conversation.fault is not None:
            raise conversation.fault
        self._content = _answer_of(thread, conversation)
        if places:
            self._say(self._content)
        return self._content

    def end(self) -> None:
        """Ends the crew."""
        if self._conversation is not None:
            self._conversation.end()

    def ended(self) -> AgentEnded:
        """The last report."""
        if self._ended is None:
            said = self._said.decode("utf-8", "replace")
            is_done = self._content is not None
            self._ended = AgentEnded(
                0 if is_done else None,
                output=self._content if self._content is not None else said,
                stderr=self._noted,
            )
        return self._ended

    async def _ask(
        self, question: Question, endpoint: Endpoint, *, streams: bool
    ) -> str:
        # What a crew with tools says to itself on its way is no answer.
        hear = self._say if streams else self._think
        done = await self.client.complete(
            _stopping(endpoint, question),
            _model(self.request),
            question.messages,
            Listener(hear),
        )
        if done.usage is not None:
            self.usage = done.usage if self.usage is None else self.usage + done.usage
            self.report(UsageReported(self.usage))
        return done.text

    def _say(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self._said += data
        self.report(OutputReceived("stdout", data))

    def _think(self, text: str) -> None:
        self.report(TextProduced(text))

    def _tool_places(self) -> list[str]:
        spec, profile = self.request.tool, self.request.profile
        known = dict(spec.options.get(TOOLS) or {}) if spec else {}
        wanted = profile.tools if profile else ()
        for name in (each for each in wanted if each not in known):
            note = f"crewai: no tool '{name}' is set up; the agent does without\n"
            self._noted += note
            self.report(OutputReceived("stderr", note.encode("utf-8", "replace")))
        return [str(known[name]) for name in wanted if name in known]

    def _endpoint(self, environ: Mapping[str, str]) -> Endpoint:
        spec = self.request.tool
        if spec is None or not spec.base_url:
            name = spec.name if spec else "default"
            message = f"tool '{name}' names no base_url, where its model is served"
            raise ModelError(Failure(FailureCause.INVALID_REQUEST, message))
        known = {**environ, **(self.request.env or {})}
        key = known.get(spec.api_key_env) if spec.api_key_env else None
        options = {name: each for name, each in spec.options.items() if name != TOOLS}
        return Endpoint(spec.base_url, key, options)


class _CrewThread(threading.Thread):
    """The thread in which a crew computes, and what came of it.

    A daemon: a tool that never returns must not keep the process alive.
    """

    def __init__(
        self,
        conversation: Conversation,
        request: AgentRequest,
        library: Library,
        places: list[str],
    ) -> None:
        super().__init__(name=f"crew of {request.agent_id}", daemon=True)
        self.conversation = conversation
        self.answer: str | None = None
        self.error: BaseException | None = None
        self._request = request
        self._library = library
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()

    def run(self) -> None:
        turn = self.conversation.turn
        turn.take()
        try:
            self.conversation.check()
            self.answer = str(self._crew().kickoff().raw)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self.error = error
        finally:
            turn.give()
            self._tell()

    async def wait(self, seconds: float) -> None:
        """Until the thread is done, or for so long; a cancellation changes nothing."""
        until = self._loop.time() + seconds
        while not self._done.is_set() and self._loop.time() < until:
            try:
                async with asyncio.timeout_at(until):
                    await self._done.wait()
            except TimeoutError:
                return
            except asyncio.CancelledError:
                # One is under way already, and it ends with us.
                continue
        if self._done.is_set():
            # It has said so with its last breath: this takes microseconds.
            self.join(_LAST_STEP)

    def _crew(self) -> Any:
        request = self._request
        profile = request.profile or AgentProfile(request.agent or "")
        tools = [self._library.tool(place) for place in self._places]
        model = _model(request) or "default"
        return self._library.crew(
            request.text, profile, model, tools, self.conversation
        )

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._over)
        except RuntimeError:
            return  # the loop is closed, and nobody waits

    def _over(self) -> None:
        self._done.set()
        self.conversation.end()


def _answer_of(thread: _CrewThread, conversation: Conversation) -> str:
    if conversation.failure is not None:
        raise ModelError(conversation.failure)
    if thread.answer is not None:
        return thread.answer
    if thread.error is None or isinstance(thread.error, CrewEndedError):
        message = "the crew was ended before it had an answer"
        raise ModelError(Failure(FailureCause.KILLED, message))
    raise ModelError(failure_of(thread.error)) from thread.error


def _model(request: AgentRequest) -> str | None:
    return request.model or (request.tool.model if request.tool else None)


def _stopping(endpoint: Endpoint, question: Question) -> Endpoint:
    if not question.stop:
        return endpoint
    options = {"stop": list(question.stop), **endpoint.options}
    return Endpoint(endpoint.base_url, endpoint.api_key, options)
