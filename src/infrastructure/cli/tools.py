"""`muster tools`: what can run agents here, and what is missing where nothing can."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from attrs import asdict, evolve, frozen

from muster.infrastructure.cli.columns import aligned, one_line, screen_width, wrapped
from muster.infrastructure.cli.output import Output, OutputFlags

if TYPE_CHECKING:
    from muster.domain.tool import ToolSpec
    from muster.infrastructure.adapters.local_process.orchestrator import (
        LocalProcessOrchestrator,
    )
    from muster.infrastructure.adapters.local_process.tool_table import (
        LocalToolRegistry,
    )
    from muster.infrastructure.settings import Settings

PERMISSIONS: Final[Mapping[str, str]] = {
    "tool default": "as the tool itself is set up; where it stops to ask, the task "
    "fails as needs_approval",
    "bypass": "the tool asks nobody before it acts",
}
LOGINS: Final = {True: "logged in", False: "not logged in", None: "login unknown"}
MAX_VERSION: Final = 60


@frozen
class ToolRow:
    """One tool as it is shown. ``path`` None: its program is not here."""

    name: str
    kind: str  # agent, program, simulation
    origin: str
    command: tuple[str, ...]
    path: str | None
    version: str | None
    logged_in: bool | None
    prompt: str
    permissions: str
    permissions_mean: str
    adapter: str
    is_default: bool = False
    hint: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it could be started."""
        return self.path is not None


@frozen
class AdapterRow:
    """An installed adapter, listed and not loaded."""

    name: str
    target: str
    distribution: str | None
    is_own: bool


def tools(*, flags: OutputFlags | None = None) -> None:
    """List the tools that can run agents: detected or not, version, login, permissions."""
    from muster.infrastructure.settings import Settings  # noqa: PLC0415

    out = Output.of(flags)
    settings = Settings.load()
    rows = asyncio.run(rows_with_versions(settings, os.environ))
    adapters = adapter_rows()
    if out.is_json:
        out.document(
            {
                "tools": [asdict(each) for each in rows],
                "adapters": [asdict(each) for each in adapters],
            }
        )
        return
    for line in screen(rows, adapters, screen_width()):
        out.line(line)


def registry_of(
    settings: "Settings", environ: Mapping[str, str]
) -> "LocalToolRegistry":
    """The tools that a fleet with these settings would know."""
    from muster.infrastructure.container import known_tools  # noqa: PLC0415

    return known_tools(settings, environ)


def adapter_rows() -> list[AdapterRow]:
    """The adapters by name, of whatever packages are installed."""
    from muster.infrastructure.adapter_registry import installed  # noqa: PLC0415

    return [
        AdapterRow(
            name,
            entry.value,
            f"{entry.dist.name} {entry.dist.version}" if entry.dist else None,
            entry.value.startswith("muster."),
        )
        for name, entry in sorted(installed().items())
    ]


def listed(settings: "Settings", environ: Mapping[str, str]) -> list[ToolRow]:
    """Every known tool, its version not yet asked for."""
    registry = registry_of(settings, environ)
    detected = {each.spec.name: each for each in registry.detect()}
    rows = []
    for spec in registry.known():
        found = detected.get(spec.name)
        path = found.path if found else None
        if spec.adapter != "local_process" and not spec.base_url:
            path = f"({spec.adapter})"
        rows.append(
            ToolRow(
                name=spec.name,
                kind=_kind(spec),
                origin=_origin(settings, spec.name),
                command=spec.command,
                path=path,
                version=None,
                logged_in=found.logged_in if found else None,
                prompt=spec.prompt,
                permissions=spec.permissions,
                permissions_mean=_permissions(spec),
                adapter=spec.adapter,
                hint=_hint(spec, path, logged_in=found.logged_in if found else None),
            )
        )
    return _with_default(rows, settings.tool or _chosen(registry))


async def rows_with_versions(
    settings: "Settings", environ: Mapping[str, str]
) -> list[ToolRow]:
    """Every known tool, with what it says its version is."""
    from muster.infrastructure.adapters.local_process import (  # noqa: PLC0415
        containment,
    )
    from muster.infrastructure.adapters.local_process.orchestrator import (  # noqa: PLC0415
        LocalProcessOrchestrator,
    )

    rows = listed(settings, environ)
    specs = {each.name: each for each in registry_of(settings, environ).known()}
    # Not by a bare subprocess: a launcher that hangs has children, which must end too.
    orchestrator = LocalProcessOrchestrator(
        containment.choose(settings.containment), environ=environ
    )
    try:
        async with asyncio.TaskGroup() as group:
            asked = {
                each.name: group.create_task(
                    _version(orchestrator, specs[each.name], str(each.path))
                )
                for each in rows
                if each.is_here and _tells_version(settings, specs[each.name])
            }
    finally:
        await orchestrator.aclose()
    return [
        evolve(each, version=asked[each.name].result()) if each.name in asked else each
        for each in rows
    ]


def _tells_version(settings: "Settings", spec: "ToolSpec") -> bool:
    """Whether it is safe to ask: a script of the user's may ignore arguments and work."""
    own = settings.tools.get(spec.name)
    if spec.shell or spec.adapter != "local_process":
        return False
    return own is None or ("command" not in own) or ("version_args" in own)


