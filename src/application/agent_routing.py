"""Which tool, model and persona an agent gets that is asked directly, and who runs it."""

from attrs import define, evolve, field

from muster.application.batch import BatchOptions, Route
from muster.application.fleet_context import FleetContext
from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.application.routing import Routes
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import AgentOutput, AgentRequest, SpawnTask
from muster.domain.tool import ToolSpec


@define(eq=False)
class AgentRouter:
    """An orchestrator that asks, for each request, the one of its tool.

    Tool and model: the request's, else those given here, else the profile's, else the
    fleet's. A request without an agent gets the profile called like its ``agent_id``,
    where there is one.
    """

    fleet: FleetContext
    policy: SpawnPolicy
    tool: str | ToolSpec | None = None
    model: str | None = None
    run_id: str | None = None
    capabilities: Capabilities = field(factory=lambda: Capabilities("fleet"))
    _routes: Routes = field(init=False)

    def __attrs_post_init__(self) -> None:
        options = BatchOptions(max_concurrent=1, policy=self.policy)
        self._routes = Routes(self.fleet, options)

    def prepare(self, request: AgentRequest) -> AgentRequest:
        """The request with all that its orchestrator needs. Raises `ToolNotFoundError`."""
        agent = request.agent or self._namesake(request.agent_id)
        route = self._route(request, agent)
        return evolve(
            request,
            agent=agent,
            profile=route.profile if agent else None,
            tool=route.spec,
            model=route.model,
            prompt=(route.persona if agent else "") + request.text,
            grace=self.policy.termination.grace,
            run_id=request.run_id or self.run_id,
        )

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """See `AgentOrchestrator`; the request is one that `prepare` gave."""
        assert request.tool is not None  # noqa: S101 - prepared
        return await self.fleet.orchestrator_of(request.tool).invoke(request, report)

    async def aclose(self) -> None:
        """Nothing: the orchestrators are the fleet's."""

    def _route(self, request: AgentRequest, agent: str | None) -> Route:
        return self._routes.route(
            SpawnTask(
                "",
                agent,
                tool=request.tool or self.tool,
                model=request.model or self.model,
            )
        )

    def _namesake(self, agent_id: str) -> str | None:
        agents = self.fleet.agents
        profile = None if agents is None else agents.find(agent_id)
        return None if profile is None else profile.name
