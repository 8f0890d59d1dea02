"""What the end of an attempt is called where its adapter has not said it as a failure."""

from typing import Final

from muster.domain.errors import (
    AgentInvocationError,
    ConfigError,
    SystemHaltedError,
    ToolNotFoundError,
)
from muster.domain.outcome import Failure, FailureCause

STRAY: Final = Failure(
    FailureCause.UNKNOWN,
    "CancelledError: the agent was cancelled from within, by something it waited for",
)


def failure_of(error: Exception) -> Failure:
    """The failure in what `AgentOrchestrator.invoke` has raised."""
    if isinstance(error, AgentInvocationError):
        return error.failure
    if isinstance(error, SystemHaltedError):
        return Failure(FailureCause.HALTED, str(error))
    text = str(error) or "no message"
    return Failure(FailureCause.UNKNOWN, f"{type(error).__name__}: {text}")


def timed_out(allowed: float, took: float) -> Failure:
    """An attempt had ``allowed`` seconds and took ``took``."""
    return Failure(
        FailureCause.TIMEOUT,
        f"Timed out after {allowed:g} s",
        detection_time_ms=took * 1000,
    )


def cause_of(error: Exception) -> FailureCause:
    """What an error means that kept an agent from being started."""
    if isinstance(error, ToolNotFoundError):
        return FailureCause.TOOL_NOT_FOUND
    if isinstance(error, ConfigError):
        # Of the task: the policy that it names, or a pattern in it.
        return FailureCause.INVALID_REQUEST
    return FailureCause.UNKNOWN
