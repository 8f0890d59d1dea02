"""What a batch of agents that are asked at once tells while it works."""

from attrs import frozen

from muster.domain.concurrent_result import AgentFailure
from muster.domain.task import AgentOutput, AgentRequest


@frozen
class AgentInvoked:
    """An agent is about to be invoked; it holds a slot of the pool."""

    batch_id: str
    request: AgentRequest


@frozen
class AgentAnswered:
    """An agent's answer is there, and recorded where there is a witness."""

    batch_id: str
    request: AgentRequest
    output: AgentOutput


@frozen
class AgentFailed:
    """An agent will not answer."""

    batch_id: str
    request: AgentRequest
    failure: AgentFailure


DeliberationEvent = AgentInvoked | AgentAnswered | AgentFailed
