"""What a child is to its owner, whichever containment holds it."""

import asyncio
import errno
import os
from collections.abc import Mapping
from typing import Literal, Protocol

from attrs import frozen

Stage = Literal["exec", "cwd", "fork"]


@frozen(slots=True)
class Launch:
    """A program to start.

    The three descriptors are the child's side. A containment never closes them: the
    caller does, after `Containment.start` has returned or raised. `cwd=None` is the
    host's own folder at the time of the start.
    """

    argv: tuple[str, ...]
    executable: str  # an absolute path
    env: Mapping[str, str]
    cwd: str | None
    stdin: int
    stdout: int
    stderr: int
    stop_signal: int
    grace: float


@frozen(slots=True)
class Gone:
    """How the family ended.

    `leftovers`: processes that outlived the leader and were ended by us.
    `unkillable`: pids that SIGKILL did not end within the bound; they are still tried.
    `lost`: the keeper itself was killed, and the family with it.
    """

    leftovers: int = 0
    unkillable: tuple[int, ...] = ()
    lost: bool = False


class LaunchError(OSError):
    """A child was not started: `errno`, `filename` (program or folder) and the `stage`."""

    def __init__(self, code: int, filename: str | None, stage: Stage) -> None:
        super().__init__(code, os.strerror(code), filename)
        self.stage = stage

    def __reduce__(self) -> tuple[type["LaunchError"], tuple[int, str | None, Stage]]:
        return LaunchError, (self.errno or errno.EIO, self.filename, self.stage)


class Child(Protocol):
    """A started program and everything that it starts."""

    @property
    def pid(self) -> int:
        """The leader's process id; also its group's and session's."""

    @property
    def exited(self) -> "asyncio.Future[int]":
        """The leader's exit code (negative: a signal), set as soon as it is known."""

    @property
    def gone(self) -> "asyncio.Future[Gone]":
        """Set when nobody of the family is left, or some were given up. After `exited`."""

    def stop(self, grace: float) -> None:
        """Politely: the stop signal to the group, `grace`, then SIGKILL to the descent.

        Idempotent; a later call may only shorten what is left of the grace.
        """

    def kill(self) -> None:
        """End the whole descent at once."""

    def vitals(self) -> float | None:
        """CPU seconds used by the family so far; None where that can't be told."""


class Containment(Protocol):
    """A way to start children so that their families can be ended. Bound to one loop."""

    async def start(self, launch: Launch) -> Child:
        """Start a program; raise `OSError` (`LaunchError`) when that fails.

        Starts are paced, so that many at once don't stall the loop. When cancelled,
        nothing is left behind: a child that was started meanwhile is killed first.
        """

    async def aclose(self) -> None:
        """Kill what still runs and let go of everything. May be called twice."""
