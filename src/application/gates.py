"""The two doors before every attempt: its lane's, and its agent's circuit."""

from attrs import define

from muster.application.batch import Job, Route
from muster.application.fleet_context import FleetContext
from muster.domain.admission import Blocked, Outcome
from muster.domain.lane import Admitted, Lane, Parked, Wait
from muster.domain.outcome import Failure, FailureCause

_NOT_STARTED = Failure(FailureCause.CANCELLED, "not started")


@define(eq=False)
class Gates:
    """Asks lanes and circuits of a fleet, and tells them how attempts ended."""

    fleet: FleetContext

    def admit(
        self, job: Job, route: Route, lane: Lane
    ) -> Admitted | Wait | Parked | Blocked:
        """A ticket, to be settled exactly once; or who refuses, which changes nothing."""
        admission = self.fleet.lanes.admit(lane)
        if not isinstance(admission, Admitted):
            return admission
        blocked = self.pass_circuit(job, route)
        if blocked is None:
            return admission
        self.fleet.lanes.settle(lane, admission, _NOT_STARTED)
        return blocked

    def pass_circuit(self, job: Job, route: Route) -> Blocked | None:
        """Gets the job its permit, or says why there is none."""
        if job.agent is None or not route.policy.breaker_enabled:
            return None
        breaker, now = self.fleet.breaker, self.fleet.clock.monotonic()
        if job.task.is_spawn:
            breaker.mark_as_adhoc(job.agent)
        answer = breaker.admit(job.agent, now, job.permit, lease=route.probe_lease)
        if isinstance(answer, Blocked):
            return answer
        job.permit = answer
        return None

    def settle(
        self, job: Job, ticket: Admitted | None, failure: Failure | None
    ) -> None:
        """An attempt has ended: no failure is a success."""
        fleet, route = self.fleet, job.way
        if route.lane is not None and ticket is not None:
            fleet.lanes.settle(route.lane, ticket, failure)
        elif failure is not None and failure.cause is FailureCause.RATE_LIMIT:
            lane = fleet.lanes.lane(route.spec, route.model)
            fleet.lanes.note(
                lane, retry_after=failure.retry_after, resets_at=failure.resets_at
            )
        if job.agent is not None and job.permit is not None:
            verdict = Outcome.SUCCESS if failure is None else failure.cause
            fleet.breaker.settle(job.permit, verdict, fleet.clock.monotonic())
