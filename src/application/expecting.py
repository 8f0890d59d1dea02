"""Makes an orchestrator's answers count only if they are what the task expects.

The checks are a part of the attempt: its deadlines, its end from outside and its
cancellation hold for them, and the agent has not ended before they have.
"""

from attrs import define, field

from muster.application.ports.agent_orchestrator import (
    AgentOrchestrator,
    Capabilities,
    Report,
)
from muster.application.ports.inspector import Inspector
from muster.domain import expectation
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    ToolCallClosed,
    ToolCallOpened,
)
from muster.domain.outcome import Failure, FailureCause
from muster.domain.task import AgentOutput, AgentRequest, Expectation, SpawnTask

_CHECK = "expect"


@define(eq=False)
class Expecting:
    """One task's view of its orchestrator."""

    inner: AgentOrchestrator
    task: SpawnTask
    expect: Expectation
    inspector: Inspector | None = None
    capabilities: Capabilities = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.capabilities = self.inner.capabilities

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """Like the inner one's; ``output_invalid`` says what was not as expected."""
        problem = expectation.obstacle(self.expect) or self._obstacle()
        if problem is not None:
            raise _failed(request, FailureCause.INVALID_REQUEST, problem)
        ended = AgentEnded()

        def pass_on(event: AgentEvent) -> None:
            nonlocal ended
            if isinstance(event, AgentEnded):
                ended = event
            else:
                report(event)

        try:
            try:
                output = await self.inner.invoke(request, pass_on)
            except AgentInvocationError as error:
                ended = error.ended or ended
                output = self._as_expected(request, error, ended)
            problem = await self._complaint(output.content, ended, report)
            if problem is not None:
                cause = FailureCause.OUTPUT_INVALID
                raise _failed(request, cause, problem, ended)
        finally:
            report(ended)
        return output

    async def aclose(self) -> None:
        """The inner one is its fleet's to close."""

    def _obstacle(self) -> str | None:
        if not expectation.needs_the_world(self.expect):
            return None
        if self.inspector is None:
            return "what is expected can't be checked by this fleet"
        return self.inspector.obstacle(self.expect)

    def _as_expected(
        self, request: AgentRequest, error: AgentInvocationError, ended: AgentEnded
    ) -> AgentOutput:
        # An exit with another code than 0 is a failure, unless it is just that
        # which is expected; a stream with a record of its end says more than a code.
        code = self.expect.exit_code
        is_text = request.tool is None or request.tool.output == "text"
        if not code or ended.exit_code != code or not is_text:
            raise error
        return AgentOutput(ended.output, request.agent_id, request.request_id)

    async def _complaint(
        self, output: str, ended: AgentEnded, report: Report
    ) -> str | None:
        expect = self.expect
        problem = expectation.complaint(
            expect, exit_code=ended.exit_code, output=output
        )
        inspector = self.inspector
        if problem or inspector is None or not expectation.needs_the_world(expect):
            return problem
        # A check that is silent is no agent that is.
        report(ToolCallOpened(_CHECK, _CHECK))
        try:
            return await inspector.complaint(
                expect, output, cwd=self.task.cwd, env=self.task.env
            )
        finally:
            report(ToolCallClosed(_CHECK))


def _failed(
    request: AgentRequest,
    cause: FailureCause,
    problem: str,
    ended: AgentEnded | None = None,
) -> AgentInvocationError:
    return AgentInvocationError(request.agent_id, Failure(cause, problem), ended)
