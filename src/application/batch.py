"""What a batch of tasks is asked to do, and what is kept of each task meanwhile."""

from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Protocol

from attrs import define, field, frozen

from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.application.supervision import Attempt as RunningAttempt
from muster.domain.agent_profile import AgentProfile
from muster.domain.budget import Budget, BudgetLimits, Cost, Reservation, Spent
from muster.domain.circuit_breaker import Permit
from muster.domain.kinds import must_be, must_be_callable
from muster.domain.lane import Lane
from muster.domain.outcome import Attempt, Failure, SpawnResult
from muster.domain.recovery import RecoveryStateMachine
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.task import SpawnTask
from muster.domain.tool import ToolSpec

OnProgress = Callable[[int, int, str, str], object]
OnRecovery = Callable[[int, str, int, bool], object]
OnOutput = Callable[[str], object]

_TOOL = must_be(
    "a name, a path or a ToolSpec", str, ToolSpec, error=TypeError, name="tool"
)
_TEXT = must_be("a name", str, error=TypeError, name="model")
_POLICY = must_be(
    "a SpawnPolicy or the name of a preset", str, SpawnPolicy, error=TypeError
)
_RECOVERY = must_be(
    "a RecoveryPolicy (RecoveryPolicy.preset(NAME) makes one)",
    RecoveryPolicy,
    error=TypeError,
    name="recovery_policy",
)


@frozen
class BatchOptions:
    """How a batch runs. ``recovery=None`` makes exactly one attempt per task.

    ``retries`` and ``fallback`` override what the recovery policy says;
    ``total`` is the number of tasks where it is known. ``tool`` and ``model`` win
    over what a task says, ``default_tool`` and ``default_model`` don't. ``limits``
    (None: the fleet's) are those of the whole batch, ``spent`` counts against them, and
    ``costs`` by task id say what an attempt used before.
    """

    max_concurrent: int
    tool: str | ToolSpec | None = field(default=None, validator=_TOOL)
    model: str | None = field(default=None, validator=_TEXT)
    policy: SpawnPolicy | str | None = field(default=None, validator=_POLICY)
    recovers: bool = False
    recovery: RecoveryPolicy | None = field(default=None, validator=_RECOVERY)
    retries: int | None = None
    fallback: bool | None = None
    stagger: float = 0.0
    total: int | None = None
    default_tool: str | ToolSpec | None = field(default=None, validator=_TOOL)
    default_model: str | None = field(default=None, validator=_TEXT)
    on_progress: OnProgress | None = field(default=None, validator=must_be_callable)
    on_recovery: OnRecovery | None = field(default=None, validator=must_be_callable)
    on_output: OnOutput | None = field(default=None, validator=must_be_callable)
    limits: BudgetLimits | None = None
    spent: Spent | None = None
    costs: Mapping[str, Cost] = field(factory=dict)


@frozen(eq=False)
class Route:
    """What all tasks of one kind have in common. Seconds.

    ``lane``, ``recovery`` and ``backoff`` (retry, draw -> delay) are None in a batch
    that makes one attempt per task.
    """

    spec: ToolSpec
    orchestrator: AgentOrchestrator
    model: str | None
    policy: SpawnPolicy
    first_look: float
    probe_lease: float
    lane: Lane | None = None
    recovery: RecoveryPolicy | None = None
    backoff: Callable[[int, float], float] | None = None
    persona: str = ""
    profile: AgentProfile | None = None


@define(eq=False)
class Job:
    """One task on its way to its result. Moments are the loop's time."""

    index: int
    task: SpawnTask
    route: Route | None = None
    machine: RecoveryStateMachine | None = None
    agent: str | None = None
    started_at: float = 0.0
    deadline_at: float = inf
    attempts: tuple[Attempt, ...] = ()
    permit: Permit | None = None
    fallback: bool = False
    free_retries: int = 0
    delay_before: float = 0.0
    last_failure: Failure | None = None
    last: RunningAttempt | None = None
    running: RunningAttempt | None = None
    session_id: str | None = None
    first_failed_at: float | None = None
    awaits_token: bool = False
    doomed: Failure | None = None
    context: str = ""
    has_ended: bool = False
    complaint: str | None = None
    budget: Budget | None = None
    held: tuple[tuple[Budget, Reservation], ...] = ()
    overdrawn: TimerHandle | None = None
    prove: Callable[[], object] | None = None
    proof: TimerHandle | None = None

    def remember(self, failure: Failure, now: float) -> None:
        """An attempt has failed."""
        self.last_failure = failure
        if self.first_failed_at is None:
            self.first_failed_at = now

    def __attrs_post_init__(self) -> None:
        self.session_id = self.session_id or self.task.session_id

    @property
    def agent_id(self) -> str:
        """What reports call the agent of this task."""
        return self.task.agent or "llm"

    @property
    def way(self) -> Route:
        """The route, of a job that has one."""
        assert self.route is not None  # noqa: S101 - set before any attempt
        return self.route

    @property
    def fell_back(self) -> bool:
        """Whether the last attempt was the fallback's; one that is only due is none."""
        return bool(self.attempts) and self.attempts[-1].fallback

    @property
    def retries(self) -> int:
        """Real retries so far."""
        return self.machine.retry_count if self.machine else 0


