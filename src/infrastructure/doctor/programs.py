"""The agent CLIs of this machine, and what dead runs have left running."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from muster.domain.errors import ToolNotFoundError
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process import leftovers
from muster.infrastructure.adapters.local_process.leftovers import Leftover
from muster.infrastructure.adapters.local_process.tool_table import (
    DetectedTool,
    LocalToolRegistry,
)
from muster.infrastructure.doctor.finding import Finding

_VERSION: Final = re.compile(r"\d{1,6}(?:\.\d{1,6}){1,2}")
_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+(\d+) kB", re.MULTILINE)
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


def shadowed(
    tools: Iterable[DetectedTool], search_path: str, said: Mapping[str, str | None]
) -> list[Finding]:
    """Tools that are on the PATH more than once, and which of them is used."""
    found = []
    for each in tools:
        is_program = os.path.isabs(each.path)  # noqa: PTH117
        others = _others(each.path, search_path) if is_program else []
        if others:
            version = said.get(each.spec.name) or "version unknown"
            what = (
                f"{each.spec.name} is on the PATH {len(others) + 1} times: {each.path} "
                f"is used ({version}), and not {', '.join(others)}"
            )
            advice = "remove the others, or name one: [tools.NAME] command"
            found.append(Finding(SUBJECT, "warning", what, advice))
    return found


def _others(used: str, search_path: str) -> list[str]:
    seen, found = {os.path.realpath(used)}, []
    for folder in search_path.split(os.pathsep):
        path = os.path.join(folder or ".", os.path.basename(used))  # noqa: PTH118, PTH119
        real = os.path.realpath(path)
        if real not in seen and os.path.isfile(real) and os.access(real, os.X_OK):  # noqa: PTH113
            seen.add(real)
            found.append(path)
    return found


def versions(tools: Iterable[tuple[ToolSpec, str | None]]) -> list[Finding]:
    """Tools whose version is older than the oldest whose stream is known."""
    found = []
    for spec, version in tools:
        if is_too_old(spec, version):
            what = f"{spec.name} is {version}; {spec.min_version} is the oldest known"
            advice = f"update it ({spec.install_hint}), or its records may be misread"
            found.append(Finding(SUBJECT, "warning", what, advice))
    return found


def is_too_old(spec: ToolSpec, version: str | None) -> bool:
    """Whether a printed version is below the spec's; unknown ones are not."""
    said = _VERSION.search(version or "")
    least = _VERSION.search(spec.min_version)
    if said is None or least is None:
        return False
    return _numbers(said[0]) < _numbers(least[0])


def memory(
    specs: Iterable[ToolSpec], agents: int, available_mib: int | None
) -> list[Finding]:
    """Whether so many agents of each tool fit into the memory that is free."""
    found = []
    for spec in specs:
        if spec.memory_mib is None or available_mib is None:
            continue
        room = available_mib // spec.memory_mib
        if room < agents:
            what = (
                f"{room} agents of {spec.name} fit into the {available_mib} MiB that "
                f"are free (about {spec.memory_mib} MiB each), and {agents} may run"
            )
            advice = f"--max-concurrent {max(1, room)}, or more memory"
            found.append(Finding("memory", "warning", what, advice))
    return found


def available_mib(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """What new programs can have without swapping; None where it can't be told."""
    try:
        text = meminfo.read_text()
    except OSError:
        return None
    said = _AVAILABLE.search(text)
    return int(said[1]) // 1024 if said else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, f"{version}.0".split(".")))[:3]


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
