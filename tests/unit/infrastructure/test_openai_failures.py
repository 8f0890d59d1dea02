"""What servers say of their failures, in their many forms, and what it means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.outcome import FailureCause
from muster.infrastructure.openai_failures import of_error, of_response, retry_after

NOT_PULLED = 'model "x" not found, try pulling it first'
TOO_LONG = "the request exceeds the available context size, try increasing it"
GEMINI = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("status", "document", "cause"),
    [
        # Ollama
        (404, {"error": {"message": NOT_PULLED, "type": "api_error"}}, "invalid_model"),
        (404, {"error": NOT_PULLED}, "invalid_model"),
        # llama.cpp
        (400, {"error": {"type": "exceed_context_size_error"}}, "context_length"),
        (400, {"error": {"message": TOO_LONG}}, "context_length"),
        (503, {"error": {"message": "Loading model", "code": 503}}, "overloaded"),
        # vLLM
        (
            404,
            {"object": "error", "message": "The model `x` does not exist."},
            "invalid_model",
        ),
        (401, {"error": "Unauthorized"}, "auth"),
        # vendors
        (429, {"error": {"code": "insufficient_quota", "message": "x"}}, "quota"),
        (429, {"error": {"message": "You exceeded your current quota"}}, "quota"),
        (429, {"error": {"message": "slow down, please"}}, "rate_limit"),
        (402, {"error": {"message": "Insufficient credits"}}, "quota"),
        (503, [{"error": GEMINI}], "overloaded"),
        (400, {"error": {"message": "API key not valid. Please pass"}}, "auth"),
        (529, {"error": {"type": "overloaded_error"}}, "overloaded"),
        # proxies, and nobody
        (404, None, "not_found"),
        (407, None, "network"),
        (413, None, "context_length"),
        (422, {"detail": [{"loc": ["body"]}]}, "invalid_request"),
        (502, None, "server_error"),
        (418, None, "invalid_request"),
        (301, None, "invalid_request"),
        (599, {}, "server_error"),
    ],
)
def test_causes(status: int, document: Any, cause: str) -> None:
    """Codes before texts, texts before the status."""
    failure = of_response(status, {}, document, "")

    assert failure.cause is FailureCause(cause)
    assert failure.message.startswith(f"HTTP {status}")


def test_a_page_becomes_a_line() -> None:
    """Without its markup, and not all of it."""
    page = "<html><h1>502 Bad\nGateway</h1>" + "<p>x</p>" * 10_000

    message = of_response(502, {}, None, page).message

    assert message.startswith("HTTP 502: 502 Bad Gateway x x")
    assert len(message) < 600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            30.0,
        ),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:27:00 GMT",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            0.0,
        ),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """By either header; dates count by the server's own clock."""
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit reached. Please try again in 20s.", 20.0),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 120ms.", 0.12),
        ("Please try again later.", None),
    ],
)
def test_the_text_may_name_the_wait(text: str, seconds: float | None) -> None:
    """Where no header does."""
    document = {"error": {"message": text, "code": "rate_limit_exceeded"}}

    assert of_response(429, {}, document, "").retry_after == seconds
    assert of_response(429, {"retry-after": "1"}, document, "").retry_after == 1.0
    assert of_error(document).retry_after == seconds


@given(st.integers(300, 599), st.dictionaries(st.text(), st.text()), st.text())
def test_any_answer_has_a_cause(status: int, error: dict[str, str], text: str) -> None:
    """And none is called a success or a cancellation."""
    for document in ({"error": error}, {"error": text}, [error], error, text, None):
        assert of_response(status, {}, document, text).cause.is_agent_failure
