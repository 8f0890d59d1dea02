"""What a host application calls: a fleet of its own, or one for a single call."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from attrs import define

from muster.application.fleet import FleetEngine
from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain.errors import ConfigError
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan
from muster.domain.run_report import RunReport
from muster.domain.task import SpawnTask
from muster.infrastructure.adapters.local_process.environment import depth
from muster.infrastructure.settings import Settings

SettingsLike = Settings | Mapping[str, Any] | str | os.PathLike[str] | None


@define(eq=False)
class Fleet(FleetEngine):
    """A fleet with everything it needs: ``async with Fleet.open() as fleet``."""

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
        fleet = cls(container.context())
        fleet.closing.push_async_callback(container.adapters().aclose)
        return fleet


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
