"""What a host application calls: a fleet of its own, or one for a single call."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self

from attrs import define, evolve, field

from muster.application.agent_routing import AgentRouter
from muster.application.concurrent_batch import Listener
from muster.application.concurrent_deliberation import (
    ConcurrentDeliberationService,
    time_to_think,
)
from muster.application.fleet import FleetEngine
from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.application.ports.witness import Witness
from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan
from muster.domain.pool import AgentPool
from muster.domain.run_report import RunReport
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.environment import depth
from muster.infrastructure.dual_channel_halt import DualChannelHaltChecker
from muster.infrastructure.run_store import new_run_id
from muster.infrastructure.settings import Settings

SettingsLike = Settings | Mapping[str, Any] | str | os.PathLike[str] | None


@define(eq=False)
class Fleet(FleetEngine):
    """A fleet with everything it needs: ``async with Fleet.open() as fleet``.

    ``halt_checker.halt(reason)`` halts this fleet, `muster halt` all of its data folder.
    """

    home: Path = field(kw_only=True)
    halt_checker: DualChannelHaltChecker = field(kw_only=True)
    environ: Mapping[str, str] = field(kw_only=True, repr=False)

    @classmethod
    def open(
        cls,
        settings: SettingsLike = None,
        *,
        orchestrator: AgentOrchestrator | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """A fleet of its own, to be entered with ``async with``.

        ``settings``: a `Settings`, a dict, a path, or None for what holds in this
        folder. With ``orchestrator``, that one runs every agent, and stays the
        caller's to close. Raises `ConfigError`.
        """
        # Here and not above: dependency_injector is slow to import, and who only
        # wants a type should not pay for it.
        from muster.infrastructure.container import FleetContainer  # noqa: PLC0415

        environ = os.environ if environ is None else environ
        found = Settings.from_value(settings, environ=environ)
        nesting = depth(environ)
        if nesting >= found.max_depth:
            raise ConfigError(
                f"muster runs inside muster {nesting} levels deep and max_depth is "
                f"{found.max_depth}; an agent is probably starting itself",
                "MUSTER_DEPTH",
            )
        container = FleetContainer(
            settings=found, environ=environ, given_orchestrator=orchestrator
        )
        fleet = cls(
            container.context(),
            home=found.home,
            halt_checker=container.halt(),
            environ=environ,
        )
        fleet.closing.push_async_callback(container.adapters().aclose)
        return fleet

    def deliberation_service(
        self,
        *,
        tool: str | ToolSpec | None = None,
        model: str | None = None,
        policy: SpawnPolicy | str | None = None,
        agent_timeout: float | None = None,
        pool: AgentPool | None = None,
        on_exhausted: Literal["raise", "queue"] = "raise",
        allow_duplicates: bool = False,
        witness: Witness | bool = True,
        listener: Listener | None = None,
        run_id: str | None = None,
    ) -> ConcurrentDeliberationService:
        """Asks agents of this fleet's tools at once; obeys its halt.

        ``tool`` and ``model`` are for requests that name none. What they answer is
        recorded in the witness log of the data folder, as ``run_id`` (``witness=False``:
        nowhere). The service ends with its fleet. Raises `JournalError`.
        """
        context = self.context
        if policy is None:
            limits = time_to_think(agent_timeout or presets.AGENT_TIMEOUT)
            policy, agent_timeout = evolve(context.policy(None), timeout=limits), None
        policy = context.policy(policy)
        if run_id is None:
            run_id = new_run_id(context.clock, context.randomness)
        router = AgentRouter(context, policy, tool, model, run_id)
        return ConcurrentDeliberationService(
            router,
            self.halt_checker,
            pool,
            clock=context.clock,
            randomness=context.randomness,
            agent_timeout=agent_timeout,
            on_exhausted=on_exhausted,
            allow_duplicates=allow_duplicates,
            witness=self._witness(run_id) if witness is True else witness or None,
            policy=policy,
            prepare=router.prepare,
            listener=listener or _unheard,
            log_fault=context.log_fault,
            active=context.active,
        )

    def _witness(self, run_id: str) -> Witness:
        # SQLite is slow to import, and most fleets need none.
        from muster.infrastructure.secrets import Redactor  # noqa: PLC0415
        from muster.infrastructure.witness_log import WitnessLog  # noqa: PLC0415

        redactor = Redactor(self.environ)
        log = WitnessLog.open(
            self.home, run_id, clock=self.context.clock, redactor=redactor
        )
        self.closing.push_async_callback(log.aclose)
        return log


def _unheard(event: object) -> None:
    return


@asynccontextmanager
async def _fleet(options: dict[str, Any]) -> AsyncIterator[Fleet]:
    orchestrator = options.pop("orchestrator", None)
    settings = options.pop("settings", None)
    async with Fleet.open(settings, orchestrator=orchestrator) as fleet:
        yield fleet


async def spawn(task: SpawnTask, **options: Any) -> SpawnResult:
    """`Fleet.spawn` on a fleet of its own; also takes ``settings`` and ``orchestrator``."""
    async with _fleet(options) as fleet:
        return await fleet.spawn(task, **options)


async def spawn_parallel(
    tasks: Iterable[SpawnTask], **options: Any
) -> list[SpawnResult]:
    """`Fleet.spawn_parallel` on a fleet of its own; see `spawn`."""
    async with _fleet(options) as fleet:
        return await fleet.spawn_parallel(tasks, **options)


async def spawn_parallel_tracked(
    tasks: Iterable[SpawnTask], **options: Any
) -> tuple[list[SpawnResult], dict[str, Any]]:
    """`Fleet.spawn_parallel_tracked` on a fleet of its own; see `spawn`."""
    async with _fleet(options) as fleet:
        return await fleet.spawn_parallel_tracked(tasks, **options)


async def spawn_parallel_with_recovery(
    tasks: Iterable[SpawnTask], **options: Any
) -> list[SpawnResult]:
    """`Fleet.spawn_parallel_with_recovery` on a fleet of its own; see `spawn`."""
    async with _fleet(options) as fleet:
        return await fleet.spawn_parallel_with_recovery(tasks, **options)


async def spawn_sequential(
    tasks: Iterable[SpawnTask], **options: Any
) -> list[SpawnResult]:
    """`Fleet.spawn_sequential` on a fleet of its own; see `spawn`."""
    async with _fleet(options) as fleet:
        return await fleet.spawn_sequential(tasks, **options)


async def run_plan(plan: Plan, **options: Any) -> RunReport:
    """`Fleet.run_plan` on a fleet of its own; see `spawn`."""
    async with _fleet(options) as fleet:
        return await fleet.run_plan(plan, **options)
