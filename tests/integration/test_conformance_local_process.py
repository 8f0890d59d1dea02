"""Programs as agents keep the promises of the port, under both containments."""

import os
from collections.abc import Collection
from itertools import count
from pathlib import Path

import pytest

from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.containment import choose
from muster.infrastructure.adapters.local_process.orchestrator import (
    LocalProcessOrchestrator,
)
from muster.testing import OrchestratorConformance

ECHO = ToolSpec("cat", "cat")
FAIL = ToolSpec("fail", ("sh", "-c", "cat >/dev/null; echo 'Error: boom' >&2; exit 3"))
# The child of the child outlives a signal to its parent alone.
HANG = ToolSpec("hang", ("sh", "-c", "echo on it; sleep 1000 & sleep 1000; wait"))


class ProgramConformance(OrchestratorConformance):
    """The suite on /bin/sh and cat."""

    containment = "keeper"

    @pytest.fixture(autouse=True)
    def marker(self, request: pytest.FixtureRequest) -> None:
        """A mark in the environment by which what is left can be found."""
        self.mark = f"MUSTER_CONFORMANCE_{os.getpid()}_{next(_NUMBERS)}"

    def orchestrator(self) -> LocalProcessOrchestrator:
        return LocalProcessOrchestrator(choose(self.containment), environ=os.environ)

    def request_that_replies(self, text: str) -> AgentRequest:
        return self._request(ECHO, text)

    def request_that_fails(self) -> AgentRequest:
        return self._request(FAIL)

    def request_that_hangs(self) -> AgentRequest:
        return self._request(HANG)

    def still_running(self) -> Collection[object]:
        return [pid for pid in _processes() if self.mark in _environment(pid)]

    def _request(self, tool: ToolSpec, prompt: str = "") -> AgentRequest:
        env = {self.mark: "1"}
        return AgentRequest("agent", prompt=prompt, tool=tool, env=env, request_id="r")


class TestKeeper(ProgramConformance):
    """Each family under a keeper that adopts its orphans."""


class TestGroup(ProgramConformance):
    """Each family in a session of its own."""

    containment = "group"


_NUMBERS = count(1)


def _processes() -> list[str]:
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""
