"""Direct calls to models behind an OpenAI-compatible server: no program, no tools."""

import os
from collections.abc import Mapping

from attrs import define, field

from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentStarted,
    ModelServed,
    OutputReceived,
    UsageReported,
)
from muster.domain.outcome import Failure, FailureCause
from muster.domain.task import AgentOutput, AgentRequest
from muster.infrastructure.model_client import Endpoint, Listener, ModelClient
from muster.infrastructure.openai_wire import Completion, Message, ModelError


class OpenAICompatibleOrchestrator:
    """The adapter for Ollama, llama.cpp, vLLM, and vendors that speak their protocol.

    A cancellation closes the connection, by which the server knows to stop. Keys come
    from the variable that the tool names, the task's environment first.
    """

    capabilities = Capabilities("openai_compatible", takes_profiles=True)

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._client = ModelClient()
        self._running: set[_Run] = set()

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """See `AgentOrchestrator`. The text is reported as stdout, as it comes."""
        run = _Run(request, report)
        self._running.add(run)
        try:
            report(AgentStarted())
            completion = await self._answer(run)
        except ModelError as error:
            failed = run.closed or error.failure
            ended = run.ended()
            raise AgentInvocationError(request.agent_id, failed, ended) from error
        finally:
            self._running.discard(run)
            report(run.ended())
        return AgentOutput(
            completion.text,
            request.agent_id,
            request.request_id,
            usage=completion.usage,
        )

    async def aclose(self) -> None:
        """See `AgentOrchestrator`: who still waits for an answer gets a failure."""
        for run in self._running:
            run.closed = Failure(FailureCause.KILLED, "the connection was closed by us")
        await self._client.aclose()

    async def _answer(self, run: "_Run") -> Completion:
        request = run.request
        endpoint = self._endpoint(request)
        listener = Listener(
            run.hear, lambda usage: run.report(UsageReported(usage)), run.served
        )
        model = request.model or (request.tool.model if request.tool else None)
        run.completion = await self._client.complete(
            endpoint, model, messages_of(request), listener
        )
        return run.completion

    def _endpoint(self, request: AgentRequest) -> Endpoint:
        spec = request.tool
        if spec is None or not spec.base_url:
            name = spec.name if spec else "default"
            message = f"tool '{name}' names no base_url"
            raise ModelError(Failure(FailureCause.INVALID_REQUEST, message))
        environ = {**self._environ, **(request.env or {})}
        key = environ.get(spec.api_key_env) if spec.api_key_env else None
        return Endpoint(spec.base_url, key, spec.options)


@define(eq=False)
class _Run:
    """One request: who listens, and what has come."""

    request: AgentRequest
    report: Report
    said: bytearray = field(factory=bytearray, init=False)
    completion: Completion | None = field(default=None, init=False)
    closed: Failure | None = field(default=None, init=False)
    _model: str | None = field(default=None, init=False)
    _ended: AgentEnded | None = field(default=None, init=False)

    def hear(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        self.said += data
        self.report(OutputReceived("stdout", data))

    def served(self, model: str) -> None:
        if model != self._model:
            self._model = model
            self.report(ModelServed(model))

    def ended(self) -> AgentEnded:
        if self._ended is None:
            self._ended = self._summed_up()
        return self._ended

    def _summed_up(self) -> AgentEnded:
        text = self.said.decode("utf-8", "replace")
        if self.completion is None:
            return AgentEnded(output=text)
        return AgentEnded(0, output=text, truncated=self.completion.cut)


def messages_of(request: AgentRequest) -> list[Message]:
    """Who the agent is, as the system's message, and what it is asked."""
    persona = request.profile.prompt.strip() if request.profile else ""
    user = {"role": "user", "content": request.text}
    return [{"role": "system", "content": persona}, user] if persona else [user]
