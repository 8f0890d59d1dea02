"""What a plan may hold, whatever its format: the model behind reader and schema."""

from collections.abc import Mapping
from typing import Any, Final

from muster.domain.plan import NO_AGENT
from muster.infrastructure.definitions import AGENT, LIMITS, TOOL
from muster.infrastructure.strict_tables import NAME_RULE, Kind, Many, Named, Table
from muster.infrastructure.value_kinds import (
    COMMAND,
    FLAG,
    LIMIT,
    MAPPING,
    NAME,
    PATTERN,
    TEXT,
    WORDS,
    whole,
)


def _agent(value: Any) -> str:
    name = str(NAME.read(value))
    if name.lower() == NO_AGENT:
        return NO_AGENT
    return str(NAME.read(name.removeprefix("@")))


def _prompt(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


AGENT_NAME: Final = Kind(
    f"an agent's name ({NAME_RULE}), or {NO_AGENT} for none", _agent, NAME.schema
)
ID: Final = Kind(f"text in quotes ({NAME_RULE})", NAME.read, NAME.schema)
# A prompt goes in on stdin, so that anything is allowed in it, NUL too.
PROMPT: Final = Kind("text", _prompt, TEXT.schema)
MAX_EXIT_CODE: Final = 255

EXPECT: Final = Table(
    {
        "exit_code": whole(-MAX_EXIT_CODE, MAX_EXIT_CODE),
        "file": TEXT,
        "regex": PATTERN,
        "json_schema": MAPPING,
        "command": COMMAND,
    }
)
_SHARED: Final[Mapping[str, Kind | Table]] = {
    "agent": AGENT_NAME,
    "tool": NAME,
    "model": NAME,
    "timeout": LIMIT,
    "policy": NAME,
    "cwd": TEXT,
    "limits": LIMITS,
}
DEFAULTS: Final = Table(_SHARED)
TASK: Final = Table(
    {
        "id": ID,
        "prompt": PROMPT,
        **_SHARED,
        "depends": WORDS,
        "expect": EXPECT,
        "done": FLAG,
    },
    required=("id", "prompt"),
)
# People write `[[task]]` in TOML and `tasks:` in YAML and JSON.
TASK_KEYS: Final = ("task", "tasks")
PLAN: Final = Table(
    {
        "defaults": DEFAULTS,
        "tools": Named(TOOL),
        "agents": Named(AGENT),
        **dict.fromkeys(TASK_KEYS, Many(TASK)),
    }
)
