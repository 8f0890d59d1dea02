"""What each agent used, where several did and told of it."""

from collections.abc import Iterator, Mapping
from typing import Final

from muster.domain.outcome import Usage
from muster.infrastructure.cost_words import money
from muster.infrastructure.report.html import Mask, clean, counted

_MAX_NAME: Final = 80
_MAX_AGENTS: Final = 300


def agents(used: Mapping[str, Usage], mask: Mask) -> Iterator[str]:
    """One row each, the dearest first."""
    if len(used) < 2:  # noqa: PLR2004 - the sum stands above
        return
    yield (
        '<h2>Agents</h2>\n<div class="scroll"><table>\n<tr><th>agent</th>'
        '<th class="n">tokens</th><th class="n">cost</th></tr>\n'
    )
    for name, usage in list(used.items())[:_MAX_AGENTS]:
        tokens = "unknown" if usage.tokens is None else counted(usage.tokens)
        yield (
            f"<tr><td>{clean(name, mask, _MAX_NAME)}</td>"
            f'<td class="n">{tokens}</td>'
            f'<td class="n">{money(usage) or "unknown"}</td></tr>\n'
        )
    yield "</table></div>\n"
    if len(used) > _MAX_AGENTS:
        yield f'<p class="soft">and {counted(len(used) - _MAX_AGENTS)} more</p>\n'
