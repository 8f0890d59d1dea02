"""Every error that muster raises on purpose; `muster.domain.errors` draws the tree."""

from muster.domain.errors import (
    AgentBusyError,
    AgentInvocationError,
    AgentNotFoundError,
    AgentPoolExhaustedError,
    BudgetExceededError,
    CircuitOpenError,
    ConfigError,
    CyclicPlanError,
    InvalidTransitionError,
    JournalError,
    MusterError,
    OrchestratorError,
    PlanError,
    SystemHaltedError,
    ToolNotFoundError,
    UnknownPresetError,
)

__all__ = [
    "AgentBusyError",
    "AgentInvocationError",
    "AgentNotFoundError",
    "AgentPoolExhaustedError",
    "BudgetExceededError",
    "CircuitOpenError",
    "ConfigError",
    "CyclicPlanError",
    "InvalidTransitionError",
    "JournalError",
    "MusterError",
    "OrchestratorError",
    "PlanError",
    "SystemHaltedError",
    "ToolNotFoundError",
    "UnknownPresetError",
]
