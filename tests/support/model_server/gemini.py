"""Gemini: ``/v1beta/models/X:generateContent``, ``:streamGenerateContent``, ``:countTokens``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.support.model_server.dialect import (
    Asked,
    Refusal,
    Reply,
    Stream,
    sse,
    text_of,
)
from tests.support.model_server.script import Turn

# code, status, message
_ERRORS: Final[Mapping[str, tuple[int, str, str]]] = {
    "unauthorized": (
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
    ),
    "forbidden": (
        403,
        "PERMISSION_DENIED",
        (
            "Generative Language API has not been used in this project before or it is "
            "disabled."
        ),
    ),
    "not_found": (
        404,
        "NOT_FOUND",
        (
            "models/{model} is not found for API version v1beta, or is not supported for "
            "generateContent."
        ),
    ),
    "bad_request": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "context_length": (
        400,
        "INVALID_ARGUMENT",
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed "
            "(1048576)."
        ),
    ),
    "rate_limit": (
        429,
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted (e.g. check quota).",
    ),
    "usage_limit": (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "quota": (
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "server_error": (500, "INTERNAL", "An internal error has occurred."),
    "overloaded": (
        503,
        "UNAVAILABLE",
        "The model is overloaded. Please try again later.",
    ),
}
_RPC: Final = "type.googleapis.com/google.rpc."


class Gemini:
    """The dialect of gemini."""

    name = "gemini"

    def asked(self, path: str, query: str, body: Mapping[str, Any]) -> Asked:
        model, _, method = path.rpartition("/")[2].partition(":")
        contents = body.get("contents") or [{}]
        if isinstance(contents, Mapping):
            contents = [contents]
        last = contents[-1].get("parts") or []
        users = [each for each in contents if each.get("role", "user") == "user"]
        texts = [text for each in users if (text := text_of(each.get("parts") or []))]
        tools = [
            each.get("name", "")
            for tool in body.get("tools") or ()
            for each in tool.get("functionDeclarations") or ()
        ]
        return Asked(
            model,
            texts[-1] if texts else "",
            stream=method == "streamGenerateContent",
            tools=tuple(tools),
            has_tool_result=any("functionResponse" in part for part in last),
        )

    def whole(self, reply: Reply) -> Any:
        parts: list[dict[str, Any]] = []
        if reply.pieces:
            parts.append({"text": reply.text})
        return _candidate(reply, [*parts, *_calls(reply)], "STOP")

    def stream(self, reply: Reply) -> Stream:
        pieces = [sse(_candidate(reply, [{"text": each}])) for each in reply.pieces]
        last = _calls(reply) or [{"text": ""}]
        return Stream([], pieces, [sse(_candidate(reply, last, "STOP"))])

    def refusal(self, turn: Turn, now: float, asked: Asked) -> Refusal:
        code, status, message = _ERRORS[turn.do]
        message = turn.message or message.replace("{model}", asked.model)
        error: dict[str, Any] = {
            "code": turn.status or code,
            "message": message,
            "status": status,
        }
        if details := _details(turn):
            error["details"] = details
        headers = {}
        if turn.retry_after is not None:
            headers["retry-after"] = f"{turn.retry_after:g}"
        return Refusal(turn.status or code, {"error": error}, headers)

    def broken_off(self, turn: Turn) -> Sequence[bytes]:
        message = turn.message or "An internal error has occurred."
        return [sse({"error": {"code": 500, "message": message, "status": "INTERNAL"}})]


def _details(turn: Turn) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    if turn.do == "unauthorized":
        details.append({"@type": f"{_RPC}ErrorInfo", "reason": "API_KEY_INVALID"})
    if turn.do in {"quota", "usage_limit"}:
        violation = {
            "quotaMetric": "generativelanguage.googleapis.com/"
            "generate_content_free_tier_requests",
            "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        }
        details.append({"@type": f"{_RPC}QuotaFailure", "violations": [violation]})
    wait = turn.resets_in if turn.resets_in is not None else turn.retry_after
    if wait is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{wait:g}s"})
    return details


def _calls(reply: Reply) -> list[dict[str, Any]]:
    if reply.call is None:
        return []
    call = {"name": reply.call.name, "args": dict(reply.call.arguments)}
    return [{"functionCall": call}]


def _candidate(
    reply: Reply, parts: list[dict[str, Any]], reason: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"},
        "index": 0,
    }
    if reason:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": reply.turn.input_tokens,
            "candidatesTokenCount": reply.turn.output_tokens,
            "cachedContentTokenCount": reply.turn.cached_tokens,
            "totalTokenCount": reply.tokens,
        },
        "modelVersion": reply.model,
        "responseId": f"gemini-{reply.number}",
    }
