"""Naming a failure by the fields of a record."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.structured_error import ErrorFields, failure_of


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"codes": ("usage_limit_reached",), "status": 429}, "quota"),
        ({"codes": ("rate_limit_error",), "status": 429}, "rate_limit"),
        ({"message": "Insufficient credits", "status": 429}, "quota"),
        ({"codes": ("overloaded_error",), "status": 529}, "overloaded"),
        ({"status": 401}, "auth"),
        ({"status": 402}, "quota"),
        ({"status": 403}, "forbidden"),
        ({"status": 404}, "not_found"),
        ({"status": 418}, "invalid_request"),
        ({"status": 502}, "server_error"),
        ({"status": 599}, "server_error"),
        ({"codes": ("slow_down",), "status": 503}, "overloaded"),
        ({"codes": ("prompt_too_long",), "status": 400}, "context_length"),
        ({"codes": ("invalid_request_error",), "status": 400}, "invalid_request"),
        ({"codes": ("connection_failed",)}, "network"),
        ({"codes": ("api_error",)}, "server_error"),
        ({"codes": ("ProviderModelNotFoundError",)}, "invalid_model"),
        ({"codes": ("never_heard_of",)}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_causes(fields: dict[str, Any], cause: str) -> None:
    """Specific codes, the message, the status, then codes that many causes share."""
    assert failure_of(ErrorFields(**fields)).cause.value == cause


def test_fields_win_over_words() -> None:
    """A wait and a moment in fields are exact; words are read where they are missing."""
    exact = failure_of(ErrorFields("limit, retry after 9s", 429, (), 3.0, 5.0))
    read = failure_of(ErrorFields("rate limit, try again in 9s", 429))

    assert (exact.retry_after, exact.resets_at) == (3.0, 5.0)
    assert read.retry_after == 9.0


@given(st.text(), st.integers(), st.lists(st.text()).map(tuple))
def test_any_fields(message: str, status: int, codes: tuple[str, ...]) -> None:
    """There is always a failure with words."""
    assert failure_of(ErrorFields(message, status, codes)).message
