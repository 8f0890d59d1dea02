"""How ill an agent looks, going by its circuit."""

from typing import Any

from muster.domain.circuit import Circuit, CircuitState, CountedFailure

_MINUTE = 60.0
# Two failures in one instant have no velocity that JSON could write.
_SHORTEST_SPAN = 1.0


def health_status(
    agent: str | None,
    circuit: Circuit,
    now: float,
    *,
    reset_timeout: float,
    failure_window: float,
    threshold: int,
) -> dict[str, Any]:
    """JSON-ready; times are in seconds, ``failure_velocity`` in failures per minute."""
    state = circuit.state(now, reset_timeout)
    recent = circuit.recent(now, failure_window)
    last = circuit.failures[-1].at if circuit.failures else None
    is_free = state is CircuitState.HALF_OPEN and not circuit.probe_is_out(now)
    return {
        "agent_id": agent,
        "state": state.value,
        "failure_count": circuit.failure_count,
        "recent_failures": len(recent),
        "failure_velocity": _velocity(recent, now),
        "last_failure_time": last,
        "time_since_last_failure": None if last is None else max(0.0, now - last),
        "risk_level": _risk(state, len(recent), threshold),
        "can_execute": state is CircuitState.CLOSED or is_free,
        "failure_types": [each.cause.value for each in recent],
    }


def _velocity(recent: list[CountedFailure], now: float) -> float:
    if len(recent) < 2:  # noqa: PLR2004 (one failure has no velocity)
        return 0.0
    return len(recent) * _MINUTE / max(now - recent[0].at, _SHORTEST_SPAN)


def _risk(state: CircuitState, recent: int, threshold: int) -> str:
    if state is CircuitState.OPEN:
        return "critical"
    if state is CircuitState.HALF_OPEN:
        return "high"
    return "medium" if recent >= max(1, threshold - 1) else "low"
