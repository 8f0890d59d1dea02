"""The one port for every kind of agent: run it, report what happens, stop it."""

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from muster.domain.events import AgentEvent
from muster.domain.task import AgentOutput, AgentRequest

Report = Callable[[AgentEvent], None]


@frozen
class Capabilities:
    """What an adapter can do, so that nobody has to ask for its type.

    ``simulated`` answers come from no agent and are stamped as such;
    ``isolates_processes`` says that what an agent starts ends with it; one that
    ``takes_profiles`` tells its agents who they are, from ``request.profile``: the
    persona then does not stand before the prompt.
    """

    name: str
    simulated: bool = False
    isolates_processes: bool = False
    takes_profiles: bool = False


class AgentOrchestrator(Protocol):
    """Runs agents of one kind.

    Supervision is not its job: deadlines and verdicts come from outside, as a
    cancellation of `invoke`.
    """

    capabilities: Capabilities

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """The answer; ``report`` is called as things happen, `AgentEnded` last.

        Raises one `AgentInvocationError` whose ``failure`` says what is known.
        Cancelling ends the agent and everything it started before it returns,
        within ``request.grace`` + 0.5 s; a second cancellation changes nothing.
        """
        ...

    async def aclose(self) -> None:
        """Ends what is left. Calling it again does nothing."""
        ...
