"""Time that passes at once: an event loop whose clock jumps when nobody can act.

It jumps only while every wait is a timer. With a descriptor watched or an executor
at work the wait is real: a loop that jumped would fire a 30 s timeout at once while
a real child runs. When nothing can ever happen again, `EverybodyWaitsError` says
who waits where.
"""

import asyncio
import functools
import math
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from attrs import define

from muster.infrastructure.clock import SystemClock

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH_AT_ZERO = 1_750_000_000.0
# What a thread that nobody told us of gets, in real seconds, to wake an idle loop.
FOREIGN_WAKE_UP = 0.5
RESOLUTION = 1e-9


class EverybodyWaitsError(RuntimeError):
    """No timer, no descriptor, no thread: what the tasks wait for can't come."""


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """The result of ``main``, run on a loop of its own whose clock starts at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Decorator: turns an async test into one that runs in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_in_virtual_time(test(*args, **kwargs))

    return run


@define
class VirtualClock:
    """The Clock port on the running loop's time. Change ``epoch_at_zero`` to jump."""

    epoch_at_zero: float = EPOCH_AT_ZERO

    def monotonic(self) -> float:
        """The running loop's time, in seconds."""
        return asyncio.get_running_loop().time()

    def epoch(self) -> float:
        """Seconds since 1970, as far from ``epoch_at_zero`` as the loop has run."""
        return self.epoch_at_zero + self.monotonic()

    def utc(self, epoch: float) -> str:
        """As the system's clock writes it."""
        return SystemClock().utc(epoch)

    def zone_offset(self, zone: str | None, epoch: float) -> float | None:
        """As the system knows it; here it is always UTC."""
        return SystemClock().zone_offset(zone or "UTC", epoch)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector loop whose `time` is virtual and starts at 0."""

    def __init__(self) -> None:
        self._now = 0.0
        self._executor_jobs = 0
        selector = _JumpingSelector(self)
        super().__init__(selector)
        # What the loop itself watches: the pipe by which threads wake it.
        self._own_descriptors = len(selector.get_map())

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves the clock. Timers that are due fire in the loop's next turn."""
        # To the nanosecond, which is the loop's own resolution: three sleeps of
        # 0.1 s end at 0.3 and not at 0.30000000000000004.
        self._now = round(self._now + seconds, 9)
        # The loop fires what is due before now + resolution. After some months a
        # float holds no nanosecond, the sum is now again, and it would turn for ever.
        self._clock_resolution = max(RESOLUTION, 2 * math.ulp(self._now))

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """As ever; the clock does not jump before the job is done."""
        future = super().run_in_executor(executor, func, *args)
        self._executor_jobs += 1
        future.add_done_callback(self._executor_job_done)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """As ever; joining the threads takes real time, and from 3.12 on a timer."""
        self._executor_jobs += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._executor_jobs -= 1

    def may_jump(self, watched: int) -> bool:
        """Whether nothing but a timer can wake the loop, as far as it knows."""
        return self._executor_jobs == 0 and watched <= self._own_descriptors

    def _executor_job_done(self, _: "asyncio.Future[Any]") -> None:
        self._executor_jobs -= 1


class _JumpingSelector(selectors.DefaultSelector):
    """Polls; where a real selector would sleep, it moves the loop's clock."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if not self._loop.may_jump(len(self.get_map())):
            return self._wait(timeout)
        if timeout is None:
            ready = super().select(FOREIGN_WAKE_UP)
            if not ready:
                raise EverybodyWaitsError(_who_waits(self._loop))
            return ready
        self._loop.advance(timeout)
        return ready

    def _wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        before = time.monotonic()
        ready = super().select(timeout)
        self._loop.advance(time.monotonic() - before)
        return ready


def _who_waits(loop: asyncio.AbstractEventLoop) -> str:
    lines = sorted(
        f"  {task.get_name()} at {_place(task.get_coro())}"
        for task in asyncio.all_tasks(loop)
    )
    return "\n".join(["everybody waits for ever:", *lines])


def _place(coroutine: Any) -> str:
    # A task's own stack shows its outermost coroutine only. The innermost says what
    # it waits for, the last one outside asyncio says where.
    mine = coroutine
    while getattr(coroutine.cr_await, "cr_frame", None) is not None:
        coroutine = coroutine.cr_await
        if not coroutine.cr_code.co_filename.startswith(_ASYNCIO):
            mine = coroutine
    place = f"{mine.cr_code.co_filename}:{mine.cr_frame.f_lineno}"
    return f"{coroutine.__qualname__} in {mine.__qualname__} ({place})"


_ASYNCIO = str(Path(asyncio.__file__).parent)
