"""The adapters that are installed, found by entry points and loaded when first used."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from typing import Any, Final

from attrs import define, field

from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain.errors import ConfigError
from muster.domain.suggestion import did_you_mean
from muster.domain.tool import ToolSpec

GROUP: Final = "muster.adapters"


def installed() -> dict[str, EntryPoint]:
    """The entry points by name; nothing of them is imported."""
    return {each.name: each for each in entry_points(group=GROUP)}


@define(eq=False)
class AdapterRegistry:
    """Gives each tool its orchestrator; one instance per adapter and fleet.

    ``built_in`` makes the adapters that need parts of this fleet; any other one
    is called without arguments, or with ``environ`` if it has a parameter of that
    name. An adapter is loaded only when a tool names it.
    """

    built_in: Mapping[str, Callable[[], AgentOrchestrator]]
    environ: Mapping[str, str] = field(factory=dict)
    _made: dict[str, AgentOrchestrator] = field(factory=dict, init=False)

    def orchestrator_of(self, spec: ToolSpec) -> AgentOrchestrator:
        """The orchestrator that runs this tool. Raises `ConfigError`."""
        made = self._made.get(spec.adapter)
        if made is None:
            made = self._made[spec.adapter] = self._make(spec.adapter)
        return made

    async def aclose(self) -> None:
        """Closes every adapter that was made."""
        made, self._made = self._made, {}
        for orchestrator in made.values():
            await orchestrator.aclose()

    def _make(self, name: str) -> AgentOrchestrator:
        factory: Callable[[], Any] | None = self.built_in.get(name)
        if factory is None:
            found = installed()
            if name not in found:
                known = sorted({*found, *self.built_in})
                hint = did_you_mean(name, known)
                raise ConfigError(
                    f"no adapter '{name}' is installed{hint}; there are "
                    f"{', '.join(known)}"
                )
            factory = self._of_this_fleet(found[name].load())
        orchestrator: AgentOrchestrator = factory()
        return orchestrator

    def _of_this_fleet(self, factory: Callable[..., Any]) -> Callable[[], Any]:
        if "environ" in signature(factory).parameters:
            return partial(factory, environ=self.environ)
        return factory
