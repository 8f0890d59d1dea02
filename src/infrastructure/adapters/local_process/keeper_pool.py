"""Containment "keeper": whoever dies, nothing that an agent started outlives it.

The host's side of `keeper`: it hands requests to idle keepers, asks the helper for more
when none is idle, and watches that both do what they promise. No thread, no task, no
signal handler: one reader per keeper.
"""

import asyncio
import contextlib
import errno
import itertools
import socket
import sys
from collections.abc import Iterable
from typing import Any, Final

from muster.domain import presets
from muster.infrastructure.adapters.local_process import processes, station, vitals
from muster.infrastructure.adapters.local_process.child import (
    Gone,
    Launch,
    LaunchError,
    Stage,
)
from muster.infrastructure.adapters.local_process.helper import Helper
from muster.infrastructure.adapters.local_process.launch_message import (
    encode_request,
    send_launch,
)
from muster.infrastructure.adapters.local_process.readiness import Readiness

SIGKILLED: Final = -9
LOOK: Final = 0.01


class KeptChild:
    """A child in the hands of a keeper."""

    __slots__ = ("_baseline", "_watchdog", "exited", "gone", "keeper", "pid")

    def __init__(self, keeper: "Keeper") -> None:
        self.pid = 0
        self.keeper = keeper
        self.exited: asyncio.Future[int] = keeper.loop.create_future()
        self.gone: asyncio.Future[Gone] = keeper.loop.create_future()
        self._watchdog: asyncio.TimerHandle | None = None
        self._baseline = 0.0

    def stop(self, grace: float) -> None:
        self._end(grace, station.STOP, grace)

    def kill(self) -> None:
        self._end(0.0, station.KILL)

    def vitals(self) -> float | None:
        if self.gone.done():
            return None
        used = vitals.cpu_seconds(self.keeper.pid)
        return None if used is None else max(0.0, used - self._baseline)

    def begin(self, pid: int, reaped_before: float) -> None:
        self.pid = pid
        self._baseline = reaped_before

    def end(self, gone: Gone, code: int = SIGKILLED) -> None:
        """The news that everybody is gone. The first one counts."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if not self.exited.done():
            self.exited.set_result(code)
        if not self.gone.done():
            self.gone.set_result(gone)

    def _end(self, grace: float, *message: Any) -> None:
        if self.gone.done():
            return
        self.keeper.send(station.encode(*message))
        # A keeper may be stopped itself, or hang: it is given up a moment after it
        # would have reported the unkillable.
        loop = self.keeper.loop
        due = loop.time() + grace + presets.KILL_BOUND + presets.WATCHDOG_MARGIN
        if self._watchdog is None or self._watchdog.when() > due:
            if self._watchdog is not None:
                self._watchdog.cancel()
            self._watchdog = loop.call_at(due, self.keeper.give_up)


class Keeper:
    """The host's end of one keeper, idle or with a child."""

    __slots__ = (
        "_pool",
        "_socket",
        "_starting",
        "child",
        "given_up",
        "loop",
        "name",
        "pid",
        "session",
    )

    def __init__(self, pool: "KeeperPool", name: int, own: socket.socket) -> None:
        self._pool = pool
        self._socket = own
        self._starting: asyncio.Future[None] | None = None
        self.given_up = False
        self.child: KeptChild | None = None
        self.loop = pool.loop
        self.name = name
        self.pid = 0  # once it has started something
        self.session = 0  # the helper's pid: a keeper lives in its session
        pool.readiness.add(own.fileno(), self)

    async def run(self, launch: Launch, request: bytes) -> KeptChild:
        """Start a child here. EPIPE: the keeper had ended before it was asked."""
        self.child = child = KeptChild(self)
        self._starting = starting = self.loop.create_future()
        bound = self.loop.call_later(presets.START_BOUND, self._start_overdue)
        try:
            send_launch(self._socket, request, launch)
            await starting
        except LaunchError as error:
            error.filename = launch.cwd if error.stage == "cwd" else launch.executable
            raise
        except OSError as error:
            self.child = self._starting = None
            self.discard()
            raise LaunchError(
                error.errno or errno.EIO, launch.executable, "fork"
            ) from error
        except asyncio.CancelledError:
            # Unread news of the start is as good as none: in both cases the keeper
            # finds this order behind the request.
            child.kill()
            await asyncio.wait([child.gone], timeout=presets.KILL_BOUND * 2)
            raise
        finally:
            bound.cancel()
        return child

    def send(self, message: bytes) -> None:
        """Tell the keeper; if it is dead, its end is news that is under way."""
        with contextlib.suppress(OSError):
            self._socket.send(message)

    def ready(self) -> None:
        """See `Waiter`."""
        try:
            data = self._socket.recv(station.MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hung_up()
        elif self.child is not None:
            self._obey(self.child, *station.decode(data))

    def _obey(self, child: KeptChild, kind: str, *news: Any) -> None:
        if kind == station.STARTED:
            pid, self.pid, reaped = news
            child.begin(pid, reaped)
            self._start_is(None)
        elif kind == station.FAILED:
            self._failed(*news)
        elif kind == station.EXITED:
            self._exited(child, *news)
        elif kind == station.GONE:
            leftovers, unkillable, lost = news
            self._gone(child, Gone(leftovers, unkillable, lost))
        elif kind == station.CLEAN:
            self._pool.rest(self)

    def _failed(self, code: int, stage: Stage) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.end(Gone())
        if self.pid == 0 and stage == "fork":  # there is no keeper at all
            self.discard()
        else:
            self._pool.rest(self)
        self._start_is(LaunchError(code, None, stage))

    def _exited(
        self,
        child: KeptChild,
        code: int,
        gone: tuple[int, tuple[int, ...], bool] | None,
    ) -> None:
        if not child.exited.done():
            child.exited.set_result(code)
        if gone is not None:
            self._gone(child, Gone(*gone))

    def _gone(self, child: KeptChild, gone: Gone) -> None:
        child.end(gone)
        if gone.lost:  # it goes with its helper, whatever else it is asked
            self.child = None
            self.discard()
        elif not gone.unkillable:
            self._pool.rest(self)

    def _start_is(self, error: OSError | None) -> None:
        starting, self._starting = self._starting, None
        if starting is None or starting.done():
            return
        if error is None:
            starting.set_result(None)
        else:
            starting.set_exception(error)

    def _start_overdue(self) -> None:
        self.give_up()
        self._start_is(LaunchError(errno.ETIMEDOUT, None, "fork"))

    def _hung_up(self) -> None:
        self.discard()
        if self.child is not None:
            self._pool.lose(self)

    def give_up(self) -> None:
        """It did not do in time what it was told: end it, and have its family swept."""
        if self.given_up:
            self._pool.sweep_alone(self)
            return
        self.given_up = True
        self._pool.order_sweep(self)
        self.loop.call_later(presets.KILL_BOUND, self._still_here)

    def _still_here(self) -> None:
        if self.child is not None and not self.child.gone.done():
            self._pool.sweep_alone(self)

    def swept(self, gone: Gone) -> None:
        """The family was ended by others."""
        child, self.child = self.child, None
        if child is not None:
            child.end(gone)
        self._start_is(LaunchError(errno.ECHILD, None, "fork"))

    def discard(self) -> None:
        """Let go of the keeper: it ends what it holds, then itself."""
        self._pool.forget(self)
        if self._socket.fileno() >= 0:
            self._pool.readiness.remove(self._socket.fileno())
            self._socket.close()


class KeeperPool:
    """A `Containment`: one helper, and as many keepers as children were alive at once.

    Everything is started at need, and bound to the loop of the first start. `without`
    switches mechanisms of `station.Ways` off, to see what is left of the promises.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self, *, without: Iterable[str] = (), python: str = "") -> None:
        self._without = ",".join(without)
        self._python = python or sys.executable
        self._helper: Helper | None = None
        self._names = itertools.count(1)
        self._idle: list[Keeper] = []
        self._keepers: dict[int, Keeper] = {}
        self._lost: dict[int, Keeper] = {}
        self._turns = asyncio.Semaphore(presets.STARTS_AT_ONCE)
        self.readiness = Readiness()
        self._closed = False

    async def start(self, launch: Launch) -> KeptChild:
        async with self._turns:
            request = encode_request(launch)
            while True:
                if self._closed:
                    raise LaunchError(errno.ESHUTDOWN, launch.executable, "fork")
                fresh = not self._idle
                keeper = self._new_keeper(launch) if fresh else self._idle.pop()
                try:
                    return await keeper.run(launch, request)
                except LaunchError as error:
                    # An idle keeper may have been killed, and its end not yet read.
                    if fresh or error.errno != errno.EPIPE:
                        raise

    async def aclose(self) -> None:
        self._closed = True
        families = [k.child for k in self._held() if k.child is not None]
        for child in families:
            child.kill()
        pending = [child.gone for child in families if not child.gone.done()]
        if pending:
            await asyncio.wait(pending, timeout=presets.KILL_BOUND * 2)
        for keeper in self._held():
            keeper.discard()
        if self._helper is not None:
            helper, self._helper = self._helper, None
            await helper.aclose()
        self.readiness.close()

    def _held(self) -> list[Keeper]:
        return [*self._keepers.values(), *self._lost.values()]

    def _new_keeper(self, launch: Launch) -> Keeper:
        self.loop = asyncio.get_running_loop()
        try:
            own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with other:
                own.setblocking(False)  # noqa: FBT003
                keeper = Keeper(self, next(self._names), own)
                self._keepers[keeper.name] = keeper
                try:
                    keeper.session = self._fork(keeper.name, other.fileno())
                except BaseException:
                    keeper.discard()
                    raise
        except OSError as error:
            code = error.errno or errno.EIO
            raise LaunchError(code, launch.executable, "fork") from error
        return keeper

    def _fork(self, name: int, fd: int) -> int:
        if self._helper is not None:
            try:
                return self._helper.fork(name, fd)
            except BrokenPipeError:  # it was killed, and its end not yet read
                self._helper.end()
        self._helper = Helper(
            self.loop, self._python, self._without, self._swept, self._orphaned
        )
        return self._helper.fork(name, fd)

    def rest(self, keeper: Keeper) -> None:
        """A keeper has nobody left: it may serve again."""
        keeper.child = None
        if (
            keeper.given_up  # its end is under way: it must not take a child along
            or keeper.name not in self._keepers
            or len(self._idle) >= presets.POOL_CAPACITY
            or self._closed
        ):
            keeper.discard()
        else:
            self._idle.append(keeper)

    def forget(self, keeper: Keeper) -> None:
        self._keepers.pop(keeper.name, None)
        if keeper in self._idle:
            self._idle.remove(keeper)

    def lose(self, keeper: Keeper) -> None:
        """A keeper died with a child: the helper has inherited the family."""
        if self._helper is None:
            self.sweep_alone(keeper)
            return
        self._lost[keeper.name] = keeper
        self.loop.call_later(presets.KILL_BOUND * 2, self.sweep_alone, keeper)

    def order_sweep(self, keeper: Keeper) -> None:
        if self._helper is not None:
            self._helper.sweep(keeper.name)

    def sweep_alone(self, keeper: Keeper, rounds: int = presets.LONE_SWEEPS) -> None:
        """Neither keeper nor helper can be counted on: end whom we can find."""
        if keeper.child is None:
            return
        self._lost.pop(keeper.name, None)
        keeper.discard()
        alive = processes.kill_abandoned(keeper.child.pid, keeper.pid, keeper.session)
        if alive and rounds:
            self.loop.call_later(LOOK, self.sweep_alone, keeper, rounds - 1)
        else:
            keeper.swept(Gone(0, tuple(alive), lost=True))

    def _swept(self, name: int, leftovers: int, unkillable: tuple[int, ...]) -> None:
        keeper = self._lost.pop(name, None) or self._keepers.get(name)
        if keeper is not None:
            keeper.discard()
            keeper.swept(Gone(leftovers, unkillable, lost=True))

    def _orphaned(self) -> None:
        """The helper died. The keepers know, end their agents and say so."""
        self._helper = None
        for keeper in [*self._idle]:
            keeper.discard()
        for keeper in [*self._lost.values()]:
            self.sweep_alone(keeper)
        bound = presets.HOST_DEATH_GRACE + 2 * presets.KILL_BOUND
        for keeper in self._keepers.values():
            self.loop.call_later(bound, self._overdue_orphan, keeper, keeper.child)

    def _overdue_orphan(self, keeper: Keeper, child: KeptChild | None) -> None:
        if child is not None and keeper.child is child:
            self.sweep_alone(keeper)
