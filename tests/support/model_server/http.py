"""As much of an HTTP/1.1 server as the tests need, with every rudeness that they need.

A protocol of our own and not asyncio's streams: what a client does while it waits
for an answer (close, reset) must be seen at once and counted.
"""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from attrs import define, field, frozen

_REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many"}
_MAX_HEAD: Final = 64 * 1024


@frozen
class HttpRequest:
    """A request that is wholly here. Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; an empty table where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


Handler = Callable[[HttpRequest, "Connection"], Awaitable[None]]


@define(eq=False)
class Connection(asyncio.Protocol):
    """One connection: requests in, one after the other, and answers out."""

    group: asyncio.TaskGroup
    handler: Handler
    known: "set[Connection]"
    errors: list[str]
    is_keeping: bool = field(default=True, init=False)
    _buffer: bytearray = field(factory=bytearray, init=False)
    _came: asyncio.Event = field(factory=asyncio.Event, init=False)
    _drained: asyncio.Event = field(factory=asyncio.Event, init=False)
    _transport: asyncio.Transport = field(init=False)
    _task: "asyncio.Task[None]" = field(init=False)

    # --- what the loop calls ----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.known.add(self)
        self._drained.set()
        self._task = self.group.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.known.discard(self)
        self._task.cancel()

    def pause_writing(self) -> None:
        self._drained.clear()

    def resume_writing(self) -> None:
        self._drained.set()

    # --- what a handler calls ---------------------------------------------------

    async def answer(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        kind: str,
        *,
        length: int | None = None,
    ) -> None:
        """A whole answer; with a greater ``length`` the promise of one."""
        size = str(len(body) if length is None else length)
        self._head(status, {"content-type": kind, **headers, "content-length": size})
        await self._write(body)

    async def begin_stream(self, kind: str = "text/event-stream") -> None:
        """The head of an answer in chunks."""
        self._head(200, {"content-type": kind, "transfer-encoding": "chunked"})
        await self._drained.wait()

    async def chunk(self, data: bytes) -> None:
        """A piece of the stream; an empty one ends it."""
        await self._write(b"%x\r\n%b\r\n" % (len(data), data))

    def reset(self) -> None:
        """Ends the connection the rude way: with RST, what is not read is lost."""
        self.is_keeping = False
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        """Ends the connection when what was written is on its way."""
        self.is_keeping = False
        self._transport.close()

    def drop(self) -> None:
        """Ends the connection, whatever is under way."""
        self._transport.abort()

    # --- inside -----------------------------------------------------------------

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not self.is_keeping:
            lines.append("connection: close")
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def _write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._drained.wait()

    async def _serve(self) -> None:
        try:
            while self.is_keeping:
                await self.handler(await self._request(), self)
        except Exception as error:  # noqa: BLE001 - told at the end, by the server
            self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            self._transport.close()

    async def _request(self) -> HttpRequest:
        head = (await self._until(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._body(headers)
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if headers.get("connection", "").lower() == "close":
            self.is_keeping = False
        url = urlsplit(target)
        return HttpRequest(method, unquote(url.path), url.query, headers, body)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._exactly(int(headers.get("content-length", "0")))
        body = bytearray()
        while size := int((await self._until(b"\r\n")).split(b";")[0], 16):
            body += await self._exactly(size)
            await self._exactly(2)
        await self._until(b"\r\n")
        return bytes(body)

    async def _until(self, mark: bytes) -> bytes:
        while (place := self._buffer.find(mark)) < 0:
            assert len(self._buffer) < _MAX_HEAD, "no HTTP"
            await self._more()
        return (await self._exactly(place + len(mark)))[:place]

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _more(self) -> None:
        self._came.clear()
        await self._came.wait()
