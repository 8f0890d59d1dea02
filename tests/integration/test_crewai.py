"""Crews of one agent: who it is, what it may do, how it fails, and that it ends."""

import asyncio
import inspect
import json
import os
import pkgutil
import subprocess
import sys
import threading
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from muster.domain.agent_profile import AgentProfile
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    OutputReceived,
    ToolCallClosed,
    ToolCallOpened,
)
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.task import AgentOutput, AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.crewai.failures import CAUSES, cause_of
from muster.infrastructure.adapters.crewai.library import Library
from muster.infrastructure.adapters.crewai.orchestrator import CrewAIOrchestrator
from tests.support.cli import Cli
from tests.support.model_server import ModelServer, Script, Turn, served

# crewai takes seconds to import: once, and not in every worker.
pytestmark = pytest.mark.xdist_group("crewai")
C = FailureCause
ROOT = Path(__file__).parents[2]
ANN = AgentProfile("ann", description="find the truth", prompt="You are Ann.")
THINKS = 'Thought: look\nAction: look_up\nAction Input: {"word": "moon"}'
CONCLUDES = "Thought: I now know\nFinal Answer: it is far"


def request(server: ModelServer, **changes: Any) -> AgentRequest:
    """A prompt for a crew whose model the server plays."""
    fields = {"base_url": f"{server.url}/v1", **changes.pop("tool", {})}
    values = {"prompt": "how far is the moon?", "model": "m"}
    return AgentRequest("a", **{**values, "tool": ToolSpec("x", **fields), **changes})


async def ask(
    server: ModelServer, environ: dict[str, str] | None = None, **changes: Any
) -> tuple[AgentOutput | Failure, list[AgentEvent]]:
    """The answer or the failure, and what was reported."""
    crews = CrewAIOrchestrator(environ or {})
    events: list[AgentEvent] = []
    try:
        return await crews.invoke(request(server, **changes), events.append), events
    except AgentInvocationError as error:
        return error.failure, events
    finally:
        await crews.aclose()
        assert not [each for each in threading.enumerate() if "crew" in each.name]


async def test_a_profile_becomes_its_agent() -> None:
    """Persona, goal, model, key and cost; the text as it comes."""
    turn = Turn(text="384,400 km", pieces=5)
    tool = {"api_key_env": "MY_KEY", "options": {"temperature": 0.5}}
    async with ModelServer(Script.of(turn)) as server:
        answer, events = await ask(server, {"MY_KEY": "k"}, profile=ANN, tool=tool)

    assert isinstance(answer, AgentOutput)
    assert (answer.content, answer.usage) == ("384,400 km", Usage(11, 7, 0))
    [seen] = server.requests
    system, user = seen.body["messages"]
    assert all(each in system["content"] for each in ("ann", "You are Ann.", "truth"))
    assert "how far is the moon?" in user["content"]
    assert (seen.model, seen.body["temperature"]) == ("m", 0.5)
    assert seen.headers["authorization"] == "Bearer k"
    said = [bytes(each.data) for each in events if isinstance(each, OutputReceived)]
    assert len([each for each in said if each]) > 1
    assert events[-1] == AgentEnded(0, output="384,400 km")


async def test_an_agent_uses_its_tools() -> None:
    """The table says where they are; one that nobody has set up is named."""
    profile = AgentProfile("ann", prompt="You are Ann.", tools=("look_up", "Bash"))
    options = {"tools": {"look_up": "tests.support.crew_tools:look_up"}}
    turns = (Turn(text=THINKS), Turn(text=CONCLUDES))
    async with ModelServer(Script.of(*turns)) as server:
        answer, events = await ask(server, profile=profile, tool={"options": options})

    assert isinstance(answer, AgentOutput)
    assert (answer.content, answer.usage) == ("it is far", Usage(22, 14, 0))
    calls = [each for each in events if isinstance(each, ToolCallOpened)]
    assert [each.name for each in calls] == ["look_up"]
    assert ToolCallClosed(calls[0].call_id) in events
    assert "seen: moon" in json.dumps(server.requests[1].body)
    assert "tools" not in server.requests[0].body
    ended = events[-1]
    assert isinstance(ended, AgentEnded)
    assert ended.output == "it is far"
    assert "no tool 'Bash'" in ended.stderr


@pytest.mark.parametrize("place", ["no.such:thing", "tests.support.crew_tools:nothing"])
async def test_a_tool_that_is_not_there(place: str) -> None:
    """Is a failure that says so, before the model is asked."""
    profile = AgentProfile("ann", tools=("x",))
    async with ModelServer() as server:
        tool = {"options": {"tools": {"x": place}}}
        failure, _ = await ask(server, profile=profile, tool=tool)

    assert isinstance(failure, Failure)
    assert failure.message.startswith("crewai: ")
    assert not server.requests


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    ("do", "cause"),
    [
        ("unauthorized", C.AUTH),
        ("not_found", C.INVALID_MODEL),
        ("context_length", C.CONTEXT_LENGTH),
        ("rate_limit", C.RATE_LIMIT),
        ("quota", C.QUOTA),
        ("server_error", C.SERVER_ERROR),
        ("overloaded", C.OVERLOADED),
        ("reset", C.NETWORK),
        ("cut", C.NETWORK),
        ("malformed", C.SERVER_ERROR),
        ("empty", C.INFERENCE),
    ],
)
async def test_names_failures_and_asks_once(
    do: str, cause: FailureCause, *, stream: bool
) -> None:
    """In the server's words; crewai alone would ask up to 27 times."""
    tool = {"options": {"stream": stream}}
    async with ModelServer(Script.of(do)) as server:
        failure, _ = await ask(server, tool=tool)

    assert isinstance(failure, Failure)
    assert failure.cause is cause
    assert len(server.requests) == 1


