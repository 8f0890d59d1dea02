"""Chat completions on the wire: what is sent, and what a stream of events comes to.

Everybody speaks this protocol a little differently (Ollama, llama.cpp, vLLM, the
vendors): nothing is expected of a document but what is needed of it. No I/O here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from muster.domain import presets
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.infrastructure.openai_failures import of_error

Message = Mapping[str, Any]
_DONE: Final = "[DONE]"


class ModelError(Exception):
    """There is no answer; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@frozen
class Completion:
    """A whole answer. ``cut`` says that the model would have gone on."""

    text: str
    usage: Usage | None = None
    model: str | None = None
    cut: bool = False


def body_of(
    messages: Sequence[Message],
    model: str,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The request. ``options`` are fields of it; ``stream = false`` asks for one piece."""
    body: dict[str, Any] = {"model": model, "messages": list(messages), "stream": True}
    body |= options or {}
    if body["stream"]:
        # Without it most servers say nothing of tokens in a stream.
        body.setdefault("stream_options", {"include_usage": True})
    return body


@define
class Reading:
    """An answer while it comes in, streamed or whole."""

    _parts: list[str] = field(factory=list, init=False)
    _size: int = field(default=0, init=False)
    _reason: str | None = field(default=None, init=False)
    _usage: Usage | None = field(default=None, init=False)
    _model: str | None = field(default=None, init=False)
    _calls_tools: bool = field(default=False, init=False)
    is_done: bool = field(default=False, init=False)

    def take(self, document: Any) -> str:
        """One document: a chunk of a stream, or the whole. Gives the text in it.

        Raises `ModelError` when it tells of an error, or the answer never ends.
        """
        if not isinstance(document, Mapping):
            raise ModelError(garbled(json.dumps(document)))
        if document.get("error"):
            raise ModelError(of_error(document))
        self._model = _text(document.get("model")) or self._model
        self._usage = _usage(document.get("usage")) or self._usage
        choices = document.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        return self._take_choice(first) if isinstance(first, Mapping) else ""

    def completion(self) -> Completion:
        """The answer. Raises `ModelError` when there is none, or it is incomplete."""
        text = "".join(self._parts)
        if self._reason is None and not (self.is_done and text):
            what = "after" if text else "before"
            message = f"the answer ended {what} its first words, without an end"
            raise ModelError(Failure(FailureCause.NETWORK, message))
        if self._reason == "content_filter":
            message = "the server's content filter has withheld the answer"
            raise ModelError(Failure(FailureCause.INFERENCE, message))
        if not text.strip():
            what = "asked for a tool" if self._calls_tools else "answered nothing"
            raise ModelError(Failure(FailureCause.INFERENCE, f"the model {what}"))
        return Completion(text, self._usage, self._model, self._reason == "length")

    @property
    def model(self) -> str | None:
        """Which model answers, by the server's account."""
        return self._model

    @property
    def usage(self) -> Usage | None:
        """What is known of the cost so far."""
        return self._usage

    def _take_choice(self, choice: Mapping[str, Any]) -> str:
        self._reason = _text(choice.get("finish_reason")) or self._reason
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, Mapping):
            return ""
        self._calls_tools = self._calls_tools or bool(said.get("tool_calls"))
        text = _text(said.get("content"))
        if text:
            self._parts.append(text)
            self._size += len(text)
            if self._size > presets.MODEL_ANSWER_BYTES:
                message = f"the answer is longer than {presets.MODEL_ANSWER_BYTES:,}"
                raise ModelError(Failure(FailureCause.SERVER_ERROR, message))
        return text


@define
class EventLines:
    """Server-sent events from bytes that are cut anywhere: the data of each, decoded.

    A line may end in LF or CRLF; comments (":") and fields other than data are life
    and nothing more.
    """

    _rest: bytearray = field(factory=bytearray, init=False)

    def feed(self, data: bytes) -> Iterator[str]:
        """The events that are complete now. Raises `ModelError` for an endless line."""
        self._rest += data
        if b"\n" not in data:
            self._check()
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        self._check()
        for line in lines:
            if found := _data_of(line):
                yield found

    def finish(self) -> Iterator[str]:
        """What stands behind the last line's end."""
        if found := _data_of(bytes(self._rest)):
            yield found
        self._rest.clear()

    def _check(self) -> None:
        if len(self._rest) > presets.MODEL_ANSWER_BYTES:
            message = f"a line is longer than {presets.MODEL_ANSWER_BYTES:,} bytes"
            raise ModelError(Failure(FailureCause.SERVER_ERROR, message))


def take_event(reading: Reading, data: str) -> str:
    """One event of a stream into the reading; gives the text in it."""
    if data == _DONE:
        reading.is_done = True
        return ""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ModelError(garbled(data)) from None
    return reading.take(document)


def garbled(text: str) -> Failure:
    """What was to be JSON is none, or none of ours."""
    if text.lstrip()[:1] == "<":
        message = "the server answered with a page for people: is base_url right?"
        return Failure(FailureCause.NETWORK, message)
    shown = text[: presets.MODEL_ERROR_CHARS]
    message = f"the server's answer can't be read: {shown!r}"
    return Failure(FailureCause.SERVER_ERROR, message)


def _data_of(line: bytes) -> str:
    if not line.startswith(b"data:"):
        return ""
    return line[5:].strip().decode("utf-8", "replace")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, Mapping):
        return None
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    read, cached = _count(value.get("prompt_tokens")), _count(cached)
    return Usage(
        input_tokens=None if read is None else max(0, read - (cached or 0)),
        output_tokens=_count(value.get("completion_tokens")),
        cached_tokens=cached,
    )


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None
