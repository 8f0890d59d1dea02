"""Direct calls to a model: what it says, what it costs, and what each failure is called."""

import asyncio
from typing import Any

import pytest

from muster.domain.agent_profile import AgentProfile
from muster.domain.errors import AgentInvocationError
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    ModelServed,
    OutputReceived,
    UsageReported,
)
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.task import AgentOutput, AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.openai_compatible.orchestrator import (
    OpenAICompatibleOrchestrator,
)
from tests.support.model_server import ModelServer, Script

C = FailureCause
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


def request(server: ModelServer, **changes: Any) -> AgentRequest:
    """A prompt for the model of a server."""
    fields = {"base_url": f"{server.url}/v1", **changes.pop("tool", {})}
    values = {"prompt": "hi", "model": "m", "tool": ToolSpec("x", **fields)}
    return AgentRequest("a", **{**values, **changes})


async def ask(
    server: ModelServer, environ: dict[str, str] | None = None, **changes: Any
) -> tuple[AgentOutput | Failure, list[AgentEvent]]:
    """The answer or the failure, and what was reported."""
    orchestrator = OpenAICompatibleOrchestrator(environ or {})
    events: list[AgentEvent] = []
    try:
        return await orchestrator.invoke(
            request(server, **changes), events.append
        ), events
    except AgentInvocationError as error:
        return error.failure, events
    finally:
        await orchestrator.aclose()


@BOTH
async def test_answers_with_usage(*, stream: bool) -> None:
    """The text as it comes, and the tokens by the server's account."""
    turn = {"do": "ok", "text": "naïve 漢字", "pieces": 8, "cached_tokens": 4}
    async with ModelServer(Script.of(turn)) as server:
        answer, events = await ask(server, tool={"options": {"stream": stream}})

    usage = Usage(input_tokens=7, output_tokens=7, cached_tokens=4)
    assert isinstance(answer, AgentOutput)
    assert (answer.content, answer.usage) == ("naïve 漢字", usage)
    assert UsageReported(usage) in events
    assert events.count(ModelServed("m")) == 1
    said = [bytes(each.data) for each in events if isinstance(each, OutputReceived)]
    assert b"".join(said).decode() == "naïve 漢字"
    assert (len([each for each in said if each]) > 1) is stream
    assert events[-1] == AgentEnded(0, output="naïve 漢字")


async def test_says_who_it_is_and_what_it_may() -> None:
    """Persona, options and key are in the request; the task's key wins over ours."""
    profile = AgentProfile("ann", prompt="You are Ann.\n")
    tool = {"api_key_env": "MY_KEY", "options": {"temperature": 0.5}}
    async with ModelServer() as server:
        await ask(server, {"MY_KEY": "ours"}, profile=profile, tool=tool)
        await ask(server, {"MY_KEY": "ours"}, tool=tool, env={"MY_KEY": "theirs"})
        await ask(server)

    first, second, third = server.requests
    system = {"role": "system", "content": "You are Ann."}
    assert first.body["messages"] == [system, {"role": "user", "content": "hi"}]
    assert first.body["temperature"] == 0.5
    assert first.body["stream_options"] == {"include_usage": True}
    assert first.headers["authorization"] == "Bearer ours"
    assert second.headers["authorization"] == "Bearer theirs"
    assert second.body["messages"] == [{"role": "user", "content": "hi"}]
    assert "authorization" not in third.headers


@pytest.mark.parametrize(
    ("model", "default", "asked"),
    [("given", "own", "given"), (None, "own", "own"), (None, None, "test-model")],
)
async def test_finds_its_model(
    model: str | None, default: str | None, asked: str
) -> None:
    """The request's, the tool's, else the first that the server lists."""
    async with ModelServer() as server:
        await ask(server, model=model, tool={"model": default})

    assert server.requests[0].model == asked


