"""Whether the account behind a lane is logged in, and who finds out.

A refused login refuses everybody, and some tools take minutes to say so. While it is
in doubt one agent goes first, the *probe*, and the others wait for its first sign of
life or its end. In doubt are a login that nobody has proved yet, where the tool's spec
asks for that, and every login of which an agent was told that it is none.
"""

from attrs import define, field

from muster.domain import presets


@define(eq=False)
class LoginDoubt:
    """``proof_after`` seconds of a first agent without a refusal prove a login; 0 trusts it."""

    proof_after: float = 0.0
    refusals: int = field(default=0, init=False)
    is_open: bool = field(init=False)
    _probe: int | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.is_open = self.proof_after > 0

    @property
    def must_wait(self) -> bool:
        """Whether somebody is finding out just now."""
        return self.is_open and self._probe is not None

    def started(self, number: int) -> None:
        """An attempt was let in: in doubt it is the probe."""
        if self.is_open:
            self._probe = number

    def patience(self, number: int) -> float | None:
        """How long a probe may be silent before the others go on; None: it is none."""
        if not self.is_open or number != self._probe:
            return None
        return presets.LOGIN_PROBE if self.refusals else self.proof_after

    def proved(self, number: int) -> bool:
        """The probe is getting on: whether that ends a doubt."""
        if not self.is_open or number != self._probe:
            return False
        self.is_open, self._probe = False, None
        return True

    def refused(self, number: int) -> int:
        """It was told that nobody is logged in; how many were, in a row."""
        self.refusals += 1
        self.is_open = True
        self._over(number)
        return self.refusals

    def accepted(self, number: int) -> None:
        """It has succeeded: whatever was feared is over."""
        self.refusals = 0
        self.is_open, self._probe = False, None

    def ended(self, number: int, *, says_something: bool) -> None:
        """It has ended in another way; ``says_something``: by a failure of its own."""
        if says_something:
            # Nobody gets as far as a rate limit without a login; and a tool that
            # crashes must not crash for one agent after the other.
            self.refusals = 0
            self.proved(number)
        self._over(number)

    def forget(self) -> None:
        """A person has acted."""
        self.refusals = 0
        self.is_open, self._probe = self.proof_after > 0, None

    def _over(self, number: int) -> None:
        if self._probe == number:
            self._probe = None
