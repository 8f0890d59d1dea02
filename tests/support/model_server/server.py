"""The server: finds the dialect of a request, plays its turn, keeps the books."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from attrs import asdict, define, field

from tests.support.model_server.anthropic import Anthropic
from tests.support.model_server.dialect import Asked, Dialect, Reply, shell_call, sse
from tests.support.model_server.gemini import Gemini
from tests.support.model_server.http import Connection, HttpRequest
from tests.support.model_server.openai import CREATED, Chat, Responses
from tests.support.model_server.script import REFUSALS, Script, Turn

JSON: Final = "application/json"
PAGE: Final = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head>"
    b"<body><h1>Please sign in to the network</h1></body></html>"
)
_MODELS: Final = ("test-model", "claude-test", "gemini-test")


@define
class Seen:
    """One request to a model, and how it ended: answered, reset, closed by client, open."""

    protocol: str
    path: str
    model: str
    prompt: str
    stream: bool
    turn: str
    headers: Mapping[str, str]
    body: Any
    offers_tools: bool = False
    has_tool_result: bool = False
    at: float = field(factory=time.monotonic)
    ended: str = "open"


@define(eq=False)
class ModelServer:
    """``async with ModelServer(script) as server``: then ``server.url`` answers.

    ``peak_open`` is the most requests that were unanswered at one time,
    ``closed_by_client`` counts those whose client went away, ``other`` are the
    requests to anything but a model ("GET /v1/models").
    """

    script: Script = field(factory=Script)
    port: int = 0
    requests: list[Seen] = field(factory=list, init=False)
    other: list[str] = field(factory=list, init=False)
    open: int = field(default=0, init=False)
    peak_open: int = field(default=0, init=False)
    _errors: list[str] = field(factory=list, init=False)
    _connections: set[Connection] = field(factory=set, init=False)
    _server: asyncio.Server = field(init=False)
    _group: asyncio.TaskGroup = field(factory=asyncio.TaskGroup, init=False)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._server = await asyncio.get_running_loop().create_server(
            self._connection,
            "127.0.0.1",
            self.port,
            backlog=1024,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        # Who still waits for a scripted hang would wait for ever.
        for connection in list(self._connections):
            connection.drop()
        await self._group.__aexit__(None, None, None)
        assert not self._errors, self._errors

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def closed_by_client(self) -> int:
        """How many requests were given up by who had made them."""
        return sum(each.ended == "closed by client" for each in self.requests)

    def rewrite(self, script: Script) -> None:
        """Another script, from now on; the books begin anew."""
        self.script = script
        self.requests.clear()
        self.other.clear()
        self.peak_open = self.open

    def stats(self) -> dict[str, Any]:
        """The books as JSON."""
        return {
            "requests": len(self.requests),
            "open": self.open,
            "peak_open": self.peak_open,
            "closed_by_client": self.closed_by_client,
            "other": self.other,
        }

    # --- requests ---------------------------------------------------------------

    def _connection(self) -> Connection:
        return Connection(self._group, self._handle, self._connections, self._errors)

    async def _handle(self, request: HttpRequest, connection: Connection) -> None:
        dialect = _dialect_of(request)
        if dialect is None:
            await self._handle_other(request, connection)
            return
        asked = dialect.asked(request.path, request.query, request.json())
        turn = self.script.next(asked.model, offers_tools=bool(asked.tools))
        seen = Seen(
            dialect.name,
            request.path,
            asked.model,
            asked.prompt,
            asked.stream,
            turn.do,
            request.headers,
            request.json(),
            bool(asked.tools),
            asked.has_tool_result,
        )
        self.requests.append(seen)
        self.open += 1
        self.peak_open = max(self.peak_open, self.open)
        try:
            if turn.closing:
                connection.is_keeping = False
            scene = _Scene(dialect, asked, turn, connection, len(self.requests))
            seen.ended = await scene.play(request)
        except asyncio.CancelledError:
            seen.ended = "closed by client"
            raise
        finally:
            self.open -= 1

    async def _handle_other(self, request: HttpRequest, connection: Connection) -> None:
        control = _CONTROL.get((request.method, request.path))
        if control is not None:
            document = control(self, request)
        else:
            self.other.append(f"{request.method} {request.path}")
            document = _side_answer(request)
        status = 404 if document is None else 200
        body = b"" if request.method == "HEAD" else json.dumps(document or {}).encode()
        await connection.answer(status, body, {}, JSON)


@define
class _Scene:
    """One turn, played on one connection."""

    dialect: Dialect
    asked: Asked
    turn: Turn
    connection: Connection
    number: int

    async def play(self, request: HttpRequest) -> str:
        turn, connection = self.turn, self.connection
        await asyncio.sleep(turn.delay)
        if turn.do == "reset":
            connection.reset()
            return "reset"
        if turn.do == "hang":
            await asyncio.Event().wait()
        if turn.do == "html":
            await connection.answer(turn.status or 200, PAGE, {}, "text/html")
        elif turn.do in REFUSALS:
            refusal = self.dialect.refusal(turn, time.time(), self.asked)  # noqa: TID251
            body = json.dumps(refusal.body).encode()
            await connection.answer(refusal.status, body, refusal.headers, JSON)
        elif self.asked.stream:
            return await self._stream(as_list=_wants_list(self.dialect, request))
        else:
            return await self._whole()
        return "answered"

    def _reply(self) -> Reply:
        turn, asked = self.turn, self.asked
        call = None
        if turn.do == "tool_call" and not asked.has_tool_result:
            call = shell_call(asked, turn, self.number)
        text = turn.answer_to(asked.prompt)
        pieces = () if call or turn.do == "empty" else _cut(text, turn.pieces)
        return Reply(asked.model, self.number, pieces, turn, call, asked.wants_usage)

    async def _whole(self) -> str:
        turn, connection = self.turn, self.connection
        body = json.dumps(self.dialect.whole(self._reply())).encode()
        if turn.do == "malformed":
            body = body[: len(body) // 2]
        elif turn.do in _BREAKS:
            half = body[: len(body) // 2]
            await connection.answer(200, half, {}, JSON, length=len(body))
            return await self._break_off()
        if turn.do == "drip":
            await self._drip(body)
        else:
            await connection.answer(200, body, {}, JSON)
        return "answered"

    async def _drip(self, body: bytes) -> None:
        await self.connection.begin_stream(JSON)
        size = max(1, len(body) // self.turn.pieces)
        for place in range(0, len(body), size):
            await self.connection.chunk(body[place : place + size])
            await asyncio.sleep(self.turn.pause)
        await self.connection.chunk(b"")

    async def _stream(self, *, as_list: bool) -> str:
        connection, turn = self.connection, self.turn
        if as_list:
            body = json.dumps([self.dialect.whole(self._reply())]).encode()
            await connection.answer(200, body, {}, JSON)
            return "answered"
        await connection.begin_stream()
        stream = self.dialect.stream(self._reply())
        for event in stream.opening:
            await connection.chunk(event)
        breaks = turn.do in _BREAKS
        pieces = stream.pieces[: len(stream.pieces) // 2] if breaks else stream.pieces
        for event in pieces:
            await connection.chunk(event)
            await asyncio.sleep(turn.pause)
        if breaks:
            return await self._break_off()
        for event in stream.closing:
            await connection.chunk(event)
        await connection.chunk(b"")
        return "answered"

    async def _break_off(self) -> str:
        connection, turn = self.connection, self.turn
        if turn.do == "hang_in_stream":
            await asyncio.Event().wait()
        if turn.do == "reset_in_stream":
            # What was sent must have a chance to arrive: RST throws it away.
            await asyncio.sleep(_ARRIVAL)
            connection.reset()
            return "reset"
        if self.asked.stream and turn.do == "malformed":
            await connection.chunk(sse('{"choices": [{"delta": {"cont'))
        if self.asked.stream and turn.do == "error_in_stream":
            for event in self.dialect.broken_off(turn):
                await connection.chunk(event)
        if self.asked.stream:
            await connection.chunk(b"")
        connection.close()
        return "answered"


_ARRIVAL: Final = 0.05
_BREAKS: Final = frozenset(
    ("reset_in_stream", "hang_in_stream", "cut", "error_in_stream", "malformed")
)


def _cut(text: str, pieces: int) -> tuple[str, ...]:
    size = max(1, -(-len(text) // max(1, pieces)))
    return tuple(text[at : at + size] for at in range(0, len(text), size))


def _dialect_of(request: HttpRequest) -> Dialect | None:
    if request.method != "POST":
        return None
    path = request.path.rstrip("/")
    for end, dialect in _DIALECTS.items():
        if path.endswith(end):
            return dialect
    return None


def _wants_list(dialect: Dialect, request: HttpRequest) -> bool:
    return dialect.name == "gemini" and "alt=sse" not in request.query


def _side_answer(request: HttpRequest) -> Any:
    path = request.path.rstrip("/")
    if request.method == "HEAD" or not path:
        return {}
    if path.endswith("/count_tokens"):
        return {"input_tokens": 11}
    if path.endswith(":countTokens"):
        return {"totalTokens": 11}
    if path in {"/v1/models", "/v1beta/models"}:
        head = {"object": "model", "type": "model", "created": CREATED}
        listed = [{"id": name, "owned_by": "tests", **head} for name in _MODELS]
        return {"object": "list", "data": listed, "has_more": False, "models": []}
    return None


def _rewrite(server: ModelServer, request: HttpRequest) -> dict[str, Any]:
    server.rewrite(Script.from_document(request.json()))
    return server.stats()


_DIALECTS: Final[Mapping[str, Dialect]] = {
    "/messages": Anthropic(),
    "/chat/completions": Chat(),
    "/responses": Responses(),
    ":generateContent": Gemini(),
    ":streamGenerateContent": Gemini(),
}
_CONTROL: Final[Mapping[tuple[str, str], Callable[[ModelServer, HttpRequest], Any]]] = {
    ("GET", "/_stats"): lambda server, _: server.stats(),
    ("POST", "/_script"): _rewrite,
    ("GET", "/_requests"): lambda server, _: [asdict(each) for each in server.requests],
}
