"""What follows a failed attempt: another one, the fallback, or the end."""

from attrs import frozen

from muster.application import sessions
from muster.application.batch import BatchOptions, Job
from muster.domain import presets
from muster.domain.lane_notice import bounded_wait
from muster.domain.outcome import Failure, FailureCause
from muster.domain.recovery import RecoveryState, RecoveryStateMachine
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.retry_budget import RetryBudget
from muster.domain.spawn_policy import SpawnPolicy


@frozen
class Retry:
    """Try again after ``delay`` seconds; ``free`` attempts cost no retry."""

    delay: float
    free: bool = False


@frozen
class Amend:
    """Try again at once, and say what was wrong with the answer."""


@frozen
class AwaitToken:
    """A retry is due, but the lane's retry budget is empty."""


@frozen
class FallBack:
    """Give the agent up and ask without a persona."""


@frozen
class GiveUp:
    """The failure is the task's result. ``hint`` says what stood in the way."""

    hint: str = ""


Step = Retry | Amend | AwaitToken | FallBack | GiveUp

_LIMITS = frozenset({FailureCause.RATE_LIMIT, FailureCause.QUOTA})
# On the same tool the fallback meets the same login, model and quota.
_FALLBACK_HELPS_DESPITE = frozenset(
    {FailureCause.NOT_FOUND, FailureCause.OUTPUT_INVALID}
)


def recovery_for(
    options: BatchOptions,
    policy: SpawnPolicy,
    agent: str | None,
    *,
    default: RecoveryPolicy | None = None,
) -> RecoveryPolicy:
    """The recovery policy of one task.

    The call's, else the ``default`` of the fleet, else the spawn policy's numbers;
    overrides of the call win over all.
    """
    base = options.recovery or default
    if base is None:
        retry = policy.retry
        immediate = retry.strategy == "immediate"
        base = RecoveryPolicy(
            max_retries=max(0, retry.max_attempts - 1),
            base_delay=0.0 if immediate else retry.base_delay,
            max_delay=retry.max_delay,
            backoff_factor=1.0 if retry.strategy == "fixed" else retry.backoff_factor,
            jitter=retry.jitter,
        )
    changes: dict[str, object] = {}
    if options.retries is not None:
        changes["max_retries"] = options.retries
    if options.fallback is not None:
        changes["fallback_to_llm"] = options.fallback
    if changes:
        base = RecoveryPolicy.from_dict(base.to_dict() | changes)
    return base.for_agent(agent)


def next_step(
    job: Job,
    failure: Failure,
    *,
    now: float,
    draw: float,
    budget: RetryBudget,
    alone: bool = True,
    waits: bool = False,
) -> Step:
    """Decides what follows ``failure``; spends the budget if it says `Retry`.

    ``alone``: no other agent of the batch runs, whose end could make room. ``waits``:
    the lane is parked, and the run waits for its reset.
    """
    cause, recovery = failure.cause, job.way.recovery
    is_over = now >= job.deadline_at or job.fallback
    if recovery is None or is_over or not cause.is_agent_failure:
        return GiveUp()
    if job.task.expect is not None and cause is FailureCause.OUTPUT_INVALID:
        # Whatever the policy says: once more with the complaint, and not again.
        return Amend() if job.complaint is None else GiveUp()
    wait = bounded_wait(failure.retry_after) or 0.0
    if waits and cause in _LIMITS:
        # Back to the queue, where it waits with all others of its lane.
        delay: float | None = 0.0
        wait = 0.0
    else:
        delay = _free_delay(
            job, recovery, cause, wait=wait, now=now, draw=draw, alone=alone
        )
    if delay is not None:
        too_late = _is_too_late(job, cause, now, delay, wait)
        return GiveUp(_too_late(job, delay)) if too_late else Retry(delay, free=True)
    may_help = cause.is_retryable and cause is not FailureCause.QUOTA
    made = job.retries - (job.complaint is not None)
    if may_help and made < recovery.max_retries:
        return _retry(job, recovery, cause, wait, now=now, draw=draw, budget=budget)
    return FallBack() if may_fall_back(job, cause) else GiveUp()