@pytest.mark.parametrize("wait", [None, 7.0])
async def test_says_how_long_to_wait(wait: float | None) -> None:
    """As the server does, and does not wait itself."""
    turn = {"do": "rate_limit", "retry_after": wait}
    async with ModelServer(Script.of(turn)) as server:
        failure, _ = await ask(server)

    assert isinstance(failure, Failure)
    assert failure.retry_after == wait


@pytest.mark.parametrize("do", ["hang", "hang_in_stream", "drip"])
async def test_72_that_hang_are_cancelled_at_once(do: str) -> None:
    """All of them think at the same time, and every connection is closed."""
    crews = CrewAIOrchestrator({})
    turn = {"do": do, "text": "x" * 1000, "pieces": 1000}
    async with ModelServer(Script.of(turn)) as server:
        asked = request(server)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(crews.invoke(asked, lambda _: None))
                for _ in range(72)
            ]
            await until(lambda: server.open == 72)
            began = asyncio.get_running_loop().time()
            for each in tasks:
                each.cancel()
        took = asyncio.get_running_loop().time() - began
        await until(lambda: server.open == 0)
    await crews.aclose()

    assert (server.peak_open, server.closed_by_client) == (72, 72)
    assert took < 2.5 + 5.0  # the grace and half a second, on a busy machine


def test_every_exception_of_the_library_has_a_cause() -> None:
    """A new one must be thought about: it would be called a crash."""
    library = Library().parts().crewai
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dict(_exceptions(library))
    without = {
        name
        for name, kind in found.items()
        if cause_of(kind) is C.CRASH and name not in {*CAUSES, *NO_CAUSE}
    }

    assert not without
    assert set(CAUSES) - set(found) <= BUILT_IN


# Of parts that no crew of ours comes to: checkpoints, flows, event handlers.
NO_CAUSE = {
    "CircularDependencyError",
    "EmptyStackError",
    "EventPairingError",
    "StackDepthExceededError",
}
BUILT_IN = {
    "Exception",
    "ConnectionError",
    "ImportError",
    "MemoryError",
    "ModuleNotFoundError",
    "TimeoutError",
    "ValidationError",
}
PARTS = (
    *("agent", "agents", "events", "hooks", "llms", "mcp", "memory", "project"),
    *("skills", "telemetry", "tools", "utilities"),
)


def _exceptions(library: Any) -> Any:
    for part in PARTS:
        folder = Path(library.__file__).parent / part
        for each in pkgutil.walk_packages([str(folder)], f"crewai.{part}."):
            try:
                module = import_module(each.name)
            except Exception:  # noqa: BLE001, S112 - needs an extra of crewai's
                continue
            for name, kind in inspect.getmembers(module, inspect.isclass):
                if issubclass(kind, Exception) and kind.__module__.startswith("crewai"):
                    yield name, kind


LOOK = """
import asyncio, json, os, signal, sys, warnings
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.crewai.orchestrator import CrewAIOrchestrator

def state():
    handlers = [str(signal.getsignal(each)) for each in (2, 15, 1)]
    return [handlers, warnings.warn is WARN, "FROM_DOTENV" in os.environ]

async def main():
    crews = CrewAIOrchestrator()
    tool = ToolSpec("x", base_url=sys.argv[1])
    request = AgentRequest("a", prompt="hi", tool=tool, model="m")
    answer = await crews.invoke(request, lambda event: None)
    await crews.aclose()
    return answer.content

WARN = warnings.warn
before = state()
content = asyncio.run(main())
print(json.dumps([content, before == state()]))
"""


def test_the_process_stays_as_it_was(tmp_path: Path) -> None:
    """Signals, warnings and environment; nothing is left in home and folder, or said."""
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n")
    home = tmp_path / "home"
    home.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    with served() as server:
        ended = subprocess.run(
            [sys.executable, "-c", LOOK, f"{server.url}/v1"],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            timeout=100,
            check=False,
            text=True,
        )

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == ["pong", True]
    assert not ended.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == [".env", "home"]
    assert not list(home.rglob("*.db"))


def test_a_crew_from_the_command_line(tmp_path: Path) -> None:
    """One setting, and an agent is a crew."""
    with served({"turns": [{"do": "ok", "text": "from a crew"}]}) as server:
        cli = Cli(tmp_path).file(
            "muster.toml",
            f'[tools.crew]\nadapter = "crewai"\nbase_url = "{server.url}/v1"\n'
            'model = "m"\nis_agent = true\n',
        )

        cli.args("spawn", "--tool", "crew", "hi").run().status(0).stdout("from a crew")


def test_the_example_of_a_council_asks_crews(tmp_path: Path) -> None:
    """Its one setting, with a server of models."""
    with served({"turns": [{"do": "ok", "text": "I doubt it."}]}) as server:
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "council.py"), "crewai"],
            cwd=tmp_path,
            env={**os.environ, "MODELS": f"{server.url}/v1", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert lines == [
        [name, "I doubt it."] for name in ("architect", "operator", "treasurer")
    ]


async def until(is_true: Any) -> None:
    """Waits for the server to notice."""
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110 - the server knows nothing of us
            await asyncio.sleep(0.005)
