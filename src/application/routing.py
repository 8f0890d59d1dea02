"""Which tool, model, policy and lane a task gets, found once per kind of task."""

from attrs import define, field

from muster.application import recovery
from muster.application.batch import BatchOptions, Route
from muster.application.first_looks import first_look_after
from muster.application.fleet_context import FleetContext
from muster.application.personas import persona_for
from muster.domain import presets
from muster.domain.agent_profile import AgentProfile
from muster.domain.classification import LineWatch
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec


@define(eq=False)
class Routes:
    """The routes of one batch."""

    fleet: FleetContext
    options: BatchOptions
    _known: dict[object, Route] = field(factory=dict, init=False)

    def route(self, task: SpawnTask) -> Route:
        """The way of a task. Raises `ToolNotFoundError`, `ConfigError`."""
        tool, policy = task.tool, task.policy
        if isinstance(tool, ToolSpec) or isinstance(policy, SpawnPolicy):
            return self.find(task)
        kind = (tool, policy, task.model, task.agent)
        route = self._known.get(kind)
        if route is None:
            route = self.find(task)
            if len(self._known) < presets.ROUTES_KEPT:
                self._known[kind] = route
        return route

    def find(self, task: SpawnTask, tool: str | None = None) -> Route:
        """The same, looked up anew; with a ``tool`` that wins over all others."""
        options, fleet = self.options, self.fleet
        profile = self._profile(task)
        own_tool = task.tool or (profile.tool if profile else None)
        own_model = task.model or (profile.model if profile else None)
        fleets_tool = options.default_tool or fleet.tool
        spec = fleet.tools.resolve(tool or options.tool or own_tool or fleets_tool)
        model = options.model or own_model or options.default_model or fleet.model
        if spec.model and (tool is not None or model is None):
            # What another tool's model is called means nothing to a fallback.
            model = spec.model
        policy = fleet.policy(task.policy or options.policy)
        # A pattern that is none must be found before the agent runs, not by the timer
        # that would judge it.
        LineWatch(policy.termination)
        lane, recovers, backoff = None, None, None
        if options.recovers:
            lane = fleet.lanes.lane(spec, model)
            recovers = recovery.recovery_for(
                options, policy, task.agent, default=fleet.recovery
            )
            given = options.recovery or fleet.recovery
            backoff = recovers.delay if given else policy.retry.delay
        orchestrator = fleet.orchestrator_of(spec)
        told = orchestrator.capabilities.takes_profiles
        quiet = spec.silent_until_done
        grace = policy.termination.grace + presets.GRACE
        return Route(
            spec=spec,
            orchestrator=orchestrator,
            model=model,
            policy=policy,
            first_look=first_look_after(policy, silent_until_done=quiet),
            probe_lease=policy.timeout.hard_limit + grace,
            lane=lane,
            recovery=recovers,
            backoff=backoff,
            persona="" if told else persona_for(spec, profile),
            profile=profile,
        )

    def _profile(self, task: SpawnTask) -> AgentProfile | None:
        agents = self.fleet.agents
        return (
            agents.find(task.agent)
            if task.agent is not None and agents is not None
            else None
        )
