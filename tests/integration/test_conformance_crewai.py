"""Crews keep the promises of the port, streamed and in one piece."""

import threading
from collections.abc import Collection, Iterator
from typing import ClassVar

import pytest

from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.crewai.orchestrator import CrewAIOrchestrator
from muster.testing import OrchestratorConformance
from tests.support.model_server import Served, served

# crewai takes seconds to import: once, and not in every worker.
pytestmark = pytest.mark.xdist_group("crewai")
ECHO = {
    "do": "ok",
    "text": "{prompt}",
    "within": ["Current Task: ", "\n\nThis is the expected criteria"],
}
SCRIPT = {
    "models": {"echo": [ECHO], "broken": ["server_error"], "stuck": ["hang_in_stream"]}
}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """In a process of its own: the suite counts what is open in ours."""
    with served(SCRIPT) as server:
        yield server


class CrewConformance(OrchestratorConformance):
    """The suite on a server of this machine."""

    options: ClassVar[dict[str, object]] = {}

    @pytest.fixture(autouse=True)
    def use(self, server: Served) -> None:
        """The server of this module."""
        self.server = server

    def orchestrator(self) -> CrewAIOrchestrator:
        return CrewAIOrchestrator({})

    def request_that_replies(self, text: str) -> AgentRequest:
        return self._request("echo", text)

    def request_that_fails(self) -> AgentRequest:
        return self._request("broken")

    def request_that_hangs(self) -> AgentRequest:
        return self._request("stuck")

    def still_running(self) -> Collection[object]:
        books = self.server.wait_for(lambda books: books["open"] == 0)
        crews = [each for each in threading.enumerate() if "crew of" in each.name]
        return [*crews, *range(books["open"])]

    def _request(self, model: str, prompt: str = "hi") -> AgentRequest:
        base_url = f"{self.server.url}/v1"
        tool = ToolSpec("crew", base_url=base_url, options=self.options)
        return AgentRequest("a", prompt=prompt, tool=tool, model=model, request_id="r")


class TestStreamed(CrewConformance):
    """As events."""


class TestWhole(CrewConformance):
    """In one document."""

    options: ClassVar = {"stream": False}
