"""muster: run fleets of AI agents and programs, see failures early, recover.

The names of ``__all__`` are the stable interface. They are loaded when first used,
so that ``import muster`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from muster.application.ports.agent_orchestrator import AgentOrchestrator
    from muster.application.ports.halt_checker import HaltChecker
    from muster.domain.agent_profile import AgentProfile
    from muster.domain.budget import BudgetLimits
    from muster.domain.circuit_breaker import CircuitBreaker
    from muster.domain.concurrent_result import AgentFailure, ConcurrentResult
    from muster.domain.errors import (
        AgentBusyError,
        AgentInvocationError,
        AgentNotFoundError,
        AgentPoolExhaustedError,
        BudgetExceededError,
        CircuitOpenError,
        ConfigError,
        CyclicPlanError,
        DuplicateAgentError,
        InvalidTransitionError,
        JournalError,
        MusterError,
        OrchestratorError,
        PlanError,
        SystemHaltedError,
        ToolNotFoundError,
        UnknownPresetError,
    )
    from muster.domain.outcome import (
        Attempt,
        Failure,
        FailureCategory,
        FailureCause,
        SpawnResult,
        Usage,
    )
    from muster.domain.plan import PlanTask
    from muster.domain.pool import AgentPool
    from muster.domain.recovery import RecoveryState
    from muster.domain.recovery_policy import RecoveryPolicy
    from muster.domain.run_report import RunReport
    from muster.domain.spawn_policy import (
        EarlyDetectionConfig,
        RetryPolicy,
        SpawnPolicy,
        TerminationPolicy,
        TimeoutPolicy,
    )
    from muster.domain.task import AgentOutput, AgentRequest, ContextBundle, SpawnTask
    from muster.domain.tool import ToolSpec
    from muster.infrastructure.adapters.stub.orchestrator import AgentOrchestratorStub
    from muster.infrastructure.deliberation_service import (
        ConcurrentDeliberationService,
    )
    from muster.infrastructure.dual_channel_halt import DualChannelHaltChecker
    from muster.infrastructure.error_texts import classify_error
    from muster.infrastructure.host import (
        Fleet,
        run_plan,
        spawn,
        spawn_parallel,
        spawn_parallel_tracked,
        spawn_parallel_with_recovery,
        spawn_sequential,
    )
    from muster.infrastructure.loadable_plan import Plan
    from muster.infrastructure.witness_log import WitnessLog

_HOME: Final = {
    "application.ports.agent_orchestrator": "AgentOrchestrator",
    "application.ports.halt_checker": "HaltChecker",
    "domain.agent_profile": "AgentProfile",
    "domain.budget": "BudgetLimits",
    "domain.circuit_breaker": "CircuitBreaker",
    "domain.concurrent_result": "AgentFailure ConcurrentResult",
    "domain.outcome": "Attempt Failure FailureCategory FailureCause SpawnResult Usage",
    "domain.plan": "PlanTask",
    "domain.pool": "AgentPool",
    "domain.recovery": "RecoveryState",
    "domain.recovery_policy": "RecoveryPolicy",
    "domain.run_report": "RunReport",
    "domain.spawn_policy": (
        "EarlyDetectionConfig RetryPolicy SpawnPolicy TerminationPolicy TimeoutPolicy"
    ),
    "domain.task": "AgentOutput AgentRequest ContextBundle SpawnTask",
    "domain.tool": "ToolSpec",
    "domain.errors": (
        "AgentBusyError AgentInvocationError AgentNotFoundError "
        "AgentPoolExhaustedError BudgetExceededError CircuitOpenError ConfigError "
        "CyclicPlanError DuplicateAgentError InvalidTransitionError JournalError MusterError "
        "OrchestratorError PlanError SystemHaltedError ToolNotFoundError "
        "UnknownPresetError"
    ),
    "infrastructure.adapters.stub.orchestrator": "AgentOrchestratorStub",
    "infrastructure.error_texts": "classify_error",
    "infrastructure.dual_channel_halt": "DualChannelHaltChecker",
    "infrastructure.witness_log": "WitnessLog",
    "infrastructure.deliberation_service": "ConcurrentDeliberationService",
    "infrastructure.loadable_plan": "Plan",
    "infrastructure.host": (
        "Fleet run_plan spawn spawn_parallel spawn_parallel_tracked "
        "spawn_parallel_with_recovery spawn_sequential"
    ),
}

__all__ = [
    "AgentBusyError",
    "AgentFailure",
    "AgentInvocationError",
    "AgentNotFoundError",
    "AgentOrchestrator",
    "AgentOrchestratorStub",
    "AgentOutput",
    "AgentPool",
    "AgentPoolExhaustedError",
    "AgentProfile",
    "AgentRequest",
    "Attempt",
    "BudgetExceededError",
    "BudgetLimits",
    "CircuitBreaker",
    "CircuitOpenError",
    "ConcurrentDeliberationService",
    "ConcurrentResult",
    "ConfigError",
    "ContextBundle",
    "CyclicPlanError",
    "DualChannelHaltChecker",
    "DuplicateAgentError",
    "EarlyDetectionConfig",
    "Failure",
    "FailureCategory",
    "FailureCause",
    "Fleet",
    "HaltChecker",
    "InvalidTransitionError",
    "JournalError",
    "MusterError",
    "OrchestratorError",
    "Plan",
    "PlanError",
    "PlanTask",
    "RecoveryPolicy",
    "RecoveryState",
    "RetryPolicy",
    "RunReport",
    "SpawnPolicy",
    "SpawnResult",
    "SpawnTask",
    "SystemHaltedError",
    "TerminationPolicy",
    "TimeoutPolicy",
    "ToolNotFoundError",
    "ToolSpec",
    "UnknownPresetError",
    "Usage",
    "WitnessLog",
    "classify_error",
    "run_plan",
    "spawn",
    "spawn_parallel",
    "spawn_parallel_tracked",
    "spawn_parallel_with_recovery",
    "spawn_sequential",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names.split():
            return getattr(import_module(f"muster.{module}"), name)
    raise AttributeError(f"module 'muster' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
