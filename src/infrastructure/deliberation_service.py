"""What a host builds to ask many agents at once, on this machine's clock and chance."""

from attrs import define, field

from muster.application import concurrent_deliberation
from muster.application.ports.clock import Clock
from muster.application.ports.randomness import Randomness
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.randomness import SystemRandomness


@define(eq=False)
class ConcurrentDeliberationService(
    concurrent_deliberation.ConcurrentDeliberationService
):
    """``ConcurrentDeliberationService(orchestrator, halt_checker, pool=None)``.

    Invokes agents at once, one attempt each, at most as many as the pool holds. Every
    agent has a deadline, outputs come in the order of their requests, and outputs and
    failures are together as many as the requests, always.
    """

    clock: Clock = field(factory=SystemClock, kw_only=True)
    randomness: Randomness = field(factory=SystemRandomness, kw_only=True)