async def _version(
    orchestrator: "LocalProcessOrchestrator", spec: "ToolSpec", path: str
) -> str | None:
    from muster.domain import presets  # noqa: PLC0415
    from muster.domain.errors import AgentInvocationError  # noqa: PLC0415
    from muster.domain.task import AgentRequest  # noqa: PLC0415
    from muster.domain.tool import ToolSpec  # noqa: PLC0415

    asking = ToolSpec(spec.name, (path, *spec.version_args), env=spec.env)
    request = AgentRequest(f"version of {spec.name}", tool=asking, prompt="", grace=0.0)
    try:
        async with asyncio.timeout(presets.VERSION_TIMEOUT):
            answer = await orchestrator.invoke(request, lambda _: None)
    except (TimeoutError, AgentInvocationError):
        return None
    lines = (one_line(each) for each in answer.content.splitlines())
    return next(filter(None, lines), "")[:MAX_VERSION] or None


def _kind(spec: "ToolSpec") -> str:
    if spec.adapter == "stub":
        return "simulation"
    if spec.base_url:
        return "model"
    return "agent" if spec.is_agent else "program"


def _origin(settings: "Settings", name: str) -> str:
    prefix = f"tools.{name}."
    own = (at for key, at in settings.origins.items() if key.startswith(prefix))
    return next(own, "built in")


def _permissions(spec: "ToolSpec") -> str:
    if spec.base_url:
        return "it only answers: nothing here is read or changed by it"
    if not spec.is_agent:
        return "a plain program: it does what it does"
    words = PERMISSIONS[spec.permissions]
    if spec.permissions == "bypass" and spec.bypass_args:
        return f"{words} ({' '.join(spec.bypass_args)})"
    return words


def _hint(spec: "ToolSpec", path: str | None, *, logged_in: bool | None) -> str:
    if path is None and spec.base_url and find_spec("httpx") is None:
        return "pip install 'muster[http]'"
    if path is None and spec.base_url and not spec.login_hint:
        return f"nothing answers at {spec.base_url}; {spec.install_hint}".rstrip("; ")
    if path is None:
        return spec.install_hint
    return spec.login_hint if logged_in is False else ""


def _chosen(registry: "LocalToolRegistry") -> str | None:
    from muster.domain.errors import ToolNotFoundError  # noqa: PLC0415

    try:
        return registry.resolve(None).name
    except ToolNotFoundError:
        return None


def _with_default(rows: Sequence[ToolRow], chosen: str | None) -> list[ToolRow]:
    """The rows, with a mark at the tool that runs what names none."""
    return [evolve(each, is_default=each.name == chosen) for each in rows]


def screen(
    rows: Sequence[ToolRow], adapters: Sequence[AdapterRow], width: int
) -> Iterator[str]:
    """What a person reads: what is here, then what is not, then what it means."""
    here = [each for each in rows if each.is_here]
    missing = [each for each in rows if not each.is_here]
    yield from _here(here, width)
    if missing:
        yield ""
        yield "Not here:"
        cells = [(each.name, each.hint or _command(each)) for each in missing]
        yield from aligned(cells, width=width, indent="  ")
    if any(each.kind == "agent" for each in here):
        yield ""
        yield from wrapped(
            f"Permissions: 'tool default' is {PERMISSIONS['tool default']}; 'bypass' "
            f"({_BYPASS}) means {PERMISSIONS['bypass']}.",
            width=width,
        )
    foreign = [each for each in adapters if not each.is_own]
    yield ""
    yield "Adapters: " + ", ".join(each.name for each in adapters if each.is_own)
    if foreign:
        found = [(each.name, each.distribution or "", each.target) for each in foreign]
        yield from aligned(found, width=width, indent="  ")
    yield ""
    yield from wrapped(_default_line(rows), width=width)


def _here(rows: Sequence[ToolRow], width: int) -> Iterator[str]:
    for each in rows:
        mark = "*" if each.is_default else " "
        about = [each.version or each.kind]
        if each.kind == "agent":
            about += [LOGINS[each.logged_in], f"permissions: {each.permissions}"]
        if each.kind != "model":
            about.append(f"prompt: {each.prompt}")
        if each.origin != "built in":
            about.append(f"from {each.origin}")
        first = f"{mark} {each.name:<10} "
        left = " " * len(first)
        yield from wrapped(", ".join(about), width=width, indent=left, first=first)
        if each.kind != "simulation":
            yield f"{left}{each.path}"
        else:
            yield f"{left}answers are made up and stamped; only with --tool sim"
        if each.hint:
            yield from wrapped(
                each.hint, width=width, indent=left + "   ", first=left + "-> "
            )


def _default_line(rows: Sequence[ToolRow]) -> str:
    chosen = [each for each in rows if each.is_default]
    if chosen and chosen[0].is_here:
        return f"* runs what names no tool: {chosen[0].name}."
    if chosen:
        return f"The configured tool '{chosen[0].name}' is not here."
    return (
        "Nothing runs what names no tool. Install and log in to one of the above, or "
        "name any program: `--tool ./my-agent` (prompt on stdin, answer on stdout)."
    )


def _command(row: ToolRow) -> str:
    return f"'{' '.join(row.command)}' was not found ({row.origin})"


_BYPASS: Final = 'permissions = "bypass" in [tools.NAME]'
