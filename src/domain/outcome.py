"""What became of an attempt and of a task: causes, failures, attempts, results."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Any, Self

from attrs import field, frozen
from attrs.converters import optional


class FailureCategory(StrEnum):
    """What a failure asks for: waiting, patience, means, a person, or a look."""

    TRANSIENT = "transient"
    TIMEOUT = "timeout"
    RESOURCE = "resource"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


class FailureCause(StrEnum):
    """Why an attempt or a task has no answer. Each cause has one category."""

    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    NETWORK = "network"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    NO_ACTIVITY = "no_activity"
    STALL = "stall"
    DEADLINE = "deadline"
    QUOTA = "quota"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    CONTEXT_LENGTH = "context_length"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    INVALID_MODEL = "invalid_model"
    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    TOOL_NOT_FOUND = "tool_not_found"
    NEEDS_APPROVAL = "needs_approval"
    OUTPUT_INVALID = "output_invalid"
    CRASH = "crash"
    KILLED = "killed"
    INFERENCE = "inference"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    HALTED = "halted"
    CIRCUIT_OPEN = "circuit_open"
    PARKED = "parked"
    BUDGET = "budget"
    DEPENDENCY_FAILED = "dependency_failed"

    @property
    def category(self) -> FailureCategory:
        """The category; ``unknown`` for what is no failure of an agent."""
        return _CATEGORY_OF.get(self, FailureCategory.UNKNOWN)

    @property
    def is_agent_failure(self) -> bool:
        """False for cancelled, halted, circuit_open, parked, budget, dependency_failed."""
        return self not in _NOT_OF_AN_AGENT

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt may help: never for permanent causes or a full context."""
        return (
            self.is_agent_failure
            and self.category is not FailureCategory.PERMANENT
            and self is not FailureCause.CONTEXT_LENGTH
        )


_CATEGORIES = {
    FailureCategory.TRANSIENT: "rate_limit overloaded network server_error",
    FailureCategory.TIMEOUT: "timeout no_activity stall deadline",
    FailureCategory.RESOURCE: "quota out_of_memory disk_full context_length",
    FailureCategory.PERMANENT: (
        "auth forbidden invalid_model invalid_request not_found tool_not_found "
        "needs_approval output_invalid"
    ),
    FailureCategory.UNKNOWN: "crash killed inference unknown",
}
_CATEGORY_OF = {
    FailureCause(cause): category
    for category, causes in _CATEGORIES.items()
    for cause in causes.split()
}
_NOT_OF_AN_AGENT = frozenset(FailureCause) - frozenset(_CATEGORY_OF)


@frozen
class Evidence:
    """The text that gave a failure away. ``offset`` is in bytes from the stream's start."""

    text: str
    stream: str = "stderr"
    offset: int | None = None
    pattern: str | None = None


