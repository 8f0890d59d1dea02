"""Results: what can be said, what can't, and that it survives JSON."""

import json
from typing import Any

import pytest
from hypothesis import given

from muster.domain.outcome import (
    Attempt,
    Failure,
    FailureCategory,
    FailureCause,
    SpawnResult,
    Usage,
)
from tests.strategies import attempts, failures, spawn_results, usages

CATEGORIES = {
    "transient": "rate_limit overloaded network server_error",
    "timeout": "timeout no_activity stall deadline",
    "resource": "quota out_of_memory disk_full context_length",
    "permanent": "auth forbidden invalid_model invalid_request not_found "
    "tool_not_found needs_approval output_invalid",
    "unknown": "crash killed inference unknown",
}
BY_CAUSE = {
    cause: category
    for category, causes in CATEGORIES.items()
    for cause in causes.split()
}
NOT_OF_AN_AGENT = [
    "cancelled",
    "halted",
    "circuit_open",
    "parked",
    "budget",
    "dependency_failed",
]


def through_json(document: Any) -> Any:
    """What a reader of the file gets."""
    return json.loads(json.dumps(document, allow_nan=False))


def test_the_causes_are_the_promised_ones() -> None:
    """None is missing and none is new."""
    assert {cause.value for cause in FailureCause} == {*BY_CAUSE, *NOT_OF_AN_AGENT}


@pytest.mark.parametrize(("cause", "category"), BY_CAUSE.items())
def test_causes_of_an_agent(cause: str, category: str) -> None:
    """Each has one category; permanent ones and a full context are not retried."""
    it = FailureCause(cause)

    assert it.category is FailureCategory(category)
    assert it.is_agent_failure
    assert it.is_retryable is (category != "permanent" and cause != "context_length")


@pytest.mark.parametrize("cause", [*BY_CAUSE, *NOT_OF_AN_AGENT])
@pytest.mark.parametrize("category", FailureCategory)
def test_only_a_refused_prompt_has_a_category_of_its_own(
    cause: str, category: FailureCategory
) -> None:
    """It is permanent, as the same prompt is refused again; everything else is its cause's."""
    own = FailureCause(cause).category
    refused = Failure.named(cause, "as the backend says")

    if category in (own, refused.category):
        assert Failure(cause, "why", category=category).category is category
    else:
        with pytest.raises(ValueError, match=f"{cause} is {own}, not {category}"):
            Failure(cause, "why", category=category)
    is_long = cause == "context_length"
    assert refused.category is (FailureCategory.PERMANENT if is_long else own)
    assert Failure(cause, "a", category=own) == Failure(cause, "a")
    assert (refused == Failure(cause, refused.message)) is not is_long


@pytest.mark.parametrize("cause", NOT_OF_AN_AGENT)
def test_causes_that_are_no_failure_of_an_agent(cause: str) -> None:
    """Another attempt has no use."""
    it = FailureCause(cause)

    assert not it.is_agent_failure
    assert not it.is_retryable
    assert it.category is FailureCategory.UNKNOWN


def test_a_success_has_no_failure() -> None:
    """What contradicts itself can't be built."""
    failure = Failure(FailureCause.CRASH, "boom")

    with pytest.raises(ValueError, match="no failure"):
        SpawnResult(success=True, failure=failure)
    with pytest.raises(ValueError, match="no error"):
        SpawnResult(success=True, error="boom")


@pytest.mark.parametrize(
    ("given", "cause", "error"),
    [
        ({}, FailureCause.UNKNOWN, "failed without a reason"),
        ({"error": "why"}, FailureCause.UNKNOWN, "why"),
        (
            {"failure": Failure(FailureCause.AUTH, "log in")},
            FailureCause.AUTH,
            "log in",
        ),
        (
            {"failure": Failure(FailureCause.AUTH, "log in"), "error": "other"},
            FailureCause.AUTH,
            "other",
        ),
    ],
)
def test_a_failed_result_always_says_why(
    given: dict[str, Any], cause: FailureCause, error: str
) -> None:
    """With a failure and with an error, whichever was given."""
    result = SpawnResult(success=False, **given)

    assert result.failure is not None
    assert (result.failure.cause, result.error) == (cause, error)


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        (Usage(), Usage(), Usage()),
        (Usage(1), Usage(), Usage(1)),
        (Usage(), Usage(None, 2), Usage(None, 2)),
        (Usage(1, 2, 3, 0.5), Usage(10, 20, 30, 0.25), Usage(11, 22, 33, 0.75)),
    ],
)
def test_usage_adds_up_and_unknown_is_not_zero(
    a: Usage, b: Usage, total: Usage
) -> None:
    """Unknown plus known is known; unknown twice stays unknown."""
    assert a + b == total


@given(failures)
def test_failures_survive_json(failure: Failure) -> None:
    """With their category, which is derived and never read."""
    document = through_json(failure.to_dict())

    assert document["category"] == failure.category.value
    odd = Failure.from_dict({**document, "category": "nonsense"})
    assert odd.category is failure.cause.category


@given(attempts)
def test_attempts_survive_json(attempt: Attempt) -> None:
    """Failure and usage included."""
    assert Attempt.from_dict(through_json(attempt.to_dict())) == attempt


@given(spawn_results())
def test_results_survive_json(result: SpawnResult) -> None:
    """All of it, the attempts too."""
    assert SpawnResult.from_dict(through_json(result.to_dict())) == result


@given(usages)
def test_usage_survives_json(usage: Usage) -> None:
    """Unknown stays unknown."""
    assert Usage(**through_json(usage.to_dict())) == usage


def test_a_short_document_is_a_result_with_defaults() -> None:
    """Older files lack what was added later."""
    assert SpawnResult.from_dict({"success": True}) == SpawnResult(success=True)
