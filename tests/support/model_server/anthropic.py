"""Anthropic Messages: ``/v1/messages`` and ``/v1/messages/count_tokens``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.support.model_server.dialect import (
    Asked,
    Refusal,
    Reply,
    Stream,
    retry_header,
    sse,
    text_of,
)
from tests.support.model_server.script import Turn

_ERRORS: Final[Mapping[str, tuple[int, str, str]]] = {
    "unauthorized": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (
        403,
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
    ),
    "not_found": (404, "not_found_error", "model: {model}"),
    "bad_request": (400, "invalid_request_error", "max_tokens: Field required"),
    "context_length": (
        400,
        "invalid_request_error",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ),
    "rate_limit": (
        429,
        "rate_limit_error",
        "This request would exceed your account's rate limit. Please try again later.",
    ),
    "usage_limit": (
        429,
        "rate_limit_error",
        "This request would exceed your account's rate limit. Please try again later.",
    ),
    "quota": (
        400,
        "invalid_request_error",
        (
            "Your credit balance is too low to access the Anthropic API. Please go to "
            "Plans & Billing to upgrade or purchase credits."
        ),
    ),
    "server_error": (500, "api_error", "Internal server error"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}


class Anthropic:
    """The dialect of claude."""

    name = "anthropic"

    def asked(self, path: str, query: str, body: Mapping[str, Any]) -> Asked:
        messages = body.get("messages") or [{}]
        users = [each for each in messages if each.get("role") == "user"]
        last = users[-1].get("content") if users else ""
        parts = last if isinstance(last, list) else []
        return Asked(
            str(body.get("model", "")),
            text_of(last),
            stream=bool(body.get("stream")),
            tools=tuple(each.get("name", "") for each in body.get("tools") or ()),
            has_tool_result=any(each.get("type") == "tool_result" for each in parts),
        )

    def whole(self, reply: Reply) -> Any:
        content: list[dict[str, Any]] = []
        if reply.pieces:
            content.append({"type": "text", "text": reply.text})
        if reply.call:
            content.append(_tool_use(reply) | {"input": dict(reply.call.arguments)})
        return _message(reply) | {
            "content": content,
            "stop_reason": "tool_use" if reply.call else "end_turn",
            "usage": _usage(reply.turn),
        }

    def stream(self, reply: Reply) -> Stream:
        start = _message(reply) | {"usage": _usage(reply.turn) | {"output_tokens": 1}}
        opening = [_event("message_start", message=start), _event("ping")]
        pieces: list[bytes] = []
        closing: list[bytes] = []
        index = 0
        if reply.pieces:
            block = {"type": "text", "text": ""}
            opening.append(_block_start(index, block))
            pieces = [
                _block_delta(index, {"type": "text_delta", "text": piece})
                for piece in reply.pieces
            ]
            closing.append(_event("content_block_stop", index=index))
            index += 1
        if reply.call:
            arguments = json.dumps(dict(reply.call.arguments))
            delta = {"type": "input_json_delta", "partial_json": arguments}
            closing += [
                _block_start(index, _tool_use(reply) | {"input": {}}),
                _block_delta(index, delta),
                _event("content_block_stop", index=index),
            ]
        reason = "tool_use" if reply.call else "end_turn"
        closing += [
            _event(
                "message_delta",
                delta={"stop_reason": reason, "stop_sequence": None},
                usage={"output_tokens": reply.turn.output_tokens},
            ),
            _event("message_stop"),
        ]
        return Stream(opening, pieces, closing)

    def refusal(self, turn: Turn, now: float, asked: Asked) -> Refusal:
        status, kind, message = _ERRORS[turn.do]
        message = turn.message or message.replace("{model}", asked.model)
        headers = {"request-id": "req_scripted", **retry_header(turn)}
        if turn.do == "usage_limit":
            reset = f"{int(now + (turn.resets_in or 3600))}"
            headers |= {
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": reset,
                "anthropic-ratelimit-unified-representative-claim": "five_hour",
                "anthropic-ratelimit-unified-5h-status": "rejected",
                "anthropic-ratelimit-unified-5h-reset": reset,
                "anthropic-ratelimit-unified-overage-status": "rejected",
            }
        if status >= 500:
            headers["x-should-retry"] = "true"
        return Refusal(turn.status or status, _error(kind, message), headers)

    def broken_off(self, turn: Turn) -> Sequence[bytes]:
        error = _error("overloaded_error", turn.message or "Overloaded")
        return [sse(error, "error")]


def _error(kind: str, message: str) -> dict[str, Any]:
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_scripted"}


def _event(kind: str, **values: Any) -> bytes:
    return sse({"type": kind, **values}, kind)


def _block_start(index: int, block: Mapping[str, Any]) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _block_delta(index: int, delta: Mapping[str, Any]) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _tool_use(reply: Reply) -> dict[str, Any]:
    assert reply.call is not None
    call = reply.call
    return {"type": "tool_use", "id": f"toolu_{call.call_id}", "name": call.name}


def _message(reply: Reply) -> dict[str, Any]:
    return {
        "id": f"msg_{reply.number}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _usage(turn: Turn) -> dict[str, Any]:
    return {
        "input_tokens": turn.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": turn.cached_tokens,
        "output_tokens": turn.output_tokens,
    }
