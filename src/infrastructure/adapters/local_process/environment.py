"""What an agent's environment holds: an allow-list, what its tool names, and who it is.

Loader and interpreter hooks (LD_PRELOAD, PYTHONPATH, NODE_OPTIONS, BASH_ENV) are
on no list, so they stay behind unless a tool or a task names them.
"""

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from muster.domain import presets
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec

_START_TIME_FIELD = 19  # of /proc/PID/stat, counted behind the command's ")"
_CACHED_TOOLS = 256


class ChildEnvironment:
    """Makes environments; what is common to all children is computed once."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        allowed: str = presets.ENVIRONMENT,
        host: str | None = None,
    ) -> None:
        self._environ = dict(environ)
        common = _matching(self._environ, allowed.split())
        common["MUSTER_DEPTH"] = str(depth(self._environ) + 1)
        common["MUSTER_HOST"] = host or host_marker()
        self._common = common
        self._of_tool: dict[int, tuple[ToolSpec, dict[str, str]]] = {}

    def of(self, request: AgentRequest, spec: ToolSpec) -> dict[str, str]:
        """The environment of one child; the request wins over the tool."""
        env = self._base(spec).copy()
        if request.env:
            env.update(request.env)
        if request.agent is not None:
            env["MUSTER_AGENT"] = request.agent
        if request.task_id is not None:
            env["MUSTER_TASK_ID"] = request.task_id
        if request.run_id is not None:
            env["MUSTER_RUN_ID"] = request.run_id
        if request.model is not None:
            env["MUSTER_MODEL"] = request.model
        env["MUSTER_ATTEMPT"] = str(request.attempt)
        return env

    def _base(self, spec: ToolSpec) -> dict[str, str]:
        known = self._of_tool.get(id(spec))
        if known is not None:
            return known[1]
        if len(self._of_tool) >= _CACHED_TOOLS:
            self._of_tool.clear()
        passed_on = [name for name, value in spec.env.items() if value is None]
        fixed = {name: value for name, value in spec.env.items() if value is not None}
        base = self._common | _matching(self._environ, passed_on) | fixed
        # The spec is kept beside it: an id is unique only as long as its object lives.
        self._of_tool[id(spec)] = (spec, base)
        return base


def depth(environ: Mapping[str, str]) -> int:
    """How many musters stand above this process; 0 when the variable is no number."""
    value = environ.get("MUSTER_DEPTH", "")
    return int(value) if value.isascii() and value.isdigit() else 0


def host_marker() -> str:
    """``pid:starttime`` of this process, by which leftovers of a dead host are known.

    The start time (clock ticks since boot) tells a reused pid from ours; it is
    empty where there is no /proc.
    """
    pid = os.getpid()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return f"{pid}:"
    return f"{pid}:{stat.rpartition(')')[2].split()[_START_TIME_FIELD]}"


def _matching(environ: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pattern in patterns:
        if pattern in environ:
            found[pattern] = environ[pattern]
        elif "*" in pattern:
            names = [name for name in environ if fnmatchcase(name, pattern)]
            found.update((name, environ[name]) for name in names)
    return found