@frozen
class Failure:
    """Why there is no answer. Times in seconds, ``resets_at`` in epoch seconds (UTC).

    ``category`` is the cause's. Only a full context may be told apart: where it is the
    backend that refuses an overlong prompt (see `named`), the same prompt is refused
    again, so that failure is permanent. Raises ValueError for any other pair.
    """

    cause: FailureCause = field(converter=FailureCause)
    message: str
    evidence: Evidence | None = None
    detection_time_ms: float | None = None
    retry_after: float | None = None
    resets_at: float | None = None
    _category: FailureCategory | None = field(
        default=None, kw_only=True, converter=optional(FailureCategory)
    )

    def __attrs_post_init__(self) -> None:
        own = self._category
        if own is self.cause.category:
            # One spelling, so that equal failures are equal.
            object.__setattr__(self, "_category", None)
        elif own is not None and own is not _WHEN_REFUSED.get(self.cause):
            problem = f"a failure by {self.cause} is {self.cause.category}, not {own}"
            raise ValueError(problem)

    @classmethod
    def named(cls, cause: FailureCause | str, message: str, **fields: Any) -> Self:
        """The failure that a backend, or a tool for it, has put into words.

        Whoever reads such words makes it here and nowhere else: the one rule by which
        a failure's category is not its cause's.
        """
        category = _WHEN_REFUSED.get(FailureCause(cause))
        return cls(cause, message, category=category, **fields)

    @property
    def category(self) -> FailureCategory:
        """What it asks for; the cause's, unless a backend refused an overlong prompt."""
        return self._category or self.cause.category

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        document = {name: getattr(self, name) for name in _FAILURE_FIELDS}
        evidence = self.evidence and _fields_of(self.evidence)
        return {
            "cause": self.cause.value,
            "category": self.category.value,
            **document,
            "evidence": evidence,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; a category that can't be is not believed."""
        evidence = document.get("evidence")
        refused = _WHEN_REFUSED.get(document["cause"])
        return cls(
            cause=document["cause"],
            category=refused if document.get("category") == refused else None,
            evidence=Evidence(**evidence) if evidence else None,
            **{name: document.get(name) for name in _FAILURE_FIELDS},  # type: ignore[arg-type]
        )


_WHEN_REFUSED = {FailureCause.CONTEXT_LENGTH: FailureCategory.PERMANENT}
_FAILURE_FIELDS = ("message", "detection_time_ms", "retry_after", "resets_at")


@frozen
class Usage:
    """What an answer cost, as far as it is known. None is unknown, never 0.

    ``cached_tokens`` were read from the backend's cache and are not among the
    ``input_tokens``; ``cache_write_tokens``, put there, are. ``cost_estimated``: by a
    list of prices, at least in part, where the tool told no sum.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    cache_write_tokens: int | None = None
    cost_estimated: bool = False

    @property
    def tokens(self) -> int | None:
        """All that were paid for in full, as far as they are known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
            _sum(self.cost_usd, other.cost_usd),
            _sum(self.cache_write_tokens, other.cache_write_tokens),
            self.cost_estimated or other.cost_estimated,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return _fields_of(self)


@frozen
class Attempt:
    """One start of an agent. ``started_at`` is epoch seconds, the rest seconds.

    ``session_id`` is the tool's name of the conversation, ``continued`` the one that
    this attempt was to go on with; None: it started over.
    """

    number: int
    agent: str | None
    tool: str | None
    started_at: float
    duration: float
    exit_code: int | None = None
    failure: Failure | None = None
    delay_before: float = 0.0
    fallback: bool = False
    session_id: str | None = None
    usage: Usage | None = None
    continued: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return _document_of(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**_revive(document))


def _names(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@frozen
class SpawnResult:
    """What became of one task. A success has no failure; a failure always has one.

    ``cached``: nothing was run for it, an equal task had the answer already.
    ``served_models`` answered, by the tool's own account, in the last attempt; ``denied``
    is what the agent was not allowed to do meanwhile.
    """

    success: bool
    output: str = ""
    stderr: str = ""
    error: str | None = None
    exit_code: int | None = None
    task_index: int = 0
    task_id: str | None = None
    agent: str | None = None
    tool: str | None = None
    fallback: bool = False
    original_agent: str | None = None
    retry_count: int = 0
    attempts: tuple[Attempt, ...] = ()
    termination_reason: str | None = None
    timeout_extended: bool = False
    execution_time: float = 0.0
    failure: Failure | None = None
    usage: Usage | None = None
    truncated: bool = False
    output_path: str | None = None
    simulated: bool = False
    leftovers: int = 0
    cached: bool = False
    requested_model: str | None = None
    served_models: tuple[str, ...] = field(default=(), converter=_names)
    denied: tuple[str, ...] = field(default=(), converter=_names)

    @property
    def recovery_path(self) -> list[str]:
        """What was tried after the first attempt: ["retry:1", "retry:2", "fallback"]."""
        path = [f"retry:{n}" for n in range(1, self.retry_count + 1)]
        return [*path, "fallback"] if self.fallback else path

    def __attrs_post_init__(self) -> None:
        if self.success:
            if self.failure is not None or self.error is not None:
                problem = "a success has no failure and no error"
                raise ValueError(problem)
        elif self.failure is None:
            message = self.error or "failed without a reason"
            failure = Failure(FailureCause.UNKNOWN, message)
            object.__setattr__(self, "failure", failure)
        if not self.success and self.error is None and self.failure is not None:
            object.__setattr__(self, "error", self.failure.message)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return _document_of(self) | {"recovery_path": self.recovery_path}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**_revive(document))


def _sum(a: Any, b: Any) -> Any:
    return a if b is None else b if a is None else a + b


def _fields_of(instance: Any) -> dict[str, Any]:
    kind = type(instance)
    names, values = _READ.get(kind) or _reader_of(kind)
    return dict(zip(names, values(instance), strict=True))


def _document_of(instance: Any) -> dict[str, Any]:
    document = _fields_of(instance)
    for name in _NESTED:
        value = document.get(name)
        if isinstance(value, tuple | list):
            document[name] = [_plain(each) for each in value]
        elif value is not None:
            document[name] = _plain(value)
    return document


def _plain(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else value


def _revive(document: Mapping[str, Any]) -> dict[str, Any]:
    fields = dict(document)
    fields.pop("recovery_path", None)
    # A stored result also says which content it is the result of.
    fields.pop("identity", None)
    if fields.get("failure"):
        fields["failure"] = Failure.from_dict(fields["failure"])
    if fields.get("usage"):
        fields["usage"] = Usage(**fields["usage"])
    if "attempts" in fields:
        fields["attempts"] = tuple(map(Attempt.from_dict, fields["attempts"]))
    return fields


_NESTED = ("attempts", "failure", "usage")


def _reader_of(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], Any]]:
    names = tuple(each.name for each in kind.__attrs_attrs__)
    return names, attrgetter(*names)


# At once and not field by field: a document is made for every task of a run.
_READ = {kind: _reader_of(kind) for kind in (Evidence, Usage, Attempt, SpawnResult)}