@BOTH
@pytest.mark.parametrize(
    ("do", "cause", "says"),
    [
        ("unauthorized", C.AUTH, "HTTP 401: Incorrect API key"),
        ("forbidden", C.FORBIDDEN, "HTTP 403: Country"),
        ("not_found", C.INVALID_MODEL, "HTTP 404: The model `m` does not exist"),
        ("bad_request", C.INVALID_REQUEST, "HTTP 400: Unknown parameter"),
        ("context_length", C.CONTEXT_LENGTH, "HTTP 400: This model's maximum"),
        ("rate_limit", C.RATE_LIMIT, "HTTP 429: Rate limit reached"),
        ("usage_limit", C.QUOTA, "HTTP 429: The usage limit"),
        ("quota", C.QUOTA, "HTTP 429: You exceeded your current quota"),
        ("server_error", C.SERVER_ERROR, "HTTP 500: The server had an error"),
        ("overloaded", C.OVERLOADED, "HTTP 503: That model is currently overloaded"),
        ("reset", C.NETWORK, "the connection to http://127.0.0.1"),
        ("reset_in_stream", C.NETWORK, "broke"),
        ("cut", C.NETWORK, ""),
        ("malformed", C.SERVER_ERROR, "the server's answer can't be read"),
        ("html", C.NETWORK, ""),
        ("empty", C.INFERENCE, "the model answered nothing"),
    ],
)
async def test_names_failures(
    do: str, cause: FailureCause, says: str, *, stream: bool
) -> None:
    """One cause for each, and the server's own words."""
    options = {"stream": stream}
    async with ModelServer(Script.of(do)) as server:
        failure, events = await ask(server, tool={"options": options})

    assert isinstance(failure, Failure)
    assert (failure.cause, says in failure.message) == (cause, True), failure
    assert isinstance(events[-1], AgentEnded)
    assert events[-1].exit_code is None


async def test_an_error_in_the_midst_of_a_stream() -> None:
    """What came before is kept, and no success."""
    turn = {"do": "error_in_stream", "text": "half an answer", "pieces": 2}
    async with ModelServer(Script.of(turn)) as server:
        failure, events = await ask(server)

    assert isinstance(failure, Failure)
    assert failure.cause is C.SERVER_ERROR
    assert events[-1] == AgentEnded(output="half an")


@pytest.mark.parametrize("wait", [None, 7.0])
async def test_waits_as_long_as_it_is_told(wait: float | None) -> None:
    """Retry-After, or nothing."""
    turn = {"do": "rate_limit", "retry_after": wait}
    async with ModelServer(Script.of(turn)) as server:
        failure, _ = await ask(server)

    assert isinstance(failure, Failure)
    assert failure.retry_after == wait


async def test_a_limit_says_when_it_ends() -> None:
    """As epoch seconds."""
    turn = {"do": "usage_limit", "resets_in": 3600}
    async with ModelServer(Script.of(turn)) as server:
        failure, _ = await ask(server)

    assert isinstance(failure, Failure)
    assert failure.resets_at is not None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "ftp://127.0.0.1/v1", None])
async def test_nobody_there(url: str | None) -> None:
    """A refused connection is the network's affair, a wrong URL is the user's."""
    async with ModelServer() as server:
        failure, _ = await ask(server, tool={"base_url": url})

    assert isinstance(failure, Failure)
    refused = url is not None and url.startswith("http")
    assert failure.cause is (C.NETWORK if refused else C.INVALID_REQUEST)


@pytest.mark.parametrize("do", ["hang", "hang_in_stream", "drip"])
async def test_72_that_hang_are_cancelled_at_once(do: str) -> None:
    """And the server sees every connection closed."""
    orchestrator = OpenAICompatibleOrchestrator({})
    turn = {"do": do, "text": "x" * 1000, "pieces": 1000}
    async with ModelServer(Script.of(turn)) as server:
        asked = request(server)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(orchestrator.invoke(asked, lambda _: None))
                for _ in range(72)
            ]
            await until(lambda: server.open == 72)
            for each in tasks:
                each.cancel()
        await until(lambda: server.open == 0)
    await orchestrator.aclose()

    assert (server.peak_open, server.closed_by_client) == (72, 72)


async def test_closing_is_told_as_such() -> None:
    """Who waits when the orchestrator is closed learns why."""
    orchestrator = OpenAICompatibleOrchestrator({})
    async with ModelServer(Script.of("hang_in_stream")) as server:
        async with asyncio.TaskGroup() as group:
            asked = orchestrator.invoke(request(server), lambda _: None)
            task = group.create_task(_failure(asked))
            await until(lambda: server.open == 1)
            await orchestrator.aclose()
        await until(lambda: server.open == 0)

    assert task.result().cause is C.KILLED


async def _failure(asked: Any) -> Failure:
    with pytest.raises(AgentInvocationError) as error:
        await asked
    return error.value.failure


@pytest.fixture(autouse=True)
def _proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that would be asked for this machine, too, if anybody let it."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


async def until(is_true: Any) -> None:
    """Waits for the server to notice."""
    async with asyncio.timeout(20):
        while not is_true():  # noqa: ASYNC110 - the server knows nothing of us
            await asyncio.sleep(0.005)
