"""The stub keeps the promises of the port; so tests against it mean something."""

import pytest

from muster.domain.task import AgentRequest
from muster.testing import (
    AgentOrchestratorStub,
    OrchestratorConformance,
    fails,
    hangs,
    notes,
    replies,
    resists,
    waits,
)


class TestStub(OrchestratorConformance):
    """Plain and chatty behaviours."""

    @pytest.fixture(autouse=True, params=["plain", "chatty"])
    def manner(self, request: pytest.FixtureRequest) -> None:
        """Both ways in which the stub plays: by the short cut, and as a scene."""
        self.chatty = request.param == "chatty"

    def orchestrator(self) -> AgentOrchestratorStub:
        stub = AgentOrchestratorStub(replies(lambda request: request.text))
        stub.on("answer 7", replies("answer 7"))
        if self.chatty:
            echo = replies(lambda request: request.text, after=0.001)
            stub = AgentOrchestratorStub(notes("thinking") + echo)
        stub.on("failing", fails("crash"))
        stub.on("hanging", hangs())
        if self.chatty:
            stub.on("failing", waits(0.001) + notes("Error: boom") + fails("crash"))
            stub.on("hanging", resists(0.05) + notes("well...") + hangs())
        return stub

    def request_that_replies(self, text: str) -> AgentRequest:
        return AgentRequest(text[:20], prompt=text, request_id=f"r-{len(text)}")

    def request_that_fails(self) -> AgentRequest:
        return AgentRequest("failing", prompt="")

    def request_that_hangs(self) -> AgentRequest:
        return AgentRequest("hanging", prompt="")
