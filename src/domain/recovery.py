"""The way of one task through attempts, retries and the fallback.

initial ─┬─ executing ─┬─ succeeded
         │             ├─ retry_pending ── retrying ─┬─ as after executing
         │             ├─ fallback_pending ── fallback_executing ─┬─ succeeded
         │             └─ failed                                  └─ failed
         └─ circuit_open ─┬─ fallback_executing
                          └─ failed

Who waits for a retry or for the fallback can still fail: its deadline passes,
it is cancelled, or (a retry) it goes to the fallback at once.
"""

from enum import StrEnum
from typing import Self

from muster.domain.errors import InvalidTransitionError


class RecoveryState(StrEnum):
    """Where a task stands; ``successors`` are the states that may come next."""

    successors: tuple[str, ...]

    def __new__(cls, value: str, successors: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.successors = tuple(successors.split())
        return member

    INITIAL = "initial", "executing circuit_open"
    EXECUTING = "executing", "succeeded retry_pending fallback_pending failed"
    RETRY_PENDING = "retry_pending", "retrying fallback_pending failed"
    RETRYING = "retrying", "succeeded retry_pending fallback_pending failed"
    FALLBACK_PENDING = "fallback_pending", "fallback_executing failed"
    FALLBACK_EXECUTING = "fallback_executing", "succeeded failed"
    CIRCUIT_OPEN = "circuit_open", "fallback_executing failed"
    SUCCEEDED = "succeeded", ""
    FAILED = "failed", ""

    @property
    def is_final(self) -> bool:
        """Whether nothing can come after it."""
        return not self.successors


class RecoveryStateMachine:
    """The recovery of one task; refuses what the drawing above does not show."""

    __slots__ = ("retry_count", "state", "used_fallback")

    def __init__(self) -> None:
        self.state = RecoveryState.INITIAL
        self.retry_count = 0
        self.used_fallback = False

    def to(self, target: RecoveryState) -> None:
        """Goes on to ``target``; raises `InvalidTransitionError` and stays otherwise."""
        # Tuples of strings: a set would call Enum.__hash__, which is Python code.
        if target not in self.state.successors:
            raise InvalidTransitionError(self.state.value, str(target))
        self.state = target
        if target is RecoveryState.RETRYING:
            self.retry_count += 1
        elif target is RecoveryState.FALLBACK_EXECUTING:
            self.used_fallback = True

    @property
    def recovery_path(self) -> list[str]:
        """What was tried after the first attempt: ``["retry:1", "retry:2", "fallback"]``."""
        path = [f"retry:{n}" for n in range(1, self.retry_count + 1)]
        return [*path, "fallback"] if self.used_fallback else path
