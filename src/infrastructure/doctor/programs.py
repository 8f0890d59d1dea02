"""The agent CLIs of this machine, and what dead runs have left running."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from muster.domain.errors import ToolNotFoundError
from muster.infrastructure.adapters.local_process import leftovers
from muster.infrastructure.adapters.local_process.leftovers import Leftover
from muster.infrastructure.adapters.local_process.tool_table import (
    DetectedTool,
    LocalToolRegistry,
)
from muster.infrastructure.doctor.finding import Finding

SUBJECT: Final = "tools"
LEFT: Final = "leftovers"
TWO_WAYS_OUT: Final = (
    "install and log in to one (`muster tools` says how), or name any program with "
    "--tool; `muster demo` needs none"
)


def tools(registry: LocalToolRegistry, chosen: str | None) -> list[Finding]:
    """Whether the tool that would be used is here, and the others' logins."""
    agents = [each for each in registry.detect() if each.spec.is_agent]
    found = [_login(each) for each in agents]
    if chosen is not None:
        return [_chosen(registry, chosen), *found]
    if not agents:
        what = "no agent CLI is here"
        found.append(Finding(SUBJECT, "warning", what, TWO_WAYS_OUT))
    return found


def left_running(found: Sequence[Leftover]) -> Finding:
    """Processes whose muster is dead."""
    if not found:
        return Finding(LEFT, "ok", "no process of a dead run is alive")
    what = f"{_count(found)} of dead runs still alive"
    return Finding(
        LEFT, "problem", what, "`muster doctor --reap` ends them", _listed(found)
    )


def reaped(
    found: Sequence[Leftover],
    reap: Callable[[Iterable[Leftover]], Sequence[Leftover]] = leftovers.reap,
) -> Finding:
    """Ends these, and says what became of them. Blocks for 0.7 s at most."""
    if not found:
        return left_running(found)
    left = reap(found)
    if left:
        what = f"{_count(left)} can't be ended"
        advice = "the kernel holds them (a dead disk or network drive, mostly)"
        return Finding(LEFT, "problem", what, advice, _listed(left))
    return Finding(
        LEFT, "ok", f"ended {_count(found)} of dead runs", "", _listed(found)
    )


def _count(found: Sequence[Leftover]) -> str:
    return f"{len(found)} process{'es' if len(found) > 1 else ''}"


def _chosen(registry: LocalToolRegistry, chosen: str) -> Finding:
    try:
        spec = registry.resolve(chosen)
    except ToolNotFoundError as error:
        advice = "install it, or change `tool` in the settings"
        return Finding(SUBJECT, "problem", f"'{chosen}' {error.problem}", advice)
    return Finding(SUBJECT, "ok", f"{spec.name} is the configured tool")


def _login(tool: DetectedTool) -> Finding:
    name = tool.spec.name
    if tool.logged_in is False:
        what = f"{name} is here and does not look logged in"
        return Finding(SUBJECT, "warning", what, tool.spec.login_hint)
    state = "logged in" if tool.logged_in else "login unknown"
    return Finding(SUBJECT, "ok", f"{name}: {state} ({tool.path})")


def _listed(found: Iterable[Leftover]) -> list[dict[str, Any]]:
    return [
        {
            "pid": each.pid,
            "run_id": each.run_id,
            "age_s": round(each.age, 1),
            "command": each.command,
        }
        for each in found
    ]
