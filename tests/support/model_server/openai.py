"""OpenAI: ``/v1/chat/completions`` and ``/v1/responses``."""

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

CREATED: Final = 1_760_000_000
# status, type, code, message
_ERRORS: Final[Mapping[str, tuple[int, str, str | None, str]]] = {
    "unauthorized": (
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-scr***ted.",
    ),
    "forbidden": (
        403,
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    "not_found": (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
    "bad_request": (400, "invalid_request_error", None, "Unknown parameter: 'x'."),
    "context_length": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        (
            "This model's maximum context length is 8192 tokens. However, your messages "
            "resulted in 9000 tokens. Please reduce the length of the messages."
        ),
    ),
    "rate_limit": (
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for {model} on requests per min (RPM): Limit 3, Used 3.",
    ),
    "usage_limit": (
        429,
        "usage_limit_reached",
        None,
        "The usage limit has been reached",
    ),
    "quota": (
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "server_error": (
        500,
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
    "overloaded": (
        503,
        "server_error",
        "server_is_overloaded",
        "That model is currently overloaded with other requests.",
    ),
}


def _refusal(turn: Turn, now: float, asked: Asked) -> Refusal:
    status, kind, code, message = _ERRORS[turn.do]
    message = turn.message or message.replace("{model}", asked.model)
    error: dict[str, Any] = {
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
    }
    if turn.do == "usage_limit":
        resets_in = int(turn.resets_in or 3600)
        error |= {
            "plan_type": "plus",
            "resets_in_seconds": resets_in,
            "resets_at": int(now) + resets_in,
        }
    return Refusal(turn.status or status, {"error": error}, retry_header(turn))


class Chat:
    """Chat completions, as everybody speaks them."""

    name = "openai_chat"

    def asked(self, path: str, query: str, body: Mapping[str, Any]) -> Asked:
        messages = body.get("messages") or [{}]
        users = [each for each in messages if each.get("role") == "user"]
        options = body.get("stream_options") or {}
        stream = bool(body.get("stream"))
        return Asked(
            str(body.get("model", "")),
            text_of(users[-1].get("content")) if users else "",
            stream=stream,
            tools=tuple(
                (each.get("function") or {}).get("name", "")
                for each in body.get("tools") or ()
            ),
            has_tool_result=messages[-1].get("role") == "tool",
            wants_usage=not stream or bool(options.get("include_usage")),
        )

    def whole(self, reply: Reply) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
        if reply.call:
            message["tool_calls"] = [_chat_call(reply)]
        elif not reply.pieces:
            message["content"] = ""
        choice = {"index": 0, "message": message, "finish_reason": _reason(reply)}
        return _chat_head(reply, "chat.completion") | {
            "choices": [choice],
            "usage": _chat_usage(reply),
        }

    def stream(self, reply: Reply) -> Stream:
        opening = [_chunk(reply, {"role": "assistant", "content": ""})]
        pieces = [_chunk(reply, {"content": piece}) for piece in reply.pieces]
        closing = []
        if reply.call:
            call = _chat_call(reply) | {"index": 0}
            closing.append(_chunk(reply, {"tool_calls": [call]}))
        closing.append(_chunk(reply, {}, _reason(reply)))
        if reply.usage:
            closing.append(
                sse(
                    _chat_head(reply, "chat.completion.chunk")
                    | {"choices": [], "usage": _chat_usage(reply)}
                )
            )
        return Stream(opening, pieces, [*closing, sse("[DONE]")])

    def refusal(self, turn: Turn, now: float, asked: Asked) -> Refusal:
        return _refusal(turn, now, asked)

    def broken_off(self, turn: Turn) -> Sequence[bytes]:
        message = turn.message or "The server had an error while processing."
        return [sse({"error": {"message": message, "type": "server_error"}})]


def _reason(reply: Reply) -> str:
    return "tool_calls" if reply.call else "stop"


def _chat_call(reply: Reply) -> dict[str, Any]:
    assert reply.call is not None
    arguments = json.dumps(dict(reply.call.arguments))
    function = {"name": reply.call.name, "arguments": arguments}
    return {"id": reply.call.call_id, "type": "function", "function": function}


def _chat_head(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reply.number}",
        "object": kind,
        "created": CREATED,
        "model": reply.model,
    }


def _chunk(reply: Reply, delta: Mapping[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    head = _chat_head(reply, "chat.completion.chunk")
    return sse(head | {"choices": [choice]})


def _chat_usage(reply: Reply) -> dict[str, Any]:
    turn = reply.turn
    return {
        "prompt_tokens": turn.input_tokens,
        "completion_tokens": turn.output_tokens,
        "total_tokens": reply.tokens,
        "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
    }


class Responses:
    """The dialect of codex."""

    name = "openai_responses"

    def asked(self, path: str, query: str, body: Mapping[str, Any]) -> Asked:
        given = body.get("input") or ""
        items = (
            [{"role": "user", "content": given}] if isinstance(given, str) else given
        )
        users = [each for each in items if each.get("role") == "user"]
        return Asked(
            str(body.get("model", "")),
            text_of(users[-1].get("content")) if users else "",
            stream=bool(body.get("stream")),
            tools=tuple(each.get("name", "") for each in body.get("tools") or ()),
            has_tool_result=any(
                str(each.get("type", "")).endswith("call_output") for each in items
            ),
        )

    def whole(self, reply: Reply) -> Any:
        return _response(reply, "completed") | {
            "output": [item for item, _ in _items(reply)],
            "usage": _responses_usage(reply),
        }

    def stream(self, reply: Reply) -> Stream:
        started = _response(reply, "in_progress")
        opening = [
            _event("response.created", response=started),
            _event("response.in_progress", response=started),
        ]
        pieces: list[bytes] = []
        closing: list[bytes] = []
        for place, (item, is_text) in enumerate(_items(reply)):
            begun = item | {"status": "in_progress"}
            begun |= {"content": []} if is_text else {"arguments": ""}
            first = _event("response.output_item.added", output_index=place, item=begun)
            (opening if is_text else closing).append(first)
            where = {"item_id": item["id"], "output_index": place}
            if is_text:
                opening.append(_part_event("added", where, ""))
                pieces = _text_deltas(reply, where)
            closing += _ends(item, where, is_text=is_text)
        done = self.whole(reply)
        closing.append(_event("response.completed", response=done))
        return Stream(opening, pieces, closing)

    def refusal(self, turn: Turn, now: float, asked: Asked) -> Refusal:
        return _refusal(turn, now, asked)

    def broken_off(self, turn: Turn) -> Sequence[bytes]:
        message = turn.message or "The server had an error while processing."
        error = {"code": "server_error", "message": message}
        response = {"id": "resp_broken", "status": "failed", "error": error}
        return [_event("response.failed", response=response)]


def _items(reply: Reply) -> list[tuple[dict[str, Any], bool]]:
    found: list[tuple[dict[str, Any], bool]] = []
    if reply.pieces:
        part = {"type": "output_text", "text": reply.text, "annotations": []}
        message = {
            "id": f"msg_{reply.number}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
        found.append((message, True))
    if reply.call:
        call = {
            "id": f"fc_{reply.number}",
            "type": "function_call",
            "status": "completed",
            "call_id": reply.call.call_id,
            "name": reply.call.name,
            "arguments": json.dumps(dict(reply.call.arguments)),
        }
        found.append((call, False))
    return found


def _text_deltas(reply: Reply, where: Mapping[str, Any]) -> list[bytes]:
    place = {**where, "content_index": 0}
    return [
        _event("response.output_text.delta", **place, delta=piece)
        for piece in reply.pieces
    ]


def _part_event(what: str, where: Mapping[str, Any], text: str) -> bytes:
    part = {"type": "output_text", "text": text, "annotations": []}
    return _event(f"response.content_part.{what}", **where, content_index=0, part=part)


def _ends(
    item: Mapping[str, Any], where: Mapping[str, Any], *, is_text: bool
) -> list[bytes]:
    if is_text:
        text = item["content"][0]["text"]
        done = _event("response.output_text.done", **where, content_index=0, text=text)
        ends = [done, _part_event("done", where, text)]
    else:
        arguments = item["arguments"]
        kind = "response.function_call_arguments"
        ends = [
            _event(f"{kind}.delta", **where, delta=arguments),
            _event(f"{kind}.done", **where, arguments=arguments),
        ]
    place = where["output_index"]
    last = _event("response.output_item.done", output_index=place, item=item)
    return [*ends, last]


def _event(kind: str, **values: Any) -> bytes:
    return sse({"type": kind, **values}, kind)


def _response(reply: Reply, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{reply.number}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": reply.model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }


def _responses_usage(reply: Reply) -> dict[str, Any]:
    turn = reply.turn
    return {
        "input_tokens": turn.input_tokens,
        "input_tokens_details": {"cached_tokens": turn.cached_tokens},
        "output_tokens": turn.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.tokens,
    }
