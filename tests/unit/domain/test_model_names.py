"""Whether the model that answers is the one that was asked for."""

import pytest

from muster.domain.model_names import is_same_model


@pytest.mark.parametrize(
    ("requested", "served", "same"),
    [
        ("gpt-5", "gpt-5", True),
        ("GPT-5", "gpt-5-2025-08-07", True),
        ("openai/gpt-5", "gpt-5", True),
        ("claude-opus-4-1", "claude-opus-4-1-20250805", True),
        ("claude-opus-4-1[1m]", "claude-opus-4-1", True),
        ("sonnet", "claude-sonnet-5-5", True),
        ("sonnet", "claude-opus-5-5", False),
        ("gpt-5", "gpt-5-mini", False),
        ("gpt-5-mini", "gpt-5", False),
        ("son", "claude-sonnet-5", False),
    ],
)
def test_same(requested: str, served: str, *, same: bool) -> None:
    """Editions, providers and aliases of one word don't make another model."""
    assert is_same_model(requested, served) is same
