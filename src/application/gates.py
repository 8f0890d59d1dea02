"""The two doors before every attempt: its lane's, and its agent's circuit."""

import asyncio
from functools import partial

from attrs import define

from muster.application.batch import Job, Route
from muster.application.fleet_context import FleetContext
from muster.domain import presets
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

    def begin(self, job: Job, ticket: Admitted | None) -> bool:
        """An attempt begins; whether others wait for its first sign of life."""
        lane = job.way.lane
        patience = lane and ticket and lane.login_patience(ticket)
        if not (lane and ticket and patience):
            return False
        job.prove = partial(self.fleet.lanes.prove, lane, ticket)
        job.proof = asyncio.get_running_loop().call_later(patience, job.prove)
        return True

    def asks_again_at(self, job: Job, parked: Parked, now: float) -> float | None:
        """When a parked lane is asked again; None: the job doesn't wait for it."""
        if not self.fleet.waits_for_reset or parked.resets_at is None:
            return None
        wait = max(parked.resets_at - self.fleet.clock.epoch(), presets.RESET_TICK)
        if now + wait >= job.deadline_at:
            return None
        # A machine that slept counts no monotonic time: it looks now and then.
        return now + min(wait, presets.RESET_LOOK)

    def waits_for_reset(self, lane: Lane) -> bool:
        """Whether the lane is parked until a moment for which the run waits."""
        if not self.fleet.waits_for_reset:
            return False
        parked = self.fleet.lanes.parked(lane)
        return parked is not None and parked.resets_at is not None

    def settle(
        self, job: Job, ticket: Admitted | None, failure: Failure | None
    ) -> None:
        """An attempt has ended: no failure is a success."""
        fleet, route = self.fleet, job.way
        if job.proof is not None:
            job.proof.cancel()
            job.proof = job.prove = None
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
