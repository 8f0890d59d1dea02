"""Whether a tool knows a persona, for tools that would run on without it."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from muster.domain.tool import ToolSpec

# Among a spec's ``known_agents``: it has more than its files tell, and refuses others.
REFUSES_UNKNOWN: Final = "*"
_VARIABLE: Final = re.compile(r"\$(\w+)")
_MAX_BYTES: Final = 1 << 20


def is_known(
    spec: ToolSpec, agent: str, *, env: Mapping[str, str], cwd: str | None
) -> bool:
    """Whether one of the spec's ``agent_files`` defines ``agent``, as the child sees them.

    Without such files it can't be told, and the tool is believed to refuse.
    """
    if not spec.agent_files or agent in spec.known_agents:
        return True
    if os.sep in agent or agent.startswith("."):
        return False
    return any(_defines(place, agent, env, cwd) for place in spec.agent_files)


def _defines(place: str, agent: str, env: Mapping[str, str], cwd: str | None) -> bool:
    name, _, key = place.partition("#")
    path = _path(name.replace("{agent}", agent), env, cwd)
    if path is None:
        return False
    try:
        if not key:
            return path.is_file()
        return _holds(_document(path), key, agent)
    except (OSError, ValueError, RecursionError):
        return False


def _path(name: str, env: Mapping[str, str], cwd: str | None) -> Path | None:
    variables = _VARIABLE.findall(name)
    if any(not env.get(each) for each in variables):
        return None
    name = _VARIABLE.sub(lambda found: env[found[1]], name)
    if name.startswith("~/"):
        home = env.get("HOME")
        return Path(home, name[2:]) if home else None
    return Path(cwd or ".", name)


def _document(path: Path) -> Any:
    if path.stat().st_size > _MAX_BYTES:
        return None
    text = path.read_text(errors="replace")
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


def _holds(document: Any, key: str, agent: str) -> bool:
    for part in key.split("."):
        if not isinstance(document, Mapping):
            return False
        document = document.get(part.replace("{agent}", agent))
    return document is not None
