"""The composition root: who gets what. Imported by the facade's host and the CLI only."""

import os
from collections.abc import Mapping

from dependency_injector import containers, providers

from muster.application.fleet import FleetEngine
from muster.application.fleet_context import FleetContext
from muster.application.lanes import Lanes
from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain import presets
from muster.domain.circuit_breaker import CircuitBreaker
from muster.domain.tool import ToolSpec
from muster.infrastructure.accounts import account_of
from muster.infrastructure.adapter_registry import AdapterRegistry
from muster.infrastructure.adapters.local_process import containment
from muster.infrastructure.adapters.local_process.executables import Executables
from muster.infrastructure.adapters.local_process.orchestrator import (
    LocalProcessOrchestrator,
)
from muster.infrastructure.adapters.local_process.tool_table import LocalToolRegistry
from muster.infrastructure.adapters.openai_compatible.servers import ModelServers
from muster.infrastructure.adapters.stub.orchestrator import AgentOrchestratorStub
from muster.infrastructure.agent_profiles import AgentProfiles
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.dual_channel_halt import DualChannelHaltChecker
from muster.infrastructure.fault_log import FaultLog
from muster.infrastructure.halt_file import NAME as HALT
from muster.infrastructure.inspector import WorldInspector
from muster.infrastructure.price_list import PriceList
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.settings import Settings
from muster.infrastructure.user_folders import gate_of, profiles_of

SIMULATION = ToolSpec("sim", ("sim",), adapter="stub")


class GivenOrchestratorTools:
    """The tool registry of a fleet whose host brought its own orchestrator.

    Every name is a tool: what it means is the orchestrator's business.
    """

    def __init__(self, orchestrator: AgentOrchestrator) -> None:
        self._default = orchestrator.capabilities.name
        self._specs: dict[str, ToolSpec] = {}

    def resolve(self, tool: str | ToolSpec | None) -> ToolSpec:
        """See `ToolRegistry`; never raises."""
        if isinstance(tool, ToolSpec):
            return tool
        name = tool or self._default
        spec = self._specs.get(name)
        if spec is None:
            spec = self._specs[name] = ToolSpec(name, (name,))
        return spec


def _tools(
    settings: Settings,
    environ: Mapping[str, str],
    executables: Executables,
    given: AgentOrchestrator | None,
) -> GivenOrchestratorTools | LocalToolRegistry:
    if given is not None:
        return GivenOrchestratorTools(given)
    return known_tools(settings, environ, executables)


def known_tools(
    settings: Settings,
    environ: Mapping[str, str],
    executables: Executables | None = None,
) -> LocalToolRegistry:
    """The tools that a fleet with these settings knows."""
    return LocalToolRegistry(
        {SIMULATION.name: SIMULATION, **settings.tools},
        environ=environ,
        default=settings.tool,
        executables=executables,
        served=ModelServers(environ),
    )


def _halt(settings: Settings) -> DualChannelHaltChecker:
    return DualChannelHaltChecker(settings.home / HALT)


def _breaker(settings: Settings, agents: AgentProfiles) -> CircuitBreaker:
    registered = frozenset(agents.names())
    return CircuitBreaker(
        **settings.circuit_breaker, registered=registered.__contains__
    )


def _context(  # noqa: PLR0917 - the container passes its parts by position
    settings: Settings,
    tools: GivenOrchestratorTools | LocalToolRegistry,
    adapters: AdapterRegistry,
    given: AgentOrchestrator | None,
    clock: SystemClock,
    randomness: SystemRandomness,
    lanes: Lanes,
    breaker: CircuitBreaker,
    agents: AgentProfiles,
    faults: FaultLog,
    halt: DualChannelHaltChecker,
    prices: PriceList,
) -> FleetContext:
    orchestrator_of = adapters.orchestrator_of
    return FleetContext(
        tools=tools,
        orchestrator_of=orchestrator_of if given is None else lambda _: given,
        clock=clock,
        randomness=randomness,
        lanes=lanes,
        breaker=breaker,
        log_fault=faults,
        agents=agents,
        tool=settings.tool,
        model=settings.model,
        policy_name=settings.policy or presets.SPAWN_POLICY,
        policies={
            name: settings.spawn_policy(name)
            for name in (*presets.SPAWN_POLICIES, *settings.policies)
        },
        recovery=settings.recovery,
        strict_model=settings.strict_model,
        waits_for_reset=settings.wait_for_reset,
        inspector=WorldInspector(adapters.orchestrator_of),
        halt=halt,
        limits=settings.limits.budget,
        prices=prices,
    )


class FleetContainer(containers.DeclarativeContainer):
    """One fleet's parts. Two containers share nothing."""

    settings = providers.Dependency(instance_of=Settings)
    environ: providers.Dependency[Mapping[str, str]] = providers.Dependency(
        default=os.environ
    )
    given_orchestrator: providers.Dependency[AgentOrchestrator | None] = (
        providers.Dependency(default=None)
    )
    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness)
    executables = providers.Singleton(Executables, environ)
    containment = providers.Singleton(containment.choose, settings.provided.containment)
    local_process = providers.Singleton(
        LocalProcessOrchestrator,
        containment,
        environ=environ,
        executables=executables,
    )
    stub = providers.Singleton(AgentOrchestratorStub)
    adapters = providers.Singleton(
        AdapterRegistry,
        built_in=providers.Dict(
            local_process=local_process.provider, stub=stub.provider
        ),
        environ=environ,
    )
    tools = providers.Singleton(
        _tools, settings, environ, executables, given_orchestrator
    )
    agents = providers.Singleton(profiles_of, settings, environ)
    gate = providers.Singleton(gate_of, environ)
    accounts = providers.Singleton(account_of, environ)
    lanes = providers.Singleton(Lanes, clock, gate, accounts)
    breaker = providers.Singleton(_breaker, settings, agents)
    faults = providers.Singleton(FaultLog, environ)
    halt = providers.Singleton(_halt, settings)
    prices = providers.Singleton(PriceList)
    context = providers.Singleton(
        _context,
        settings,
        tools,
        adapters,
        given_orchestrator,
        clock,
        randomness,
        lanes,
        breaker,
        agents,
        faults,
        halt,
        prices,
    )
    fleet = providers.Singleton(FleetEngine, context)
