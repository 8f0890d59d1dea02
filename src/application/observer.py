"""Who wants to know what happens inside an attempt."""

from muster.domain.events import RateLimited, RetryAnnounced
from muster.domain.health import SilenceWarning
from muster.domain.outcome import Usage


class Observer:
    """Who wants to know what happens in an attempt; this one wants nothing."""

    wants_output = False

    def line(self, line: str) -> None:
        """A line of stdout is complete; called only if ``wants_output``."""

    def output(self, stream: str, total: int) -> None:
        """Something was written; ``total`` bytes so far."""

    def silent(self, warning: SilenceWarning) -> None:
        """Half of the allowed silence is over."""

    def rate_limited(self, event: RateLimited) -> None:
        """The backend limits the agent, which goes on."""

    def retrying(self, event: RetryAnnounced) -> None:
        """The tool tries again by itself."""

    def alive(self) -> None:
        """The agent has said or done something: its backend has taken it in."""

    def usage(self, usage: Usage) -> None:
        """What the attempt has used so far."""

    def session(self, session_id: str) -> None:
        """The tool has named the conversation, by which it can be continued."""
