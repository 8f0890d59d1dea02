"""The closed set of what a fleet tells the world while it works.

Every event carries ``task_index`` (position in the input) and ``agent``; the
sink adds the run id and the time. Durations are seconds.
"""

from attrs import frozen

from muster.domain.outcome import Failure, SpawnResult


@frozen
class AttemptStarted:
    """An agent is being started for a task."""

    task_index: int
    task_id: str | None
    agent: str
    tool: str
    attempt: int
    fallback: bool = False
    pid: int | None = None


@frozen
class AttemptProgressed:
    """The agent completed a line of stdout; sent only where somebody wants the content."""

    task_index: int
    task_id: str | None
    agent: str
    last_line: str
    total_bytes: int


@frozen
class SilenceWarned:
    """Half of the allowed silence is over; once per episode."""

    task_index: int
    task_id: str | None
    agent: str
    silent_for: float
    limit: float


@frozen
class AttemptEnded:
    """An attempt is over, and with it everything that the agent had started."""

    task_index: int
    task_id: str | None
    agent: str
    attempt: int
    duration: float
    failure: Failure | None
    leftovers: int = 0


@frozen
class RetryScheduled:
    """The task will be tried again after ``delay`` seconds.

    A ``free`` attempt is no further retry: ``retry`` counts those made so far.
    """

    task_index: int
    task_id: str | None
    agent: str
    retry: int
    delay: float
    failure: Failure
    free: bool = False


@frozen
class FallbackStarted:
    """The named agent is given up; the task goes to a direct call."""

    task_index: int
    task_id: str | None
    agent: str
    reason: str


@frozen
class CircuitBlocked:
    """The agent's circuit is open: nothing was started."""

    task_index: int
    task_id: str | None
    agent: str
    reason: str


@frozen
class LaneSlowed:
    """A lane waits: for its pace, a retry-after, a reset or its breaker."""

    lane: str
    reason: str
    wait: float


@frozen
class LaneParked:
    """A lane is closed until ``resets_at`` (epoch seconds) or until a person acts.

    ``wait``: the run waits for it, so many seconds; None: it goes on without.
    """

    lane: str
    reason: str
    resets_at: float | None
    wait: float | None = None


@frozen
class TaskEnded:
    """A task has its result."""

    result: SpawnResult


FleetEvent = (
    AttemptStarted
    | AttemptProgressed
    | SilenceWarned
    | AttemptEnded
    | RetryScheduled
    | FallbackStarted
    | CircuitBlocked
    | LaneSlowed
    | LaneParked
    | TaskEnded
)
