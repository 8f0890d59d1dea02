"""What crewai's own exceptions mean: one table, the most specific class first.

By name, so that nothing is imported for it. What the model's server says never comes
this way: it passes through crewai as a `BaseException` that crewai does not touch.
"""

from collections.abc import Mapping
from typing import Final

from muster.domain import presets
from muster.domain.outcome import Failure, FailureCause

_C = FailureCause
# A class is looked for along its bases: a subclass that has no row has its parent's.
CAUSES: Final[Mapping[str, FailureCause]] = {
    "LLMContextLengthExceededError": _C.CONTEXT_LENGTH,
    "LLMCallBlockedError": _C.FORBIDDEN,
    "HookAborted": _C.FORBIDDEN,
    "OutputParserError": _C.INFERENCE,
    "ConverterError": _C.INFERENCE,
    "ToolUsageLimitExceededError": _C.INFERENCE,
    "ToolUsageError": _C.INFERENCE,
    "ToolExecutionFailedError": _C.CRASH,
    "OptionalDependencyError": _C.TOOL_NOT_FOUND,
    "AuthError": _C.AUTH,
    "MCPAuthenticationError": _C.AUTH,
    "MCPConnectionError": _C.NETWORK,
    "DatabaseOperationError": _C.DISK_FULL,
    "EmbeddingDimensionMismatchError": _C.INVALID_REQUEST,
    "AgentRepositoryError": _C.INVALID_REQUEST,
    "SkillParseError": _C.INVALID_REQUEST,
    "InvalidRefError": _C.INVALID_REQUEST,
    "JSONProjectError": _C.INVALID_REQUEST,
    "TraceGrantError": _C.INVALID_REQUEST,
    "ValidationError": _C.INVALID_REQUEST,
    "ModuleNotFoundError": _C.TOOL_NOT_FOUND,
    "ImportError": _C.TOOL_NOT_FOUND,
    "MemoryError": _C.OUT_OF_MEMORY,
    "TimeoutError": _C.TIMEOUT,
    "ConnectionError": _C.NETWORK,
    "Exception": _C.CRASH,
}


def cause_of(kind: type[BaseException]) -> FailureCause:
    """The cause of an exception of that class."""
    for base in kind.__mro__:
        if base.__name__ in CAUSES:
            return CAUSES[base.__name__]
    return _C.CRASH


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception of a crew tells of."""
    text = " ".join(str(error).split())[: presets.MODEL_ERROR_CHARS]
    name = type(error).__name__
    return Failure(
        cause_of(type(error)), f"crewai: {name}: {text}" if text else f"crewai: {name}"
    )
