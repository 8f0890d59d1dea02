"""What a council tells while it deliberates. What members said is told once it is committed."""

from attrs import frozen

from muster.domain.council import Phase
from muster.domain.deliberation import Ballot, Round, Verdict
from muster.domain.outcome import Failure


@frozen
class RoundBegan:
    """The members are about to be asked."""

    number: int
    phase: Phase


@frozen
class StatementCommitted:
    """A member's answer is recorded; of a vote, ``ballot`` is what was read in it.

    ``recalled``: it was committed before this council was taken up.
    """

    number: int
    phase: Phase
    member: str
    content: str
    ballot: Ballot | None = None
    again: bool = False
    recalled: bool = False


@frozen
class MemberAbsent:
    """A member has no answer in this round."""

    number: int
    phase: Phase
    member: str
    failure: Failure
    recalled: bool = False


@frozen
class AskedAgain:
    """The votes of these members could not be read."""

    number: int
    members: tuple[str, ...]


@frozen
class RoundEnded:
    """All have answered or failed."""

    round: Round


@frozen
class Concluded:
    """The council is done."""

    verdict: Verdict


CouncilEvent = (
    RoundBegan | StatementCommitted | MemberAbsent | AskedAgain | RoundEnded | Concluded
)
