"""Every setting: its place, its kind, its range. Read from files, variables and flags."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from muster.domain import presets
from muster.infrastructure.definitions import AGENT, LIMITS, TOOL
from muster.infrastructure.strict_tables import Kind, Named, Path, Table, leaves
from muster.infrastructure.value_kinds import (
    FLAG,
    LIMIT,
    NAME,
    PATTERNS,
    SECONDS,
    TEXT,
    number,
    one_of,
    or_never,
    preset_of,
    whole,
)

MAX_AT_ONCE: Final = 10_000
MAX_TRIES: Final = 1_000
MAX_NESTING: Final = 64
MAX_FACTOR: Final = 1_000.0
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
CONTAINMENTS: Final = ("keeper", "group")

_SILENCE: Final = or_never(LIMIT)
_JITTER: Final = one_of("none", "full", "equal")
_FACTOR: Final = number(1.0, MAX_FACTOR)

TIMEOUT: Final = Table(
    {
        "mode": one_of("progressive", "fixed"),
        "timeout": LIMIT,
        "initial_timeout": LIMIT,
        "max_timeout": LIMIT,
        "extension_threshold": SECONDS,
        "first_output_timeout": _SILENCE,
        "no_activity_timeout": _SILENCE,
    }
)
RETRY: Final = Table(
    {
        "max_attempts": whole(1, MAX_TRIES),
        "strategy": one_of("exponential", "fixed", "linear", "immediate"),
        "base_delay": SECONDS,
        "max_delay": SECONDS,
        "backoff_factor": _FACTOR,
        "jitter": _JITTER,
    }
)
STALL: Final = Table(
    {
        "enabled": FLAG,
        "check_interval": LIMIT,
        "stall_threshold": LIMIT,
        "min_output_bytes": whole(0),
    }
)
TERMINATION: Final = Table(
    {
        "enabled": FLAG,
        "patterns": PATTERNS,
        "confirm_after": SECONDS,
        "grace": SECONDS,
        "stall": STALL,
    }
)
POLICY: Final = Table(
    {
        "preset": preset_of(list(presets.SPAWN_POLICIES)),
        "timeout": TIMEOUT,
        "retry": RETRY,
        "termination": TERMINATION,
        "breaker_enabled": FLAG,
    }
)
_RECOVERY_FIELDS: Final[Mapping[str, Kind]] = {
    "max_retries": whole(0, MAX_TRIES),
    "fallback_to_llm": FLAG,
    "base_delay": SECONDS,
    "max_delay": SECONDS,
    "backoff_factor": _FACTOR,
    "jitter": _JITTER,
    "fallback_tool": NAME,
}
RECOVERY: Final = Table(
    {
        "preset": preset_of(list(presets.RECOVERY_POLICIES)),
        **_RECOVERY_FIELDS,
        "overrides": Named(Table(_RECOVERY_FIELDS)),
    }
)
CIRCUIT_BREAKER: Final = Table(
    {
        "failure_threshold": whole(1),
        "reset_timeout": LIMIT,
        "failure_window": LIMIT,
        "adhoc_failure_threshold": whole(1),
        "fast_fail_threshold": whole(1),
        "fast_fail_window": LIMIT,
        "adhoc_fast_fail_window": LIMIT,
    }
)
SETTINGS: Final = Table(
    {
        "tool": NAME,
        "model": NAME,
        "policy": NAME,
        "max_concurrent": whole(1, MAX_AT_ONCE),
        "fallback": FLAG,
        "strict_model": FLAG,
        "wait_for_reset": FLAG,
        "containment": one_of(*CONTAINMENTS),
        "home": TEXT,
        "max_depth": whole(0, MAX_NESTING),
        "log_level": one_of(*LOG_LEVELS),
        "confirm_after": SECONDS,
        "grace": SECONDS,
        "limits": LIMITS,
        "circuit_breaker": CIRCUIT_BREAKER,
        "recovery": RECOVERY,
        "policies": Named(POLICY),
        "tools": Named(TOOL),
        "agents": Named(AGENT),
    }
)
DEFAULTS: Final[Mapping[str, Any]] = {
    "tool": None,
    "model": None,
    "policy": None,
    "max_concurrent": None,
    "fallback": None,
    "strict_model": False,
    "wait_for_reset": False,
    "containment": "keeper",
    "max_depth": presets.MAX_DEPTH,
    "log_level": "warning",
    "confirm_after": None,
    "grace": None,
    "limits": dict.fromkeys(LIMITS.fields),
    "circuit_breaker": {
        "failure_threshold": presets.BREAKER_FAILURE_THRESHOLD,
        "reset_timeout": presets.BREAKER_RESET_TIMEOUT,
        "failure_window": presets.BREAKER_FAILURE_WINDOW,
        "adhoc_failure_threshold": presets.BREAKER_ADHOC_FAILURE_THRESHOLD,
        "fast_fail_threshold": presets.BREAKER_FAST_FAIL_THRESHOLD,
        "fast_fail_window": presets.BREAKER_FAST_FAIL_WINDOW,
        "adhoc_fast_fail_window": presets.BREAKER_ADHOC_FAST_FAIL_WINDOW,
    },
}
# Where the flag has not the setting's own name.
FLAGS: Final[Mapping[str, str]] = {
    "limits.agents": "--max-agents",
    "limits.minutes": "--max-minutes",
    "limits.tokens": "--budget-tokens",
    "limits.budget_usd": "--budget-usd",
}
PREFIX: Final = "MUSTER_"
# What muster tells the programs that it starts. Such a program may start muster.
TOLD_TO_CHILDREN: Final = frozenset(
    PREFIX + name for name in ["AGENT", "TASK_ID", "RUN_ID", "ATTEMPT", "DEPTH", "HOST"]
)


@frozen
class Variable:
    """An environment variable that sets one setting."""

    name: str
    path: Path
    kind: Kind


def variables() -> dict[str, Variable]:
    """All of them by name: ``limits.minutes`` is ``MUSTER_LIMITS_MINUTES``."""
    found = (
        Variable(PREFIX + "_".join(map(str, path)).upper(), path, kind)
        for path, kind in leaves(SETTINGS)
    )
    return {each.name: each for each in found}
