"""An agent profile: a persona with a name, found in a file or in the settings."""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen
class AgentProfile:
    """Who an agent is. ``extra`` keeps keys that muster does not know."""

    name: str
    description: str = ""
    tools: tuple[str, ...] = field(default=(), converter=tuple)
    model: str | None = None
    tool: str | None = None
    prompt: str = ""
    source: str | None = None
    extra: Mapping[str, Any] = field(factory=dict)
