"""Builds the policies that settings describe, and refuses what contradicts itself."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.spawn_policy import SpawnPolicy
from muster.infrastructure.strict_tables import Path

Complain = Callable[[Path, str], None]

_SILENCES: Final = (
    ("timeout", "first_output_timeout"),
    ("timeout", "no_activity_timeout"),
    ("termination", "stall", "stall_threshold"),
)


def spawn_policy(
    name: str, table: Mapping[str, Any], complain: Complain
) -> SpawnPolicy | None:
    """The policy of ``[policies.NAME]`` on its preset; None after a complaint.

    A silence limit that is merely inherited and lies above the hard limit is cut
    down to it; one that is written is a mistake.
    """
    base = table.get("preset", name if name in presets.SPAWN_POLICIES else None)
    base = base or presets.SPAWN_POLICY
    changes = {key: value for key, value in table.items() if key != "preset"}
    merged = merge(presets.SPAWN_POLICIES[base], changes)
    try:
        policy = SpawnPolicy.from_table(name, merged)
    except (ValueError, TypeError) as exc:
        complain(("policies", name, "timeout"), f": {exc}")
        return None
    limit = policy.timeout.hard_limit
    for path in _SILENCES:
        silence = value_at(changes, path)
        if silence is not None and silence > limit:
            predicate = f"({silence:g}) is above the hard limit of {limit:g} seconds"
            complain(("policies", name, *path), predicate)
            return None
    retry = policy.retry
    if (
        value_at(changes, ("retry", "base_delay"))
        and retry.base_delay > retry.max_delay
    ):
        predicate = f"({retry.base_delay:g}) is above max_delay ({retry.max_delay:g})"
        complain(("policies", name, "retry", "base_delay"), predicate)
        return None
    return SpawnPolicy.from_table(name, _capped(merged, policy))


def recovery_policy(
    table: Mapping[str, Any], complain: Complain
) -> RecoveryPolicy | None:
    """The policy of ``[recovery]``; None after a complaint."""
    try:
        policy = RecoveryPolicy.from_config({"spawner": {"recovery": table}})
    except (ConfigError, ValueError, TypeError) as exc:
        complain(("recovery",), f": {getattr(exc, 'problem', exc)}")
        return None
    if policy.base_delay > policy.max_delay:
        predicate = f"({policy.base_delay:g}) is above max_delay ({policy.max_delay:g})"
        complain(("recovery", "base_delay"), predicate)
        return None
    return policy


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merged key by key; any other value replaces."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def value_at(table: Mapping[str, Any], path: Path) -> Any:
    """What stands there, or None."""
    found: Any = table
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _capped(table: Mapping[str, Any], policy: SpawnPolicy) -> dict[str, Any]:
    limits = policy.timeout
    hard = limits.hard_limit
    capped = {
        name: min(value, hard)
        for name in ("first_output_timeout", "no_activity_timeout")
        if (value := getattr(limits, name)) is not None
    }
    return merge(table, {"timeout": capped})
