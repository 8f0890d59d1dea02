"""Every error that muster raises on purpose.

MusterError
├── ConfigError                 a setting, a policy or a profile is wrong
│   └── UnknownPresetError      also a ValueError
├── PlanError                   a plan file is wrong (file, line)
│   └── CyclicPlanError
├── ToolNotFoundError
├── AgentNotFoundError
├── AgentInvocationError        an attempt failed; carries its Failure
├── AgentPoolExhaustedError
├── AgentBusyError
│   └── DuplicateAgentError     also a ValueError
├── CircuitOpenError
├── SystemHaltedError
├── JournalError
├── BudgetExceededError
├── InvalidTransitionError      a state machine was asked for the impossible
└── OrchestratorError           an adapter broke; not the agent's fault

All are picklable and copyable: positional fields, text made by ``__str__``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from muster.domain.events import AgentEnded
    from muster.domain.outcome import Failure, SpawnResult


class MusterError(Exception):
    """Base of all errors that muster raises on purpose."""


@define(eq=False)
class ConfigError(MusterError):
    """A setting is wrong: what, where (``file:line`` or a variable's name), what is right.

    ``problems`` holds one error each when several were found at once.
    """

    problem: str
    where: str | None = None
    problems: "Sequence[ConfigError]" = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem


@define(eq=False)
class UnknownPresetError(ConfigError, ValueError):
    """No preset has this name; the message lists the names that exist."""

    problem: str
    where: str | None = None
    problems: Sequence[ConfigError] = ()

    def __str__(self) -> str:
        return ConfigError.__str__(self)


@define(eq=False)
class PlanError(MusterError):
    """A plan can't be run as written. ``line`` counts from 1.

    ``problems`` holds one error each when several were found at once.
    """

    problem: str
    file: str | None = None
    line: int | None = None
    problems: "Sequence[PlanError]" = ()

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part)
        return f"{place}: {self.problem}" if place else self.problem


@define(eq=False)
class CyclicPlanError(PlanError):
    """Tasks wait for each other; ``cycle`` is the path, first id repeated last."""

    problem: str
    file: str | None = None
    line: int | None = None
    cycle: Sequence[str] = ()
    problems: Sequence[PlanError] = ()

    def __str__(self) -> str:
        return PlanError.__str__(self)


@define(eq=False)
class ToolNotFoundError(MusterError):
    """The program behind a tool is missing or can't be executed."""

    tool: str
    problem: str = "was not found on PATH"

    def __str__(self) -> str:
        return (
            f"tool '{self.tool}' {self.problem}; install it, or name a program "
            "with --tool (`muster tools` lists what is here)"
        )


@define(eq=False)
class AgentNotFoundError(MusterError):
    """No profile has this name and the tool takes no unknown ones."""

    agent: str
    known: Sequence[str] = ()

    def __str__(self) -> str:
        known = ", ".join(self.known) or "none"
        return f"agent '{self.agent}' is unknown; known agents: {known}"


@define(eq=False)
class AgentInvocationError(MusterError):
    """An attempt failed. ``failure`` is what the adapter knows of it."""

    agent_id: str
    failure: "Failure"
    ended: "AgentEnded | None" = None

    def __str__(self) -> str:
        return f"agent '{self.agent_id}' failed: {self.failure.message}"


@define(eq=False)
class AgentPoolExhaustedError(MusterError):
    """More agents were asked for than the pool holds."""

    active: int
    max_concurrent: int
    wanted: int = 1

    def __str__(self) -> str:
        wanted = f", {self.wanted} more wanted" if self.wanted > 1 else ""
        return (
            f"agent pool exhausted: {self.active} of {self.max_concurrent} slots are "
            f"in use{wanted}; ask for fewer agents at once or queue them"
        )


@define(eq=False)
class AgentBusyError(MusterError):
    """The agent is already active, and one agent does one thing at a time."""

    agent_id: str

    def __str__(self) -> str:
        return (
            f"agent '{self.agent_id}' is already active; wait for it or use another id"
        )


@define(eq=False)
class DuplicateAgentError(AgentBusyError, ValueError):
    """The agent is asked twice in one batch, which nobody has allowed."""

    agent_id: str

    def __str__(self) -> str:
        return (
            f"agent '{self.agent_id}' is twice in one batch; give each request an id "
            "of its own, or allow duplicates"
        )


@define(eq=False)
class CircuitOpenError(MusterError):
    """The agent failed too often lately; ``retry_after`` is in seconds."""

    agent_id: str
    reason: str
    retry_after: float

    def __str__(self) -> str:
        return f"agent '{self.agent_id}' is not started. {self.reason}"


@define(eq=False)
class SystemHaltedError(MusterError):
    """Somebody pulled the halt; nothing starts until operations are resumed."""

    reason: str

    def __str__(self) -> str:
        return f"halted: {self.reason}; `muster resume-operations` lifts the halt"


@define(eq=False)
class JournalError(MusterError):
    """What happened can't be recorded, so nothing more is started.

    ``unrecorded`` are the results that were there and could not be kept.
    """

    problem: str
    path: str | None = None
    unrecorded: "Sequence[SpawnResult]" = ()

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


@define(eq=False)
class BudgetExceededError(MusterError):
    """A limit of the run (agents, minutes, tokens, money) is reached."""

    limit: str
    allowed: float
    needed: float

    def __str__(self) -> str:
        return f"budget '{self.limit}' allows {self.allowed:g}, {self.needed:g} needed"


@define(eq=False)
class InvalidTransitionError(MusterError):
    """A state machine can't go from ``source`` to ``target``."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"illegal transition from {self.source} to {self.target}"


@define(eq=False)
class OrchestratorError(MusterError):
    """An adapter or its machinery broke; the agent is not to blame."""

    problem: str

    def __str__(self) -> str:
        return self.problem
