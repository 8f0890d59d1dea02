"""Tokens and money as people read them; nothing where nothing is known.

"~$0.0123" is an estimate by a list of prices, "$0.0123" the tool's own figure.
"""

from collections.abc import Mapping
from typing import Any

from muster.domain.outcome import Usage


def usage_of(document: Mapping[str, Any] | None) -> Usage:
    """The usage in a summary, whose fields may be those of another version."""
    known: dict[str, Any] = {
        each: (document or {}).get(each) for each in Usage().to_dict()
    }
    known["cost_estimated"] = bool(known["cost_estimated"])
    return Usage(**known)


def money(usage: Usage | None, digits: int = 4) -> str:
    """What it cost."""
    if usage is None or usage.cost_usd is None:
        return ""
    about = "~" if usage.cost_estimated else ""
    return f"{about}${usage.cost_usd:.{digits}f}"


def tokens(usage: Usage | None) -> str:
    """How many tokens, with what came from a cache."""
    if usage is None or usage.tokens is None:
        return ""
    cached = f" (and {usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    return f"{usage.tokens:,} tokens{cached}"


def spent(usage: Usage | None) -> str:
    """Both."""
    by_list = " by list price" if usage and usage.cost_estimated else ""
    return ", ".join(filter(None, (tokens(usage), money(usage) + by_list)))
