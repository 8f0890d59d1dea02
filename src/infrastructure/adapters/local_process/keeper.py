"""The fork server and its keepers: a family of processes ends, whoever dies.

Run by `keeper_pool` as ``python -I -S keeper.py FD HOST_PID LIMITS [WITHOUT]``:

    host ── helper (this program, one per pool; forks keepers on demand)
              ├── keeper ── agent ── whatever the agent starts
              └── keeper (idle, serves the next agent)

A keeper is a subreaper: whatever loses its parent becomes the keeper's child, so
`waitpid` answering ECHILD proves that nobody is left. The helper is one as well and
sweeps what a killed keeper leaves to it. Both end their agents when the host is gone.

Single-threaded, and standard library only: every import is paid for in each keeper's
memory. The underscore modules spare 1 MB and 6 ms of `enum`, `typing` even more.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import errno
import gc
import os
import sys
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

if TYPE_CHECKING or __package__:
    from muster.infrastructure.adapters.local_process import processes, station
else:  # isolated (-I): our folder is not on the path, and `muster` must not be
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    import processes
    import station

STEP = 0.001  # between two rounds of killing: a re-forker lives 3 ms
SLOW_STEP = 0.5  # once something has proved unkillable

RUNNING, DRAINING, POLITE, KILLING = range(4)


class Keeper(station.Station):
    """Serves one agent at a time: starts it, waits, and ends whatever is left."""

    served = 0

    def serve(self) -> None:
        """Until the host hangs up."""
        while not self.cut:
            for message, fds in self.wait(station.FOREVER):
                # Else a stop has crossed the news that the agent has ended.
                if message[0] in {station.RUN, station.IN_FILE}:
                    self.run(message, fds)
        if os.getppid() == self.parent:  # an agent may have stopped the helper
            os.kill(self.parent, signal.SIGCONT)

    def run(self, message: tuple[Any, ...], fds: list[int]) -> None:
        stage = "fork"
        try:
            if self.is_alone():
                return
            if message[0] == station.IN_FILE:
                message = station.decode(station.read_all(fds[3]))
            _, path, argv, env, cwd, self.stop_signal = message
            self.served += 1
            self.mark = b"%d.%d" % (os.getpid(), self.served)
            if not self.ways.subreaper:
                env[b"MUSTER_KEEPER"] = self.mark
            stage = "cwd"
            os.chdir(cwd)
            stage = "exec"
            leader = processes.spawn(path, argv, env, fds)
        except OSError as error:
            self.say(station.FAILED, error.errno, stage)
            return
        except ValueError:  # a NUL, or a variable without a name
            self.say(station.FAILED, errno.EINVAL, stage)
            return
        finally:
            for fd in fds:
                os.close(fd)
            os.chdir("/")  # an idle keeper holds no file system busy
        used = os.times()
        reaped = used.children_user + used.children_system
        self.say(station.STARTED, leader, os.getpid(), reaped)
        self.begin(leader)
        self.tend()

    def begin(self, leader: int) -> None:
        self.leader = leader
        self.code: int | None = None
        self.announced = self.given_up = False
        self.killed: set[int] = set()
        self.leftovers: set[int] = set()
        self.known: dict[int, bytes] = {}
        self.phase, self.due = RUNNING, station.FOREVER

    def tend(self) -> None:
        """Wait for the agent, obey the host, until nobody is left."""
        while not self.nobody_left():
            if self.code is not None and not self.announced:
                self.announce()
            if self.cut and self.phase < POLITE:
                self.stop(self.ways.host_death_grace)
            now = monotonic()
            if now >= self.due:
                self.escalate(now)
            left = max(0.0, self.due - now)
            for message, _ in self.wait(
                left if self.ways.subreaper else min(left, station.LOOK)
            ):
                if message[0] == station.STOP:
                    self.stop(message[1])
                elif message[0] == station.KILL and self.phase < KILLING:
                    self.phase, self.due = POLITE, 0.0
        self.report()

    def nobody_left(self) -> bool:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return self.ways.subreaper or not self.strangers()
            if pid == 0:
                return False
            if pid == self.leader:
                self.code = os.waitstatus_to_exitcode(status)

    def announce(self) -> None:
        """The leader has ended, others have not: they get a moment of their own."""
        self.announced = True
        self.say(station.EXITED, self.code, None)
        now = monotonic()
        if self.phase == RUNNING:
            self.phase, self.due = DRAINING, now + self.ways.drain
        elif self.phase == POLITE:
            self.signal_family(signal.SIGTERM)
            self.due = min(self.due, now + self.ways.leftover_grace)

    def stop(self, grace: float) -> None:
        now = monotonic()
        if self.phase == RUNNING and self.code is None:
            # Unreaped, so the group is still the leader's.
            for number in (self.stop_signal, signal.SIGCONT):
                os.killpg(self.leader, number)
        elif self.phase < POLITE:
            self.signal_family(signal.SIGTERM)
            grace = min(grace, self.ways.leftover_grace)
        if self.phase <= POLITE:
            self.phase, self.due = POLITE, min(self.due, now + grace)

    def escalate(self, now: float) -> None:
        if self.phase == DRAINING:
            self.signal_family(signal.SIGTERM)
            self.phase, self.due = POLITE, now + self.ways.leftover_grace
            return
        if self.phase == POLITE:
            self.phase, self.give_up_at = KILLING, now + self.ways.kill_bound
        self.signal_family(signal.SIGKILL)
        if now >= self.give_up_at and not self.given_up:
            self.given_up = True
            survivors = tuple(filter(processes.alive, self.family()))
            self.say(station.GONE, len(self.leftovers), survivors, self.cut == "helper")
        self.due = now + (SLOW_STEP if self.given_up else STEP)

    def family(self) -> list[int]:
        if not self.ways.subreaper:
            return self.strangers()
        return processes.descent(os.getpid(), self.ways.offspring())

    def signal_family(self, number: int) -> None:
        """Signal everybody who is left, wakened if they are stopped."""
        family = self.family()
        parents = {os.getpid(), *family}
        if self.code is not None:
            survivors = filter(processes.alive, family)
            self.leftovers.update(set(survivors) - self.killed)
        if number == signal.SIGKILL:
            self.killed.update(family)
            processes.kill_groups(self.ways.offspring()(os.getpid()))

        def is_ours(fields: list[bytes]) -> bool:
            return int(fields[1]) in parents or fields[19] in self.known.values()

        for pid in family:
            processes.send_signal(pid, number, is_ours)
            if number != signal.SIGKILL:
                processes.send_signal(pid, signal.SIGCONT, is_ours)

    def strangers(self) -> list[int]:
        """Without a subreaper: who was seen in the family, is in the leader's session,
        or bears our mark. Whoever sheds all three before it is seen escapes."""
        family = set(processes.descent(os.getpid(), self.ways.offspring()))
        mark = b"MUSTER_KEEPER=%b\0" % self.mark
        for pid in processes.processes():
            fields = processes.stat(pid)
            if fields and pid not in self.known and pid != os.getpid():
                environ = f"/proc/{pid}/environ"
                session = int(fields[3])
                if (
                    pid in family
                    or session == self.leader
                    or mark in processes.read(environ)
                ):
                    self.known[pid] = fields[19]
        return [
            pid
            for pid, born in self.known.items()
            if processes.alive(pid) and processes.stat(pid)[19:20] == [born]
        ]

    def report(self) -> None:
        """Everybody has ended; one message with the exit code where that is news."""
        gone = (len(self.leftovers), (), self.cut == "helper")
        if not self.announced:
            self.say(station.EXITED, self.code, gone)
        elif self.given_up:
            self.say(station.CLEAN)
        else:
            self.say(station.GONE, *gone)


class Helper(station.Station):
    """Forks keepers, and sweeps what they leave when they are killed."""

    def __init__(self, fd: int, watched: dict[int, str], ways: station.Ways) -> None:
        super().__init__(fd, watched, ways)
        self.keepers: dict[int, int] = {}  # the host's name for each, by pid
        self.lost: list[int] = []  # names, not yet reported
        self.sweeping = False
        self.swept: set[int] = set()
        self.give_up_at = station.FOREVER

    def serve(self) -> None:
        """Until the host is gone and nobody is left."""
        close_at = station.FOREVER
        while not (self.reap() and self.cut):
            now = monotonic()
            if self.cut and close_at == station.FOREVER:
                ways = self.ways
                close_at = now + ways.host_death_grace + ways.leftover_grace
            if now >= close_at:
                self.kill_keepers(self.keepers.values())
            self.sweep(now)
            for message, fds in self.wait(self.patience(now, close_at)):
                if message[0] == station.FORK and fds:
                    self.fork_keeper(message[1], fds[0])
                elif message[0] == station.SWEEP:
                    self.kill_keepers([message[1]])

    def patience(self, now: float, close_at: float) -> float:
        if self.lost:
            return STEP
        if self.sweeping or now >= close_at:
            return SLOW_STEP
        return close_at - now

    def fork_keeper(self, name: int, fd: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            station.answer(fd, station.FAILED, error.errno, "fork")
            return
        if pid == 0:
            self.become_keeper(fd)
        os.close(fd)
        self.keepers[pid] = name

    def become_keeper(self, fd: int) -> NoReturn:
        code = 1
        try:
            self.close()
            watched = {**self.watched, **station.watch(os.getppid(), "helper")}
            self.ways.become_subreaper()
            Keeper(fd, watched, self.ways).serve()
            code = 0
        finally:
            os._exit(code)

    def kill_keepers(self, names: Iterable[int]) -> None:
        chosen = set(names)
        for pid, name in self.keepers.items():
            if name in chosen:
                os.kill(pid, signal.SIGKILL)  # our own, and unreaped

    def reap(self) -> bool:
        """Take note of the dead, wake the stopped; whether nobody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                self.sweep(monotonic())
                return True
            if pid == 0:
                return False
            if os.WIFSTOPPED(status):
                if pid in self.keepers:  # by its agent: it would miss the agent's end
                    os.kill(pid, signal.SIGCONT)
            elif pid in self.keepers:
                name = self.keepers.pop(pid)
                if status:
                    self.lost.append(name)
                    self.sweeping = True
                    self.give_up_at = monotonic() + self.ways.kill_bound

    def sweep(self, now: float) -> None:
        """Kill all that was inherited from lost keepers."""
        if not self.sweeping:
            return
        offspring = self.ways.offspring()
        strays = [pid for pid in offspring(os.getpid()) if pid not in self.keepers]
        family = [
            each
            for stray in strays
            for each in (stray, *processes.descent(stray, offspring))
        ]
        parents = {os.getpid(), *family}
        self.swept.update(filter(processes.alive, family))
        processes.kill_groups(strays)
        for pid in family:
            processes.send_signal(
                pid, signal.SIGKILL, lambda fields: int(fields[1]) in parents
            )
        self.sweeping = bool(strays)
        if not strays or now >= self.give_up_at:
            for name in self.lost:
                self.say(station.SWEPT, name, len(self.swept), tuple(strays))
            self.lost.clear()
            self.swept.clear()


def main(fd: int, host: int, limits: str, without: str = "") -> None:
    """Be the helper of `host`, at the other end of the socket `fd`."""
    os.set_inheritable(fd, False)  # noqa: FBT003
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the host's end is our end
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    ways = station.Ways(limits, without)
    watched = station.watch(host, "host")
    if os.getppid() == host:  # else it died, and the pid may be a stranger's
        gc.freeze()  # a collection in a keeper would copy every page
        Helper(fd, watched, ways).serve()


if __name__ == "__main__":
    if sys.argv[1] == "--probe":
        print(*station.Ways("0:0:0:0", sys.argv[2]).present())  # noqa: T201
    else:
        main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
