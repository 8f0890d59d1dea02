"""What ``[tools.NAME]`` and ``[agents.NAME]`` hold, in settings and in plans alike."""

from collections.abc import Mapping
from typing import Any, Final

from muster.domain.agent_profile import AgentProfile
from muster.domain.tool import ToolSpec
from muster.infrastructure.strict_tables import Table
from muster.infrastructure.value_kinds import (
    COMMAND,
    ENVIRONMENT,
    FLAG,
    LIMIT,
    NAME,
    PATTERN,
    PATTERNS,
    TEXT,
    WORDS,
    one_of,
)

TOOL: Final = Table(
    {
        "command": COMMAND,
        "prompt": one_of("stdin", "argv", "file"),
        "agent_args": WORDS,
        "model_args": WORDS,
        "extra_args": WORDS,
        "bypass_args": WORDS,
        "output": NAME,
        "env": ENVIRONMENT,
        "silent_until_done": FLAG,
        "retries_itself": FLAG,
        "retry_patience": LIMIT,
        "session_resume_args": WORDS,
        "stop_signal": one_of("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"),
        "permissions": one_of("tool default", "bypass"),
        "shell": FLAG,
        "requires_output": FLAG,
        "success_pattern": PATTERN,
        "failure_patterns": PATTERNS,
        "interprets": FLAG,
        "is_agent": FLAG,
        "version_args": WORDS,
        "login_files": WORDS,
        "login_env": WORDS,
        "login_hint": TEXT,
        "install_hint": TEXT,
    }
)
AGENT: Final = Table(
    {
        "description": TEXT,
        "tools": WORDS,
        "model": NAME,
        "tool": NAME,
        "prompt": TEXT,
    },
    extra=True,
)


def tool_of(name: str, values: Mapping[str, Any]) -> ToolSpec:
    """The tool that a clean table describes; ``command`` must be there."""
    return ToolSpec(name=name, **values)


def agent_of(
    name: str, values: Mapping[str, Any], source: str | None = None
) -> AgentProfile:
    """The profile that a clean table describes."""
    return AgentProfile(name=name, source=source, **values)