class BatchObserver(Protocol):
    """Whoever keeps books over a batch."""

    def attempt_ended(self, job: Job, outcome: RunningAttempt) -> None:
        """An attempt of a job is over."""
        ...

    def blocked(self, job: Job, reason: str) -> None:
        """A circuit was open; nothing was started."""
        ...

    def ended(self, job: Job, result: SpawnResult) -> None:
        """A task has its result."""
        ...


@define(eq=False)
class Tally:
    """The true numbers of a tracked batch, in the vocabulary of its metadata."""

    health_status: Callable[[str], dict[str, object]]
    is_adhoc: Callable[[str | None], bool]
    fallback_count: int = 0
    spawned_agents: list[str] = field(factory=list)
    retried_tasks: list[dict[str, object]] = field(factory=list)
    early_terminations: list[dict[str, object]] = field(factory=list)
    circuit_blocked: list[dict[str, object]] = field(factory=list)
    _signs: dict[int, dict[str, Any]] = field(factory=dict, init=False)
    failed_tasks: int = 0
    total_tasks: int = 0

    def attempt_ended(self, job: Job, outcome: RunningAttempt) -> None:
        """Books an early end and the life signs of an attempt."""
        failure = outcome.failure
        if outcome.early and failure is not None:
            self.early_terminations.append(
                {
                    "agent_id": job.agent_id,
                    "task_index": job.index,
                    "reason": failure.message,
                    "detection_time": round(failure.detection_time_ms or 0.0, 3),
                }
            )
        signs = self._signs.setdefault(
            job.index,
            {
                "task_index": job.index,
                "agent_id": job.agent_id,
                "event_count": 0,
                "elapsed_s": 0.0,
                "idle_s": 0.0,
            },
        )
        signs["event_count"] += outcome.events
        signs["elapsed_s"] = round(signs["elapsed_s"] + outcome.duration, 6)
        signs["idle_s"] = round(outcome.idle, 6)

    def blocked(self, job: Job, reason: str) -> None:
        """Books a start that an open circuit prevented."""
        self.circuit_blocked.append(
            {
                "agent_id": job.agent_id,
                "task_index": job.index,
                "reason": reason,
                "health_status": self.health_status(job.agent_id),
            }
        )

    def ended(self, job: Job, result: SpawnResult) -> None:
        """Books a result."""
        self.total_tasks += 1
        self.failed_tasks += not result.success
        self.fallback_count += result.fallback
        agent = job.task.agent
        if agent is None or job.task.is_spawn or self.is_adhoc(agent):
            self.spawned_agents.append(job.agent_id)
        if result.retry_count:
            self.retried_tasks.append(
                {
                    "agent_id": job.agent_id,
                    "task_index": job.index,
                    "retries": result.retry_count,
                }
            )

    def metadata(self, duration: float) -> dict[str, object]:
        """All keys of the metadata; lists in the order of the tasks. ``duration`` in s."""
        return {
            "total_tasks": self.total_tasks,
            "failed_tasks": self.failed_tasks,
            "fallback_count": self.fallback_count,
            "spawn_count": len(self.spawned_agents),
            "spawned_agents": self.spawned_agents,
            "retried_tasks": _in_order(self.retried_tasks),
            "early_terminations": _in_order(self.early_terminations),
            "circuit_blocked": _in_order(self.circuit_blocked),
            "circuit_blocked_count": len(self.circuit_blocked),
            "heartbeat_metrics": _in_order(list(self._signs.values())),
            "total_duration_ms": duration * 1000,
        }


def _in_order(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(rows, key=lambda row: int(str(row["task_index"])))
