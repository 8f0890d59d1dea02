"""Text for HTML: nothing that anybody wrote becomes a tag or drives a terminal."""

from collections.abc import Callable
from html import escape
from typing import Final

from muster.domain.terminal_text import strip_terminal

Mask = Callable[[str], str] | None
_FEW_SECONDS: Final = 120  # two minutes are still read as seconds
_HOUR: Final = 3600


def clean(text: str | None, mask: Mask = None, limit: int | None = None) -> str:
    """The text as HTML, masked and then cut to ``limit`` characters."""
    text = text or ""
    if limit is not None and mask is None:
        text = text[: limit * 4]
    # Masked first: a secret that is cut in two is not found any more.
    text = strip_terminal(mask(text) if mask is not None else text)
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return escape(text)


def seconds(value: float | None) -> str:
    """A duration: ``12 ms``, ``3.4 s``, ``12 min 3 s``, ``7 h 2 min``."""
    if value is None:
        return "unknown"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < _FEW_SECONDS:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < _HOUR:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // _HOUR} h {whole % _HOUR // 60} min"


def counted(number: int) -> str:
    """A number as people write it."""
    return f"{number:,}"
