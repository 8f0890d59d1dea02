"""What ``[tools.NAME]`` and ``[agents.NAME]`` hold, in settings and in plans alike."""

from collections.abc import Mapping
from typing import Any, Final

from muster.domain.agent_profile import AgentProfile
from muster.domain.budget import BudgetLimits
from muster.domain.tool import ToolSpec
from muster.infrastructure.strict_tables import Table
from muster.infrastructure.value_kinds import (
    COMMAND,
    ENVIRONMENT,
    FLAG,
    LIMIT,
    MAPPING,
    NAME,
    PATTERN,
    PATTERNS,
    TEXT,
    URL,
    VARIABLE,
    WORDS,
    number,
    one_of,
    whole,
)

PROGRAMS: Final = "local_process"
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
        "adapter": NAME,
        "base_url": URL,
        "model": NAME,
        "api_key_env": VARIABLE,
        "provider": NAME,
        "home": one_of("shared", "own"),
        "home_files": WORDS,
        "silent_turns": FLAG,
        "memory_mib": whole(1),
        "min_version": TEXT,
        "agent_files": WORDS,
        "known_agents": WORDS,
        "start_spacing": number(unit="seconds"),
        "login_probe": number(unit="seconds"),
        "options": MAPPING,
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


def lacks(values: Mapping[str, Any]) -> str | None:
    """What a table of a tool must hold and does not, or None."""
    if values.get("adapter", PROGRAMS) != PROGRAMS or values.get("command"):
        return None
    return "command"


LIMITS: Final = Table(
    {
        "agents": whole(1),
        "minutes": number(above=True, unit="minutes"),
        "tokens": whole(1, 10**15),
        "budget_usd": number(0.0, 1e9, above=True, unit="dollars"),
    }
)


def limits_of(values: Mapping[str, Any] | None) -> BudgetLimits | None:
    """The limits that a clean table describes."""
    if values is None:
        return None
    named = {
        "usd" if name == "budget_usd" else name: each for name, each in values.items()
    }
    return BudgetLimits(**named)


def tool_of(name: str, values: Mapping[str, Any]) -> ToolSpec:
    """The tool that a clean table describes; `lacks` has found nothing."""
    return ToolSpec(name=name, **values)


def agent_of(
    name: str, values: Mapping[str, Any], source: str | None = None
) -> AgentProfile:
    """The profile that a clean table describes."""
    return AgentProfile(name=name, source=source, **values)
