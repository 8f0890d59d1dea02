"""The price list of genai-prices, as it came with the package."""

import sys

import pytest

from muster.domain.outcome import Usage
from muster.domain.tool import ToolSpec
from muster.infrastructure.price_list import PriceList

CLAUDE = ToolSpec("claude", ("claude",), provider="anthropic")
CODEX = ToolSpec("codex", ("codex",), provider="openai")
GEMINI = ToolSpec("gemini", ("gemini",), provider="google")
OPENCODE = ToolSpec("opencode", ("opencode",))
VENDOR = ToolSpec("openai", base_url="https://api.openai.com/v1")
LOCAL = ToolSpec("ollama", base_url="http://127.0.0.1:11434/v1")


@pytest.mark.parametrize(
    ("spec", "model", "usage", "dollars"),
    [
        (CLAUDE, "claude-sonnet-4-5-20250929", Usage(100_000), 0.3),
        (CLAUDE, "claude-sonnet-4-5", Usage(0, 100_000), 1.5),
        (CLAUDE, "claude-sonnet-4-5", Usage(0, 0, 100_000), 0.03),
        # 50,000 of the 100,000 were put into the cache, which costs a quarter more.
        (CLAUDE, "claude-sonnet-4-5", Usage(100_000, 0, 0, None, 50_000), 0.3375),
        (CODEX, "gpt-5-codex", Usage(100_000, 10_000, 100_000), 0.2375),
        (GEMINI, "gemini-2.5-pro", Usage(100_000, 10_000), 0.225),
        (OPENCODE, "anthropic/claude-sonnet-4-5", Usage(100_000), 0.3),
        (VENDOR, "gpt-5", Usage(100_000), 0.125),
        # Who sells it is not known, or nobody does.
        (OPENCODE, "claude-sonnet-4-5", Usage(100_000), None),
        (OPENCODE, "mock/gpt-5", Usage(100_000), None),
        (LOCAL, "gpt-5", Usage(100_000), None),
        (CODEX, "mock-model", Usage(100_000), None),
        (CODEX, "claude-sonnet-4-5", Usage(100_000), None),
        (CLAUDE, "", Usage(100_000), None),
    ],
)
def test_the_bundled_list(
    spec: ToolSpec, model: str, usage: Usage, dollars: float | None
) -> None:
    """Tokens from a cache and into one have prices of their own."""
    cost = PriceList().cost_usd(usage, model, spec)

    assert cost == (None if dollars is None else pytest.approx(dollars))


def test_without_the_library_every_price_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looked for once."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    prices = PriceList()

    assert prices.cost_usd(Usage(100_000), "gpt-5", CODEX) is None
    monkeypatch.undo()
    assert prices.cost_usd(Usage(100_000), "gpt-5", CODEX) is None
