"""The scripted model server says what it should, in four protocols."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.model_server import ModelServer, Script, Turn, served
from tests.support.model_server.script import ANSWERS, BREAKDOWNS, REFUSALS

PROTOCOLS = ("anthropic", "openai_chat", "openai_responses", "gemini")
SHELL = "Bash"


def path_and_body(
    protocol: str, *, stream: bool, prompt: str = "hi", model: str = "m"
) -> tuple[str, dict[str, Any]]:
    """The smallest request of a protocol, with a shell tool."""
    messages = [{"role": "user", "content": prompt}]
    if protocol == "anthropic":
        tools: list[Any] = [{"name": SHELL, "input_schema": {"type": "object"}}]
        body = {"model": model, "messages": messages, "stream": stream, "tools": tools}
        return "/v1/messages", body
    if protocol == "openai_chat":
        tools = [{"type": "function", "function": {"name": SHELL}}]
        body = {"model": model, "messages": messages, "stream": stream, "tools": tools}
        return "/v1/chat/completions", body | {
            "stream_options": {"include_usage": True}
        }
    if protocol == "openai_responses":
        tools = [{"type": "function", "name": SHELL}]
        body = {"model": model, "input": prompt, "stream": stream, "tools": tools}
        return "/v1/responses", body
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    contents = [{"role": "user", "parts": [{"text": prompt}]}]
    tools = [{"functionDeclarations": [{"name": SHELL}]}]
    return f"/v1beta/models/{model}:{method}", {"contents": contents, "tools": tools}


def documents(answer: str) -> list[Any]:
    """The JSON documents of an answer, streamed or not; "[DONE]" is none."""
    if not answer.startswith(("data:", "event:")):
        return [json.loads(answer)]
    lines = [line[6:] for line in answer.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def text_in(protocol: str, *, stream: bool, answer: str) -> str:
    """The model's text."""
    found = documents(answer)
    if protocol == "anthropic" and stream:
        return "".join(each.get("delta", {}).get("text", "") for each in found)
    if protocol == "anthropic":
        return "".join(part["text"] for part in found[0]["content"])
    if protocol == "openai_chat":
        kind = "delta" if stream else "message"
        choices = [choice for each in found for choice in each["choices"]]
        return "".join(choice[kind].get("content") or "" for choice in choices)
    if protocol == "openai_responses":
        last = found[-1]["response"] if stream else found[0]
        return "".join(item["content"][0]["text"] for item in last["output"])
    parts = [each["candidates"][0]["content"]["parts"] for each in found]
    return "".join(part["text"] for each in parts for part in each)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps connections."""
    # Nothing here is encrypted, and to read the certificates takes longer than a test.
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(timeout=20.0, trust_env=False, verify=bare) as client:
        yield client


async def ask(
    client: httpx.AsyncClient, server: ModelServer, protocol: str, **options: Any
) -> httpx.Response:
    """One request."""
    path, body = path_and_body(protocol, **options)
    return await client.post(server.url + path, json=body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("do", ["ok", "drip"])
async def test_answers(
    client: httpx.AsyncClient, protocol: str, do: str, *, stream: bool
) -> None:
    """The text of the turn, with what was asked in it."""
    turn = Turn(do, text="you said {prompt}, naïve 漢字", interval=0.001)
    async with ModelServer(Script.of(turn)) as server:
        answer = await ask(client, server, protocol, stream=stream, prompt="héllo")

    assert answer.status_code == 200
    said = text_in(protocol, stream=stream, answer=answer.text)
    assert said == "you said héllo, naïve 漢字"
    [seen] = server.requests
    assert (seen.protocol, seen.model, seen.stream) == (protocol, "m", stream)
    assert (seen.prompt, seen.ended) == ("héllo", "answered")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("do", "statuses"),
    [
        ("unauthorized", (401, 401, 401, 400)),
        ("forbidden", (403, 403, 403, 403)),
        ("not_found", (404, 404, 404, 404)),
        ("bad_request", (400, 400, 400, 400)),
        ("context_length", (400, 400, 400, 400)),
        ("rate_limit", (429, 429, 429, 429)),
        ("usage_limit", (429, 429, 429, 429)),
        ("quota", (400, 429, 429, 429)),
        ("server_error", (500, 500, 500, 500)),
        ("overloaded", (529, 503, 503, 503)),
    ],
)
async def test_refuses(
    client: httpx.AsyncClient, protocol: str, do: str, statuses: tuple[int, ...]
) -> None:
    """Each protocol has its own status and its own form of an error."""
    async with ModelServer(Script.of({"do": do, "retry_after": 7})) as server:
        answer = await ask(client, server, protocol, stream=True)

    assert answer.status_code == statuses[PROTOCOLS.index(protocol)]
    assert answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "7"


def test_all_refusals_are_in_the_tables() -> None:
    """A turn that no dialect knows would break the server in the midst of a test."""
    table = test_refuses.pytestmark[0].args[1]  # type: ignore[attr-defined]

    assert {row[0] for row in table} == set(REFUSALS)
    assert len({*ANSWERS, *REFUSALS, *BREAKDOWNS}) == 22


async def test_details_of_limits(client: httpx.AsyncClient) -> None:
    """Where each vendor says when a limit ends; and nothing where nothing is scripted."""
    turn = {"do": "usage_limit", "resets_in": 3600}
    async with ModelServer(Script.of(turn, turn, turn, "rate_limit")) as server:
        claude = await ask(client, server, "anthropic", stream=True)
        codex = await ask(client, server, "openai_responses", stream=True)
        gemini = await ask(client, server, "gemini", stream=True)
        bare = await ask(client, server, "anthropic", stream=True)

    assert claude.headers["anthropic-ratelimit-unified-status"] == "rejected"
    reset = int(claude.headers["anthropic-ratelimit-unified-reset"])
    assert codex.json()["error"]["type"] == "usage_limit_reached"
    assert abs(codex.json()["error"]["resets_at"] - reset) < 30
    details = gemini.json()["error"]["details"]
    assert details[-1]["retryDelay"] == "3600s"
    assert "retry-after" not in bare.headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("do", "error"),
    [
        ("reset", httpx.ReadError),
        ("reset_in_stream", httpx.ReadError),
        ("hang", httpx.ReadTimeout),
        ("hang_in_stream", httpx.ReadTimeout),
    ],
)
async def test_breaks_down(
    client: httpx.AsyncClient,
    protocol: str,
    do: str,
    error: type[Exception],
    *,
    stream: bool,
) -> None:
    """Resets and hangs, before the first byte and in the midst."""
    async with ModelServer(Script.of({"do": do, "pieces": 4})) as server:
        heard = bytearray()
        with pytest.raises(error):
            await listen(client, server, protocol, stream=stream, heard=heard)
        await until(lambda: server.open == 0)

    assert bool(heard) is do.endswith("in_stream")
    assert server.requests[0].ended == ("closed by client" if "hang" in do else "reset")


async def listen(
    client: httpx.AsyncClient,
    server: ModelServer,
    protocol: str,
    *,
    stream: bool,
    heard: bytearray,
) -> None:
    """Until the end, or for as long as patience lasts."""
    path, body = path_and_body(protocol, stream=stream)
    patience = httpx.Timeout(20.0, read=0.1)
    async with client.stream(
        "POST", server.url + path, json=body, timeout=patience
    ) as answer:
        async for data in answer.aiter_raw():
            heard += data


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("do", ["cut", "error_in_stream", "malformed"])
async def test_streams_that_end_badly(
    client: httpx.AsyncClient, protocol: str, do: str
) -> None:
    """The HTTP answer is complete, the stream in it is not."""
    async with ModelServer(Script.of({"do": do, "pieces": 4})) as server:
        answer = await ask(client, server, protocol, stream=True)

    terminal = ("message_stop", "[DONE]", "response.completed", "STOP")
    assert answer.status_code == 200
    assert not any(each in answer.text for each in terminal)
    assert ("error" in answer.text) is (do == "error_in_stream") or protocol.endswith(
        "responses"
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_half_an_answer(client: httpx.AsyncClient, protocol: str) -> None:
    """Without a stream: JSON that is none, a promised length that never comes."""
    async with ModelServer(Script.of("malformed", "cut")) as server:
        answer = await ask(client, server, protocol, stream=False)
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(client, server, protocol, stream=False)

    with pytest.raises(ValueError, match=r"."):
        answer.json()


@pytest.mark.parametrize("status", [None, 502])
async def test_a_page(client: httpx.AsyncClient, status: int | None) -> None:
    """What a captive portal or a proxy says."""
    async with ModelServer(Script.of({"do": "html", "status": status})) as server:
        answer = await ask(client, server, "openai_chat", stream=True)

    assert answer.status_code == (status or 200)
    assert answer.headers["content-type"] == "text/html"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_tool_call_and_its_result(
    client: httpx.AsyncClient, protocol: str, *, stream: bool
) -> None:
    """First the call, with the command; after the result the text."""
    turn = Turn("tool_call", text="all done", command="touch here")
    path, body = path_and_body(protocol, stream=stream)
    async with ModelServer(Script.of(turn)) as server:
        first = await client.post(server.url + path, json=body)
        _add_result(protocol, body)
        second = await client.post(server.url + path, json=body)

    assert SHELL in first.text
    assert "touch here" in first.text
    assert text_in(protocol, stream=stream, answer=second.text) == "all done"
    assert [each.has_tool_result for each in server.requests] == [False, True]


def _add_result(protocol: str, body: dict[str, Any]) -> None:
    if protocol == "anthropic":
        block = {"type": "tool_result", "tool_use_id": "x", "content": "ok"}
        body["messages"].append({"role": "user", "content": [block]})
    elif protocol == "openai_chat":
        body["messages"].append({"role": "tool", "tool_call_id": "x", "content": "ok"})
    elif protocol == "openai_responses":
        output = {"type": "function_call_output", "call_id": "x", "output": "ok"}
        body["input"] = [{"role": "user", "content": "hi"}, output]
    else:
        part = {"functionResponse": {"name": SHELL, "response": {"output": "ok"}}}
        body["contents"].append({"role": "user", "parts": [part]})


async def test_rows_by_model(client: httpx.AsyncClient) -> None:
    """Each scripted model has a row; its last turn goes on."""
    script = Script.from_document(
        {"turns": ["ok"], "models": {"flaky": ["server_error", "ok"]}}
    )
    async with ModelServer(script) as server:
        codes = [
            (await ask(client, server, "openai_chat", stream=False, model=model))
            for model in ("flaky", "other", "flaky", "flaky")
        ]

    assert [each.status_code for each in codes] == [500, 200, 200, 200]


async def test_side_calls(client: httpx.AsyncClient) -> None:
    """What CLIs ask beside their work is answered and moves no row."""
    script = Script.of("server_error", tools_only=True)
    async with ModelServer(script) as server:
        path, body = path_and_body("anthropic", stream=False)
        title = {key: value for key, value in body.items() if key != "tools"}
        assert (await client.post(server.url + path, json=title)).status_code == 200
        assert (await client.post(server.url + path, json=body)).status_code == 500
        counted = await client.post(f"{server.url}/v1/messages/count_tokens", json=body)
        tokens = await client.post(f"{server.url}/v1beta/models/x:countTokens", json={})
        models = await client.get(f"{server.url}/v1/models")
        head = await client.head(server.url)
        nothing = await client.get(f"{server.url}/nothing")

    assert counted.json()["input_tokens"] == tokens.json()["totalTokens"]
    assert models.json()["data"][0]["id"]
    assert (head.status_code, nothing.status_code) == (200, 404)
    assert len(server.other) == 5


async def test_counts_what_is_open(client: httpx.AsyncClient) -> None:
    """The peak, and who went away."""
    turn = {"do": "ok", "delay": 0.5}
    async with ModelServer(Script.of(turn)) as server, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(ask(client, server, "openai_chat", stream=True))
            for _ in range(9)
        ]
        await until(lambda: server.open == 9)
        tasks[0].cancel()
        await until(lambda: server.open == 8)

    assert (server.peak_open, server.closed_by_client) == (9, 1)


def test_in_a_process_of_its_own() -> None:
    """The same server elsewhere: books, script, and an end with the block."""
    with served({"turns": ["forbidden"]}) as server:
        path, body = path_and_body("openai_chat", stream=False)
        refused = httpx.post(server.url + path, json=body, trust_env=False)
        books = server.stats()
        [seen] = server.requests()
        server.rewrite({"turns": [{"do": "ok", "text": "again"}]})
        answer = httpx.post(server.url + path, json=body, trust_env=False)

    assert refused.status_code == 403
    assert (books["requests"], books["peak_open"], books["open"]) == (1, 1, 0)
    assert seen["body"]["model"] == "m"
    assert text_in("openai_chat", stream=False, answer=answer.text) == "again"
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url, trust_env=False)


@pytest.mark.parametrize("wrong", ["dance", {"do": "ok", "speed": 3}])
def test_a_wrong_script(wrong: Any) -> None:
    """Says so before anything is served."""
    with pytest.raises(ValueError, match=r"no (turn 'dance'|speed)"):
        Script.of(wrong)


async def until(is_true: Any) -> None:
    """Waits for the server to notice."""
    async with asyncio.timeout(10):
        while not is_true():  # noqa: ASYNC110 - the server knows nothing of us
            await asyncio.sleep(0.005)
