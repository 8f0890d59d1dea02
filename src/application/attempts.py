"""Prepares one attempt of a job: what is asked of the agent, and who watches it."""

from math import inf

from attrs import evolve

from muster.application.batch import Job, Route
from muster.application.expecting import Expecting
from muster.application.fleet_context import FleetContext
from muster.application.observer import Observer
from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.application.ports.clock import Clock
from muster.application.pricing import Pricing
from muster.application.sessions import session_for, used_in_session
from muster.application.supervision import Attempt
from muster.domain import reset_time
from muster.domain.expectation import with_complaint
from muster.domain.outcome import Failure, FailureCause
from muster.domain.task import AgentRequest


def attempt_of(
    job: Job, route: Route, fleet: FleetContext, observer: Observer | None
) -> Attempt:
    """The next attempt of a job, not begun."""
    spec = route.spec
    return Attempt(
        policy=route.policy,
        first_look=route.first_look,
        deadline_at=job.deadline_at,
        deadline_failure=None if job.deadline_at == inf else too_late(job),
        judges_stderr=not spec.is_structured,
        silent_until_done=spec.silent_until_done,
        structured=spec if spec.is_structured else None,
        strict_model=route.model if fleet.strict_model else None,
        observer=observer,
        looks=fleet.first_looks,
        pricing=Pricing(fleet.prices, spec, route.model) if fleet.prices else None,
    )


def request_of(
    job: Job, route: Route, fleet: FleetContext, *, wants_output: bool
) -> AgentRequest:
    """What the orchestrator gets."""
    task = job.task
    path = None
    if fleet.journal is not None and task.task_id:
        path = fleet.journal.output_path(task.task_id)
    session_id = session_for(job, route)
    return AgentRequest(
        job.agent_id,
        prompt=_prompt(job, route),
        request_id=task.task_id,
        agent=job.agent,
        tool=route.spec,
        model=route.model,
        profile=route.profile if job.agent else None,
        cwd=task.cwd,
        env=task.env,
        task_id=task.task_id,
        run_id=fleet.run_id,
        attempt=len(job.attempts) + 1,
        session_id=session_id,
        session_usage=used_in_session(job, session_id) if session_id else None,
        output_path=path,
        grace=route.policy.termination.grace,
        wants_output=wants_output,
    )


def _prompt(job: Job, route: Route) -> str:
    prompt = job.task.prompt
    persona = route.persona if job.agent else ""
    if route.spec.interprets:
        # It would be run, not read.
        return persona + prompt
    if job.complaint is not None:
        prompt = with_complaint(prompt, job.complaint)
    return persona + job.context + prompt


def orchestrator_of(
    job: Job, route: Route, fleet: FleetContext
) -> AgentOrchestrator | Expecting:
    """Who runs the agent: the route's orchestrator, which may have to be believed."""
    expect = job.task.expect
    if expect is None:
        return route.orchestrator
    return Expecting(route.orchestrator, job.task, expect, fleet.inspector)


def dated(failure: Failure | None, clock: Clock) -> Failure | None:
    """``failure``, with the moment at which its limit ends if its text names one."""
    if failure is None:
        return None
    return reset_time.dated(failure, clock.epoch(), clock.zone_offset)


def too_late(job: Job) -> Failure:
    """The task's own time is over."""
    limit = job.task.timeout or 0.0
    return Failure(
        FailureCause.DEADLINE,
        f"Deadline: not done within {limit:g} s",
        detection_time_ms=limit * 1000,
    )


def unaffordable(job: Job, refusal: Failure) -> Failure:
    """Why the attempt that was due is not made; of a budget, with what was before."""
    before = job.last_failure
    if before is None or refusal.cause is not FailureCause.BUDGET:
        return refusal
    return evolve(refusal, message=f"{refusal.message} (before: {before.message})")
