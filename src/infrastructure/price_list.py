"""The price list of genai-prices (`muster[prices]`), as it came with the package.

The one door to that library. It is loaded when a cost is first asked for and never
asks the network: prices are as new as the installed version.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from muster.domain.outcome import Usage
from muster.domain.tool import ToolSpec

# What tools call a provider in "provider/model", where the list has another name.
_ALSO_CALLED: Final[Mapping[str, str]] = {
    "amazon-bedrock": "aws",
    "bedrock": "aws",
    "fireworks-ai": "fireworks",
    "gemini": "google",
    "google-vertex": "google",
    "google-vertex-anthropic": "google",
    "moonshot": "moonshotai",
    "togetherai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}


class PriceList:
    """See `Prices`. Without the library every price is unknown."""

    def __init__(self) -> None:
        self._price: Callable[..., Any] | None = None
        self._usage: Callable[..., Any] | None = None
        self._is_loaded = False

    def cost_usd(self, usage: Usage, model: str, spec: ToolSpec) -> float | None:
        """See `Prices`.

        A model is priced only where it is known who sells it: the same weights cost
        nothing on the next machine.
        """
        seller = _seller(model, spec)
        if seller is None or not self._load():
            return None
        assert self._price is not None  # noqa: S101 - loaded above
        assert self._usage is not None  # noqa: S101
        cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        try:
            counts = self._usage(
                input_tokens=(usage.input_tokens or 0) + cached,
                cache_read_tokens=cached,
                cache_write_tokens=written,
                output_tokens=usage.output_tokens or 0,
            )
            return float(self._price(counts, **seller).total_price)
        except Exception:  # noqa: BLE001 - an unknown model, or counts that can't be
            return None

    def _load(self) -> bool:
        if not self._is_loaded:
            self._is_loaded = True
            try:
                import genai_prices  # noqa: PLC0415 - 0.15 s, and an extra
            except ImportError:
                return False
            self._price, self._usage = genai_prices.calc_price, genai_prices.Usage
        return self._price is not None


def _seller(model: str, spec: ToolSpec) -> Mapping[str, str] | None:
    """The model and who sells it, as the library wants to hear it."""
    if spec.provider:
        return {"model_ref": model, "provider_id": spec.provider}
    if spec.base_url:
        return {"model_ref": model, "provider_api_url": spec.base_url}
    provider, slash, name = model.partition("/")
    if not slash:
        return None
    provider = _ALSO_CALLED.get(provider, provider)
    return {"model_ref": name, "provider_id": provider}
