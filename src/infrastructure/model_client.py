"""The one door to httpx: asks a model, and closes the connection when it is cancelled."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import define, field, frozen

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.infrastructure.openai_failures import of_response
from muster.infrastructure.openai_wire import (
    Completion,
    EventLines,
    Message,
    ModelError,
    Reading,
    body_of,
    garbled,
    take_event,
)

if TYPE_CHECKING:
    import httpx

_OK: Final = 200
_MAX_ERROR_BYTES: Final = presets.SERVER_PROBE_BYTES


@frozen
class Endpoint:
    """Where a model is served. ``options`` are fields of every request."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(factory=dict)


@frozen
class Listener:
    """Who wants to know of an answer while it comes: its texts, its cost, its model.

    An empty text is a sign of life. ``served`` may be told the same model often.
    """

    text: Callable[[str], None]
    usage: Callable[[Usage], None] = lambda _: None
    served: Callable[[str], None] = lambda _: None


@define(eq=False)
class ModelClient:
    """Connections to model servers, kept and used again. Bound to one loop."""

    _clients: "dict[tuple[bool, bool], httpx.AsyncClient]" = field(
        factory=dict, init=False
    )

    def __attrs_post_init__(self) -> None:
        _httpx()

    async def complete(
        self,
        endpoint: Endpoint,
        model: str | None,
        messages: Sequence[Message],
        listener: Listener,
    ) -> Completion:
        """The answer. Raises `ModelError`; cancelling closes the connection.

        Without a ``model`` it is the first one that the server lists.
        """
        httpx = _httpx()
        try:
            model = model or await self._first_model(endpoint)
            body = body_of(messages, model, endpoint.options)
            return await self._ask(endpoint, body, listener)
        except httpx.HTTPError as error:
            raise ModelError(_broken(error, endpoint)) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            message = f"base_url is no URL: {error}"
            raise ModelError(Failure(FailureCause.INVALID_REQUEST, message)) from error

    async def aclose(self) -> None:
        """Closes every connection, those in use too."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    async def _ask(
        self, endpoint: Endpoint, body: dict[str, Any], listener: Listener
    ) -> Completion:
        async with self._client(endpoint).stream(
            "POST",
            f"{endpoint.base_url}/chat/completions",
            content=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
            headers=_headers(endpoint),
        ) as response:
            if response.status_code != _OK:
                raise ModelError(await _refusal(response))
            kind = response.headers.get("content-type", "")
            if kind.startswith("text/event-stream"):
                return await _streamed(response, listener)
            return await _whole(response, listener)

    async def _first_model(self, endpoint: Endpoint) -> str:
        response = await self._client(endpoint).get(
            f"{endpoint.base_url}/models", headers=_headers(endpoint)
        )
        if response.status_code != _OK:
            raise ModelError(await _refusal(response))
        listed = _json(response.content)
        rows = listed.get("data") if isinstance(listed, Mapping) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, Mapping) and isinstance(row.get("id"), str):
                return str(row["id"])
        message = f"{endpoint.base_url} serves no model; name one, or get one first"
        raise ModelError(Failure(FailureCause.INVALID_MODEL, message))

    def _client(self, endpoint: Endpoint) -> "httpx.AsyncClient":
        is_plain = urlsplit(endpoint.base_url).scheme == "http"
        kind = (is_plain, is_local(endpoint.base_url))
        if kind not in self._clients:
            self._clients[kind] = _new_client(is_plain=is_plain, is_near=kind[1])
        return self._clients[kind]


def is_local(base_url: str) -> bool:
    """Whether the server is on this machine, as far as its name says."""
    host = urlsplit(base_url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _new_client(*, is_plain: bool, is_near: bool) -> "httpx.AsyncClient":
    library = _httpx()
    # A proxy knows the way to the world and not to this machine.
    options: dict[str, Any] = {"trust_env": not is_near}
    if is_plain:
        # To read the certificates takes 20 ms, and here nothing is encrypted.
        options["verify"] = _bare_context()
    client: httpx.AsyncClient = library.AsyncClient(
        # How long an agent may be silent, and how long it may take, is judged above.
        timeout=library.Timeout(None, connect=presets.MODEL_CONNECT),
        limits=library.Limits(max_connections=None, max_keepalive_connections=None),
        **options,
    )
    return client


def _bare_context() -> Any:
    import ssl  # noqa: PLC0415 - slow to import, and only here

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {"content-type": "application/json", "user-agent": "muster"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    return headers


async def _streamed(response: "httpx.Response", listener: Listener) -> Completion:
    reading, lines = Reading(), EventLines()
    problems: list[ModelError] = []

    def take(data: bytes) -> float | None:
        if problems:
            return 0.0
        try:
            for event in lines.feed(data):
                _hear(reading, event, listener)
        except ModelError as error:
            problems.append(error)
            return 0.0
        return presets.DRAIN if reading.is_done else None

    await _read(response, take)
    if problems:
        raise problems[0]
    for event in lines.finish():
        _hear(reading, event, listener)
    return _heard(reading, listener)


async def _read(
    response: "httpx.Response", take: Callable[[bytes], float | None]
) -> None:
    """Feeds ``take`` until the end, or for as long as it says that the rest may last.

    The loop is never left: httpx reads by generators within generators, and those
    that are given up half-way are closed by tasks of their own, some time later.
    """
    loop = asyncio.get_running_loop()
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:
            async for data in response.aiter_bytes():
                rest = take(data)
                if rest is not None and limit.when() is None:
                    limit.reschedule(loop.time() + rest)


def _hear(reading: Reading, event: str, listener: Listener) -> None:
    text = take_event(reading, event)
    if reading.model is not None:
        listener.served(reading.model)
    # Also without a text: a model that thinks aloud elsewhere is alive.
    listener.text(text)


async def _whole(response: "httpx.Response", listener: Listener) -> Completion:
    body = await _body(response, presets.MODEL_ANSWER_BYTES)
    reading = Reading()
    document = _json(body)
    if document is None:
        raise ModelError(garbled(body.decode("utf-8", "replace")))
    text = reading.take(document)
    if reading.model is not None:
        listener.served(reading.model)
    listener.text(text)
    return _heard(reading, listener)


def _heard(reading: Reading, listener: Listener) -> Completion:
    if reading.usage is not None:
        listener.usage(reading.usage)
    return reading.completion()


async def _refusal(response: "httpx.Response") -> Failure:
    body = await _body(response, _MAX_ERROR_BYTES)
    text = body.decode("utf-8", "replace")
    return of_response(response.status_code, response.headers, _json(body), text)


async def _body(response: "httpx.Response", most: int) -> bytes:
    body = bytearray()

    def take(data: bytes) -> float | None:
        body.extend(data[: most - len(body)])
        return 0.0 if len(body) == most else None

    await _read(response, take)
    return bytes(body)


def _json(body: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(body)
    return None


def _broken(error: "httpx.HTTPError", endpoint: Endpoint) -> Failure:
    what = str(error) or type(error).__name__
    cause = FailureCause.NETWORK
    if isinstance(error, _httpx().ConnectError):
        if "CERTIFICATE" in what.upper():
            # The same certificate comes again, however often one asks.
            cause = FailureCause.FORBIDDEN
        return Failure(cause, f"no connection to {endpoint.base_url}: {what}")
    if isinstance(error, _httpx().UnsupportedProtocol):
        cause = FailureCause.INVALID_REQUEST
    return Failure(cause, f"the connection to {endpoint.base_url} broke: {what}")


def _httpx() -> Any:
    # Slow to import, and an extra: whoever runs programs only does without.
    try:
        import httpx  # noqa: PLC0415
    except ImportError as error:
        problem = "models over HTTP need httpx: pip install 'muster[http]'"
        raise ConfigError(problem) from error
    return httpx
