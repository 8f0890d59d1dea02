"""What each agent of a run used, as far as it was told."""

from collections.abc import Iterable, Mapping

from muster.domain.outcome import SpawnResult, Usage

NO_AGENT = "llm"  # who is asked without a persona


def usage_by_agent(results: Iterable[SpawnResult]) -> dict[str, Usage]:
    """Sums by the agent's name, the dearest first; nobody who told nothing."""
    found: dict[str, Usage] = {}
    for each in results:
        if each.usage is not None:
            name = each.agent or NO_AGENT
            known = found.get(name)
            found[name] = each.usage if known is None else known + each.usage
    return _dearest_first(found)


def joined_usage(*sums: Mapping[str, Usage]) -> dict[str, Usage]:
    """Sums of `usage_by_agent` as one."""
    found: dict[str, Usage] = {}
    for some in sums:
        for name, usage in some.items():
            found[name] = found[name] + usage if name in found else usage
    return _dearest_first(found)


def _dearest_first(found: Mapping[str, Usage]) -> dict[str, Usage]:
    return dict(sorted(found.items(), key=lambda item: _size(item[1]), reverse=True))


def _size(usage: Usage) -> tuple[float, int]:
    return usage.cost_usd or 0.0, usage.tokens or 0
