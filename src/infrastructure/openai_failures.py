"""What an OpenAI-compatible server means by an error: one table, most specific first.

Codes say more than texts, texts more than the status: a 429 may be a spent quota, a
404 a model that nobody has pulled, a 400 a prompt that is too long.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from muster.domain import presets
from muster.domain.outcome import Evidence, Failure, FailureCause

_C = FailureCause
# `error.code`, `error.type` or `error.status`, whichever comes first here.
BY_CODE: Final[Mapping[str, FailureCause]] = {
    "insufficient_quota": _C.QUOTA,
    "usage_limit_reached": _C.QUOTA,
    "usage_not_included": _C.QUOTA,
    "billing_hard_limit_reached": _C.QUOTA,
    "billing_not_active": _C.QUOTA,
    "context_length_exceeded": _C.CONTEXT_LENGTH,
    "exceed_context_size_error": _C.CONTEXT_LENGTH,
    "string_above_max_length": _C.CONTEXT_LENGTH,
    "request_too_large": _C.CONTEXT_LENGTH,
    "invalid_api_key": _C.AUTH,
    "authentication_error": _C.AUTH,
    "account_deactivated": _C.AUTH,
    "permission_error": _C.FORBIDDEN,
    "unsupported_country_region_territory": _C.FORBIDDEN,
    "model_not_found": _C.INVALID_MODEL,
    "rate_limit_exceeded": _C.RATE_LIMIT,
    "rate_limit_error": _C.RATE_LIMIT,
    "server_is_overloaded": _C.OVERLOADED,
    "slow_down": _C.OVERLOADED,
    "overloaded_error": _C.OVERLOADED,
    "engine_overloaded": _C.OVERLOADED,
    "unavailable_error": _C.OVERLOADED,
    "UNAVAILABLE": _C.OVERLOADED,
    "content_policy_violation": _C.INVALID_REQUEST,
}
BY_TEXT: Final[tuple[tuple[re.Pattern[str], FailureCause], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), cause)
    for pattern, cause in (
        (
            (
                r"exceeded your current quota|credit balance|insufficient (credits|balance)"
                r"|usage limit"
            ),
            _C.QUOTA,
        ),
        (
            (
                r"maximum context length|context (size|window|length)|prompt is too long"
                r"|input token count"
            ),
            _C.CONTEXT_LENGTH,
        ),
        (r"(incorrect|invalid) api key|api key not valid", _C.AUTH),
        (
            r"\bmodel\b.{0,200}(not found|does not exist|not supported|is not available)",
            _C.INVALID_MODEL,
        ),
        (r"overloaded|loading model", _C.OVERLOADED),
        (r"rate limit", _C.RATE_LIMIT),
    )
)
BY_STATUS: Final[Mapping[int, FailureCause]] = {
    400: _C.INVALID_REQUEST,
    401: _C.AUTH,
    402: _C.QUOTA,
    403: _C.FORBIDDEN,
    404: _C.NOT_FOUND,
    405: _C.NOT_FOUND,
    407: _C.NETWORK,
    408: _C.NETWORK,
    413: _C.CONTEXT_LENGTH,
    422: _C.INVALID_REQUEST,
    425: _C.OVERLOADED,
    429: _C.RATE_LIMIT,
    502: _C.SERVER_ERROR,
    503: _C.OVERLOADED,
    504: _C.SERVER_ERROR,
    529: _C.OVERLOADED,
}
_SERVERS_FAULT: Final = 500
_REFUSAL: Final = 400
_TRY_AGAIN: Final = re.compile(
    r"try again in (?:(?P<m>\d+)m)?(?P<s>[\d.]+)(?P<unit>ms|s)\b", re.IGNORECASE
)


def of_response(
    status: int, headers: Mapping[str, str], document: Any, text: str
) -> Failure:
    """The failure that a response other than a success tells of."""
    error = _error_of(document)
    message = _message(error) or _without_markup(text)
    cause = _cause(error, message, status)
    after = retry_after(headers)
    return Failure.named(
        cause,
        f"HTTP {status}: {message}" if message else f"HTTP {status}",
        evidence=Evidence(message, stream="http") if message else None,
        retry_after=_named_wait(message) if after is None else after,
        resets_at=_number(error.get("resets_at")),
    )


def of_error(document: Mapping[str, Any]) -> Failure:
    """The failure that a document in the midst of a stream tells of."""
    error = _error_of(document)
    message = _message(error) or "the server broke off with an error"
    status = error.get("code")
    cause = _cause(error, message, status if isinstance(status, int) else 0)
    evidence = Evidence(message, stream="http")
    wait = _named_wait(message)
    return Failure.named(cause, message, evidence=evidence, retry_after=wait)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from either header and either form. Names are in lower case."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    if said is None or (seconds := _number(said)) is not None:
        return None if said is None else seconds
    try:
        # By the server's own clock: ours may be another.
        until = parsedate_to_datetime(said) - parsedate_to_datetime(headers["date"])
    except (KeyError, TypeError, ValueError):
        return None
    return max(0.0, until.total_seconds())


def _cause(error: Mapping[str, Any], message: str, status: int) -> FailureCause:
    for name in ("code", "type", "status"):
        cause = BY_CODE.get(str(error.get(name)))
        if cause is not None:
            return cause
    for pattern, cause in BY_TEXT:
        if pattern.search(message):
            return cause
    if status in BY_STATUS:
        return BY_STATUS[status]
    return _C.INVALID_REQUEST if 0 < status < _SERVERS_FAULT else _C.SERVER_ERROR


def _error_of(document: Any) -> Mapping[str, Any]:
    # Gemini wraps its error in a list, Ollama's older API says it as plain text.
    if isinstance(document, list) and document:
        document = document[0]
    error = document.get("error", document) if isinstance(document, Mapping) else {}
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, Mapping) else {}


def _message(error: Mapping[str, Any]) -> str:
    said = error.get("message") or error.get("detail") or ""
    return _short(said if isinstance(said, str) else repr(said))


def _without_markup(text: str) -> str:
    return _short(re.sub(r"<[^>]*>", " ", text[: 8 * presets.MODEL_ERROR_CHARS]))


def _short(text: str) -> str:
    return " ".join(text.split())[: presets.MODEL_ERROR_CHARS]


def _named_wait(message: str) -> float | None:
    found = _TRY_AGAIN.search(message)
    seconds = _number(found["s"]) if found else None
    if found is None or seconds is None:
        return None
    if found["unit"].lower() == "ms":
        return seconds / 1000
    return seconds + 60 * int(found["m"] or 0)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < _FOREVER else None


_FOREVER: Final = 1e12
