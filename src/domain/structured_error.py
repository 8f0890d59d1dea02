"""Naming a failure by the fields of an error record: codes, message, status.

Specific codes speak first ("usage_limit_reached"), then the message by the ordered
table of failure texts, then the codes and states that many causes share ("429" is
a spent allowance as often as a moment's haste).
"""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from muster.domain import presets, reset_time, retry_notice
from muster.domain.classification_line import folded, match
from muster.domain.outcome import Evidence, Failure, FailureCause

_SPECIFIC: Final[Mapping[FailureCause, str]] = {
    FailureCause.QUOTA: (
        "usage_limit_reached usage_limit_exceeded insufficient_quota quota_exceeded "
        "billing_error billing_hard_limit_reached credit_balance_too_low "
        "usage_not_included out_of_credits insufficient_credits insufficient_balance "
        "payment_required freeusagelimiterror"
    ),
    FailureCause.CONTEXT_LENGTH: (
        "prompt_too_long context_length_exceeded context_window_exceeded "
        "contextwindowexceeded model_context_window_exceeded contextoverflowerror"
    ),
    FailureCause.AUTH: (
        "invalid_api_key authentication_failed unauthorized oauth_org_not_allowed "
        "token_expired providerautherror fatalauthenticationerror"
    ),
    FailureCause.INVALID_MODEL: (
        "model_not_found invalid_model model_not_available providermodelnotfounderror"
    ),
    FailureCause.NETWORK: "connection_failed connection_error network_error",
    FailureCause.OVERLOADED: (
        "overloaded_error overloaded server_is_overloaded server_overloaded slow_down"
    ),
    FailureCause.INVALID_REQUEST: (
        "max_turns error_max_turns error_max_budget_usd error_max_structured_output_retries "
        "fatalturnlimitederror content_filter refusal max_output_tokens "
        "messageoutputlengtherror"
    ),
}  # fmt: skip
_SHARED: Final[Mapping[FailureCause, str]] = {
    FailureCause.RATE_LIMIT: (
        "rate_limit rate_limit_error rate_limit_exceeded too_many_requests "
        "resource_exhausted"
    ),
    FailureCause.AUTH: "authentication_error authentication",
    FailureCause.FORBIDDEN: "permission_error permission_denied forbidden",
    FailureCause.NOT_FOUND: "not_found_error not_found",
    FailureCause.INVALID_REQUEST: (
        "invalid_request_error invalid_request request_too_large invalid_argument"
    ),
    FailureCause.SERVER_ERROR: (
        "api_error server_error internal_server_error internal_error timeout_error "
        "bad_gateway gateway_timeout"
    ),
    FailureCause.OVERLOADED: "service_unavailable unavailable",
}
_BY_STATUS: Final[Mapping[int, FailureCause]] = {
    400: FailureCause.INVALID_REQUEST,
    401: FailureCause.AUTH,
    402: FailureCause.QUOTA,
    403: FailureCause.FORBIDDEN,
    404: FailureCause.NOT_FOUND,
    408: FailureCause.SERVER_ERROR,
    409: FailureCause.SERVER_ERROR,
    413: FailureCause.INVALID_REQUEST,
    422: FailureCause.INVALID_REQUEST,
    425: FailureCause.SERVER_ERROR,
    429: FailureCause.RATE_LIMIT,
    503: FailureCause.OVERLOADED,
    529: FailureCause.OVERLOADED,
}
_SERVER_ERRORS: Final = range(500, 600)
_CLIENT_ERRORS: Final = range(400, 500)
_LIMITED: Final = frozenset(
    (FailureCause.RATE_LIMIT, FailureCause.QUOTA, FailureCause.OVERLOADED)
)


def _by_word(table: Mapping[FailureCause, str]) -> dict[str, FailureCause]:
    return {word: cause for cause, words in table.items() for word in words.split()}


_BY_SPECIFIC_CODE: Final = _by_word(_SPECIFIC)
_BY_SHARED_CODE: Final = _by_word(_SHARED)


@frozen
class ErrorFields:
    """What an error record says. ``codes``: its types, codes and states, any order.

    ``retry_after`` in seconds, ``resets_at`` in epoch seconds.
    """

    message: str = ""
    status: int | None = None
    codes: tuple[str, ...] = ()
    retry_after: float | None = None
    resets_at: float | None = None


def failure_of(
    fields: ErrorFields,
    *,
    now_epoch: float | None = None,
    otherwise: FailureCause = FailureCause.UNKNOWN,
) -> Failure:
    """The failure; its cause is ``otherwise`` where nothing names one. Never raises."""
    text = folded(fields.message)
    cause, pattern, found = _named(fields, text, otherwise)
    # Behind the words: the message may name the time that the fields leave out.
    said = f"{text} {' '.join(fields.codes)}"
    retry_after, resets_at = fields.retry_after, fields.resets_at
    if retry_after is None:
        retry_after = retry_notice.retry_after(said, bare=cause in _LIMITED)
    if resets_at is None:
        resets_at = reset_time.resets_at(said, now_epoch=now_epoch)
    return Failure.named(
        cause,
        _worded(fields, text)[: presets.JUDGED_LINE_CHARS],
        evidence=Evidence(found, "stdout", pattern=pattern) if found else None,
        retry_after=retry_after,
        resets_at=resets_at,
    )


def _named(
    fields: ErrorFields, text: str, otherwise: FailureCause
) -> tuple[FailureCause, str, str]:
    codes = [code.strip().lower() for code in fields.codes]
    for code in codes:
        if code in _BY_SPECIFIC_CODE:
            return _BY_SPECIFIC_CODE[code], "code", code
    status = "" if fields.status is None else f"status {fields.status}"
    found = match(text) or match(folded(f"{text} {status} {' '.join(fields.codes)}"))
    if found is not None:
        return found.row.cause, found.row.name, found.text
    by_status = _of_status(fields.status)
    if by_status is not None:
        return by_status, "status", status
    for code in codes:
        if code in _BY_SHARED_CODE:
            return _BY_SHARED_CODE[code], "code", code
    return otherwise, "record", text[: presets.JUDGED_HEAD_CHARS]


def _of_status(status: int | None) -> FailureCause | None:
    if status is None or status in _BY_STATUS:
        return None if status is None else _BY_STATUS[status]
    if status in _SERVER_ERRORS:
        return FailureCause.SERVER_ERROR
    return FailureCause.INVALID_REQUEST if status in _CLIENT_ERRORS else None


def _worded(fields: ErrorFields, text: str) -> str:
    if text:
        return text
    codes = ", ".join(dict.fromkeys(code for code in fields.codes if code))
    status = "" if fields.status is None else f"status {fields.status}"
    return " ".join(filter(None, (status, codes))) or "the tool names no reason"
