"""Containment "group": a session per child, started by the host itself, no helper.

Nothing is promised for a process that leaves the group (most are found when the agent
is stopped, none is looked for when it ends well), nor when the host is killed.
Costs a pidfd and a reader per child, no thread; asyncio's own costs a thread before 3.12.
"""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from typing import Final

from muster.domain import presets
from muster.infrastructure.adapters.local_process import processes, vitals
from muster.infrastructure.adapters.local_process.child import (
    Gone,
    Launch,
    LaunchError,
    Stage,
)

UNKNOWN_CODE: Final = 255  # somebody else reaped the child, or SIGCHLD is ignored
LOOK: Final = 0.02  # at a group without a leader: nothing tells when it is empty


class GroupChild:
    """A child whose group is signalled."""

    __slots__ = (
        "_due",
        "_leftovers",
        "_loop",
        "_owner",
        "_pidfd",
        "_seen",
        "_stage",
        "_stop_signal",
        "_timer",
        "exited",
        "gone",
        "pid",
    )

    def __init__(self, owner: "GroupContainment", pid: int, stop_signal: int) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._owner = owner
        self.pid = pid
        self._stop_signal = stop_signal
        self.exited: asyncio.Future[int] = loop.create_future()
        self.gone: asyncio.Future[Gone] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._stage = "running"
        self._due = float("inf")
        self._seen: dict[int, bytes] = {}
        self._leftovers: set[int] = set()
        self._pidfd = open_pidfd(pid)
        if self._pidfd >= 0:
            loop.add_reader(self._pidfd, self._on_exit)
        else:
            self._look_for_exit()

    def stop(self, grace: float) -> None:
        if self.gone.done() or self._stage == "killing":
            return
        if self._stage != "stopping":
            self._stage = "stopping"
            self._record()
            if self.exited.done():
                grace = min(grace, presets.LEFTOVER_GRACE)
                self._signal(signal.SIGTERM)
            else:
                self._signal(self._stop_signal)
            self._signal(signal.SIGCONT)
        self._escalate_in(grace)

    def kill(self) -> None:
        if not self.gone.done() and self._stage != "killing":
            self._record()
            self._escalate()

    def vitals(self) -> float | None:
        if self.exited.done():
            return None
        return vitals.cpu_seconds(self.pid, with_root=True)

    def _look_for_exit(self) -> None:
        done = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if done is None:
            self._loop.call_later(LOOK, self._look_for_exit)
        else:
            self._on_exit()

    def _on_exit(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        try:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            code = UNKNOWN_CODE
        self.exited.set_result(code)
        if self._is_empty():
            self._end(())
            return
        if self._stage == "running":
            self._stage = "draining"
            self._escalate_in(presets.DRAIN)
        elif self._stage == "stopping":
            self._escalate_in(presets.LEFTOVER_GRACE)
        self._loop.call_later(LOOK, self._look)

    def _is_empty(self) -> bool:
        if any(processes.stat(p)[19:20] == [b] for p, b in self._seen.items()):
            return not self._members()
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def _look(self) -> None:
        if self.gone.done():
            return
        if not self._members():
            self._end(())
            return
        self._loop.call_later(LOOK, self._look)

    def _members(self) -> dict[int, bytes]:
        """Who is left of the session, and of the descent that was seen when we stopped.

        With the leader reaped, a process of its number is a stranger with the number
        used again: then nobody is left of the session.
        """
        left = {p: b for p, b in self._seen.items() if is_same(p, b)}
        # Looked for when there is no other way only: it reads all of /proc.
        if self.exited.done() and not processes.stat(self.pid):
            left |= processes.session(self.pid)
        return left

    def _record(self) -> None:
        """Who leaves the session from now on is still known."""
        if not self.exited.done():
            for pid in processes.descent(self.pid):
                fields = processes.stat(pid)
                if fields:
                    self._seen[pid] = fields[19]

    def _signal(self, number: int) -> None:
        if not self.exited.done():
            # Unreaped, so the number and the group are still the child's.
            with contextlib.suppress(OSError):
                os.killpg(self.pid, number)
            if number != signal.SIGKILL:
                return
        for pid, born in self._members().items():
            if self.exited.done():
                self._leftovers.add(pid)
            processes.send_signal(pid, number, lambda fields, b=born: fields[19] == b)  # type: ignore[misc]

    def _escalate_in(self, seconds: float) -> None:
        due = self._loop.time() + seconds
        if due >= self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._escalate)

    def _escalate(self) -> None:
        self._timer, self._due = None, float("inf")
        if self.gone.done():
            return
        if self._stage == "draining":
            self.stop(presets.LEFTOVER_GRACE)
            return
        if self._stage == "killing":
            self._end(tuple(self._members()))
            return
        self._stage = "killing"
        self._signal(signal.SIGKILL)
        self._escalate_in(presets.KILL_BOUND)
        self._loop.call_later(LOOK, self._kill_again)

    def _kill_again(self) -> None:
        """What was forked between our look and our signal."""
        if not self.gone.done():
            self._signal(signal.SIGKILL)
            self._loop.call_later(LOOK, self._kill_again)

    def _end(self, unkillable: tuple[int, ...]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.forget(self)
        if not self.exited.done():  # in an uninterruptible sleep
            if self._pidfd >= 0:
                self._loop.remove_reader(self._pidfd)
                os.close(self._pidfd)
            self.exited.set_result(-signal.SIGKILL)
        self.gone.set_result(Gone(len(self._leftovers), unkillable))


class GroupContainment:
    """A `Containment` without helper processes."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(presets.STARTS_PER_TURN)
        self._children: set[GroupChild] = set()
        self._closed = False

    async def start(self, launch: Launch) -> GroupChild:
        await self._turns.acquire()
        # Given back in the next round of the loop: so many starts, then others' turn.
        asyncio.get_running_loop().call_soon(self._turns.release)
        if self._closed:
            raise LaunchError(errno.ESHUTDOWN, launch.executable, "fork")
        child = GroupChild(self, start_process(launch), launch.stop_signal)
        self._children.add(child)
        return child

    async def aclose(self) -> None:
        self._closed = True
        for child in [*self._children]:
            child.kill()
        pending = [child.gone for child in self._children]
        if pending:
            await asyncio.wait(pending, timeout=presets.KILL_BOUND * 2)

    def forget(self, child: GroupChild) -> None:
        self._children.discard(child)


def start_process(launch: Launch) -> int:
    """The pid of a started program."""
    try:
        process = subprocess.Popen(  # noqa: S603
            launch.argv,
            executable=launch.executable,
            env=launch.env,
            cwd=launch.cwd,
            stdin=launch.stdin,
            stdout=launch.stdout,
            stderr=launch.stderr,
            start_new_session=True,
        )
    except ValueError as error:  # a NUL, or a variable without a name
        raise LaunchError(errno.EINVAL, launch.executable, "exec") from error
    except OSError as error:
        raise failure(error, launch) from error
    # We wait for it ourselves. The object, 1.5 KB that no longer serve, would put
    # itself into a global list when it is dropped.
    process.returncode = 0
    return process.pid


def failure(error: OSError, launch: Launch) -> LaunchError:
    code = error.errno or errno.EIO
    stage: Stage = "exec"
    same = launch.cwd == launch.executable
    if error.filename == launch.cwd and (code == errno.ENOTDIR or not same):
        stage = "cwd"
    elif code in {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}:
        stage = "fork"
    filename = launch.cwd if stage == "cwd" else launch.executable
    return LaunchError(code, filename, stage)


def open_pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def is_same(pid: int, born: bytes) -> bool:
    fields = processes.stat(pid)
    return bool(fields) and fields[19] == born and fields[0] not in {b"Z", b"X"}
