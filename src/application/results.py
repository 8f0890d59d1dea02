"""Builds the result of a task from its last attempt and its way there."""

from muster.application.batch import Job, Route
from muster.application.sessions import session_for
from muster.application.supervision import Attempt
from muster.domain.outcome import Attempt as AttemptRecord
from muster.domain.outcome import Failure, SpawnResult, Usage

_NOT_STARTED = -1


def result_of(job: Job, attempt: Attempt, took: float) -> SpawnResult:
    """The result of a task whose last attempt succeeded; ``took`` in seconds."""
    output, ended = attempt.output, attempt.ended
    task = job.task
    return SpawnResult(
        success=True,
        output="" if output is None else output.content,
        stderr="" if ended is None else ended.stderr,
        exit_code=(ended and ended.exit_code) or 0,
        task_index=job.index,
        task_id=task.task_id,
        agent=task.agent,
        tool=job.way.spec.name,
        fallback=job.fallback,
        original_agent=task.agent if job.fallback else None,
        retry_count=job.retries,
        attempts=job.attempts,
        timeout_extended=attempt.extended,
        execution_time=took,
        usage=attempt.usage if len(job.attempts) == 1 else _usage(job),
        truncated=ended is not None and ended.truncated,
        output_path=ended.output_path if ended else None,
        simulated=output is not None and output.simulated,
        leftovers=ended.leftovers if ended else 0,
        requested_model=job.way.model,
        served_models=attempt.served_models,
        denied=attempt.denied,
    )


def failed_result(job: Job, failure: Failure, took: float) -> SpawnResult:
    """The result of a task that ends with ``failure``; what was written is kept."""
    outcome = job.last
    ended = outcome.ended if outcome else None
    early = outcome is not None and outcome.early
    code = ended.exit_code if ended else None
    return SpawnResult(
        success=False,
        output=ended.output if ended else "",
        stderr=ended.stderr if ended else "",
        error=failure.message,
        exit_code=_NOT_STARTED if code is None else code,
        task_index=job.index,
        task_id=job.task.task_id,
        agent=job.task.agent,
        tool=job.route.spec.name if job.route else None,
        fallback=job.fell_back,
        original_agent=job.task.agent if job.fell_back else None,
        retry_count=job.retries,
        attempts=job.attempts,
        termination_reason=failure.message if early else None,
        timeout_extended=outcome is not None and outcome.extended,
        execution_time=took,
        failure=failure,
        usage=_usage(job),
        truncated=ended is not None and ended.truncated,
        output_path=ended.output_path if ended else None,
        simulated=job.route is not None
        and job.route.orchestrator.capabilities.simulated,
        leftovers=ended.leftovers if ended else 0,
        requested_model=job.route.model if job.route else None,
        served_models=outcome.served_models if outcome else (),
        denied=outcome.denied if outcome else (),
    )


def attempt_record(
    job: Job, route: Route, attempt: Attempt, started_at: float
) -> AttemptRecord:
    """What is kept of a job's latest attempt; ``started_at`` in epoch seconds."""
    ended = attempt.ended
    return AttemptRecord(
        len(job.attempts) + 1,
        job.agent,
        route.spec.name,
        started_at,
        attempt.duration,
        None if ended is None else ended.exit_code,
        attempt.failure,
        job.delay_before,
        job.fallback,
        attempt.session_id,
        attempt.usage,
        session_for(job, route),
    )


def _usage(job: Job) -> Usage | None:
    total: Usage | None = None
    for attempt in job.attempts:
        if attempt.usage is not None:
            total = attempt.usage if total is None else total + attempt.usage
    return total
