"""Which conversation an attempt continues, where its tool can.

An agent that was cut off in its work goes on where it was. One that had produced
nothing, whose context is full, or whose session its tool no longer knows, starts over.
"""

from typing import Final

from muster.application.batch import Job, Route
from muster.domain.outcome import Failure, FailureCategory, FailureCause, Usage

_CUT_OFF: Final = frozenset(
    (
        FailureCause.CRASH,
        FailureCause.KILLED,
        FailureCause.QUOTA,
        FailureCause.OUT_OF_MEMORY,
        FailureCause.DISK_FULL,
    )
)
_LOST: Final = frozenset(
    (FailureCause.NOT_FOUND, FailureCause.INVALID_REQUEST, FailureCause.CRASH)
)


def session_for(job: Job, route: Route) -> str | None:
    """The session that the next attempt of a job continues; None begins a new one."""
    if not route.spec.session_resume_args or job.fallback:
        return None
    return job.session_id


def used_in_session(job: Job, session_id: str) -> Usage | None:
    """What the job's attempts have told of their use of the session; None: not all is known.

    A tool that counts its whole session each time is charged with the rest: also with
    what an attempt used up that ended before it told.
    """
    if session_id == job.task.session_id:
        # Begun by somebody else.
        return None
    total = Usage()
    for attempt in job.attempts:
        if attempt.session_id == session_id and attempt.usage is not None:
            total += attempt.usage
    return total


def remember(job: Job, failure: Failure) -> None:
    """Keeps the session of the attempt that failed, if it is worth going on with."""
    goes_on = failure.cause in _CUT_OFF or failure.category in (
        FailureCategory.TRANSIENT,
        FailureCategory.TIMEOUT,
    )
    last = job.last
    if not goes_on or was_lost(job, failure.cause):
        job.session_id = None
    elif last is not None and last.has_produced and last.session_id is not None:
        job.session_id = last.session_id


def was_lost(job: Job, cause: FailureCause) -> bool:
    """Whether the last attempt failed because its tool can't continue the session."""
    last = job.last
    return (
        bool(job.attempts)
        and job.attempts[-1].continued is not None
        and cause in _LOST
        and last is not None
        and not last.has_produced
    )