def _free_delay(
    job: Job,
    recovery: RecoveryPolicy,
    cause: FailureCause,
    *,
    wait: float,
    now: float,
    draw: float,
    alone: bool,
) -> float | None:
    """Seconds until a try that costs no retry; None: it would cost one."""
    crowded = not alone and job.last is not None and job.last.was_refused
    if not (crowded or _costs_nothing(job, cause, now)):
        return None
    delay = max(wait, _delay(job, recovery, job.free_retries, draw))
    if crowded:
        # Room comes when another agent ends, and no later for the asking.
        delay = min(max(delay, presets.START_AGAIN), presets.START_AGAIN_AT_LAST)
    return delay


def may_fall_back(job: Job, cause: FailureCause) -> bool:
    """Whether a direct call could do better than the agent that failed so."""
    recovery = job.way.recovery
    if recovery is None or not recovery.fallback_to_llm or job.fallback:
        return False
    if recovery.fallback_tool is not None:
        return True
    if job.task.agent is None:
        return False
    retryable = cause.is_retryable and cause is not FailureCause.QUOTA
    return (
        retryable
        or cause in _FALLBACK_HELPS_DESPITE
        or cause is FailureCause.CIRCUIT_OPEN
    )


def machine_of(job: Job) -> RecoveryStateMachine:
    """The job's state machine, begun when the first trouble needs one."""
    if job.machine is None:
        job.machine = RecoveryStateMachine()
        job.machine.to(RecoveryState.EXECUTING)
    return job.machine


def start(machine: RecoveryStateMachine) -> None:
    """The attempt that was due begins: from now on it counts as made."""
    following = _BEGINS.get(machine.state)
    if following is not None:
        machine.to(following)


_BEGINS = {
    RecoveryState.RETRY_PENDING: RecoveryState.RETRYING,
    RecoveryState.FALLBACK_PENDING: RecoveryState.FALLBACK_EXECUTING,
    RecoveryState.CIRCUIT_OPEN: RecoveryState.FALLBACK_EXECUTING,
}


def _delay(job: Job, recovery: RecoveryPolicy, n: int, draw: float) -> float:
    return (job.way.backoff or recovery.delay)(n, draw)


def _retry(
    job: Job,
    recovery: RecoveryPolicy,
    cause: FailureCause,
    wait: float,
    *,
    now: float,
    draw: float,
    budget: RetryBudget,
) -> Step:
    delay = max(wait, _delay(job, recovery, job.retries, draw))
    if _is_too_late(job, cause, now, delay, wait):
        return GiveUp(_too_late(job, delay))
    # What never started was no load on the backend.
    refused = job.last is not None and job.last.was_refused
    return Retry(delay) if refused or budget.try_spend() else AwaitToken()


def _costs_nothing(job: Job, cause: FailureCause, now: float) -> bool:
    if sessions.was_lost(job, cause):
        return True
    # A start that met a rate limit and produced nothing was no try at all.
    if (
        cause is not FailureCause.RATE_LIMIT
        or job.last is None
        or job.last.has_produced
    ):
        return False
    if job.task.timeout is not None:
        return True
    if not job.way.spec.is_agent:
        return job.free_retries < presets.FREE_RETRIES_OF_PROGRAMS
    # Without a deadline of the task, as long as one attempt may last.
    return now < job.started_at + job.way.policy.timeout.hard_limit


def _is_too_late(
    job: Job, cause: FailureCause, now: float, delay: float, asked: float
) -> bool:
    is_parked = cause in _LIMITS and asked > presets.LANE_PARK_AFTER
    if is_parked and job.task.timeout is None:
        # Without a deadline of its own a task waits as long as one attempt may last:
        # nobody has asked for a run that sleeps for hours.
        return asked > job.way.policy.timeout.hard_limit
    return now + delay >= job.deadline_at


def _too_late(job: Job, delay: float) -> str:
    begin = f"the next try would begin in {delay:.0f} s"
    if job.task.timeout is not None or delay <= presets.LANE_PARK_AFTER:
        return f"{begin}, after the deadline"
    return f"{begin}, which only a run with --wait-for-reset waits for"
