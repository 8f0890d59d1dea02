"""The one place that starts tasks: workers that share a queue of jobs.

A job that has to wait (a retry's delay, a lane's pace) goes back to the queue
and holds no worker, so waiting never costs a slot.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import count
from math import inf
from typing import Generic, TypeVar

from muster.domain import presets
from muster.domain.errors import OrchestratorError

Job = TypeVar("Job")


class _Held(Generic[Job]):
    """A job that waits for news, but not for ever. Whoever frees it takes ``job``."""

    __slots__ = ("job",)

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job


class JobQueue(Generic[Job]):
    """What a batch still has to do: ready, delayed or held jobs, and their source.

    The source is asked only when nothing else is ready and few jobs wait, so a
    generator of a million jobs never stands in memory at once. ``stagger`` is
    the least number of seconds between two jobs that `get` gives out; who waits
    for it has no job in hand, so that whatever is most urgent then goes first.
    """

    def __init__(self, *, max_waiting: int, stagger: float = 0.0) -> None:
        self._source: Iterator[Job] | None = None
        self._max_waiting = max_waiting
        self._stagger = stagger
        self._next_start = 0.0
        self._ready: deque[Job] = deque()
        self._urgent: list[tuple[float, int, Job]] = []
        self._delayed: list[tuple[float, int, Job]] = []
        self._held: deque[_Held[Job]] = deque()
        self._expiring: list[tuple[float, int, _Held[Job]]] = []
        self._holding = 0
        self._order = count()
        self._fired = 0.0
        self._out = 0
        self._idle: deque[asyncio.Future[None]] = deque()

    def draw_from(self, source: Iterable[Job]) -> None:
        """Where jobs come from when nothing else is ready."""
        self._source = iter(source)

    def close_source(self) -> None:
        """What was not drawn yet never will be."""
        self._source = None

    def add(self, job: Job, priority: float) -> None:
        """One more job; the highest priority goes first, and before the source's."""
        heapq.heappush(self._urgent, (-priority, next(self._order), job))
        self._wake_one()

    async def get(self) -> Job | None:
        """The next job to work on, or None when there will never be another."""
        while True:
            job = self._pick()
            if job is not None and (not self._stagger or self._may_start(job)):
                self._out += 1
                return job
            if job is None and self._is_over():
                self._wake_all()
                return None
            await self._news()

    def delay(self, job: Job, until: float) -> None:
        """Gives a job back; it is ready again at ``until`` (the loop's time)."""
        self._out -= 1
        heapq.heappush(self._delayed, (until, next(self._order), job))
        self._wake_one()

    def hold(self, job: Job, until: float = inf) -> None:
        """Gives a job back; it is ready again after `release`, at last at ``until``."""
        self._out -= 1
        held = _Held(job)
        self._holding += 1
        self._held.append(held)
        if until != inf:
            if len(self._expiring) > 2 * self._holding + self._max_waiting:
                self._forget_freed()
            heapq.heappush(self._expiring, (until, next(self._order), held))
        self._wake_one()

    def release(self) -> None:
        """Something has changed: whoever is held may ask again."""
        while self._held:
            self._free(self._held.popleft())

    def finish(self) -> None:
        """A job is done."""
        self._out -= 1
        if self._held:
            self.release()
        if self._idle:
            self._wake_one()

    @property
    def has_prospects(self) -> bool:
        """Whether anybody will go on, if the one job that asks is held as others are."""
        if self._out > 1 or self._ready or self._delayed or self._urgent:
            return True
        waiting = len(self._delayed) + self._holding + 1
        return self._source is not None and waiting < self._max_waiting

    def hurry(self) -> None:
        """Whoever waits, for a moment or for news, is ready now."""
        self._ready.extend(
            job for *_, job in sorted(self._delayed, key=lambda row: row[:2])
        )
        self._delayed.clear()
        self._stagger = 0.0
        self.release()
        self._wake_all()

    def _pick(self) -> Job | None:
        if self._delayed or self._expiring:
            self._promote(self._now())
        if self._ready:
            return self._ready.popleft()
        if self._urgent:
            return heapq.heappop(self._urgent)[2]
        return self._drawn()

    def _promote(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        while self._expiring and self._expiring[0][0] <= now:
            self._free(heapq.heappop(self._expiring)[2])

    def _free(self, held: _Held[Job]) -> None:
        if held.job is not None:
            self._ready.append(held.job)
            self._holding -= 1
            held.job = None
            self._wake_one()

    def _forget_freed(self) -> None:
        self._expiring = [row for row in self._expiring if row[2].job is not None]
        heapq.heapify(self._expiring)

    def _drawn(self) -> Job | None:
        if self._source is None:
            return None
        if len(self._delayed) + self._holding >= self._max_waiting:
            return None
        for job in self._source:
            return job
        self._source = None
        # Who was held because more might come must learn that nothing does.
        self.release()
        return self._ready.popleft() if self._ready else None

    def _is_over(self) -> bool:
        left = self._out or self._ready or self._delayed or self._urgent
        return not (left or self._holding or self._source is not None)

    def _may_start(self, job: Job) -> bool:
        now = self._now()
        if now < self._next_start:
            self._ready.appendleft(job)
            return False
        self._next_start = now + self._stagger
        return True

    async def _news(self) -> None:
        loop = asyncio.get_running_loop()
        news: asyncio.Future[None] = loop.create_future()
        self._idle.append(news)
        timer = None
        moment = self._next_moment()
        if moment != inf:
            timer = loop.call_at(moment, self._fire, moment, news)
        try:
            await news
        finally:
            if timer is not None:
                timer.cancel()
            if news in self._idle:
                self._idle.remove(news)

    def _fire(self, moment: float, news: asyncio.Future[None]) -> None:
        self._fired = moment
        if not news.done():
            news.set_result(None)

    def _now(self) -> float:
        # A timer may fire a tick of the clock before its moment; asking the clock
        # again would then set the same timer for ever.
        return max(asyncio.get_running_loop().time(), self._fired)

    def _next_moment(self) -> float:
        moment = self._delayed[0][0] if self._delayed else inf
        if self._expiring:
            moment = min(moment, self._expiring[0][0])
        if self._ready:
            # Only the stagger keeps a ready job from somebody who asks.
            moment = min(moment, self._next_start)
        return moment

    def _wake_one(self) -> None:
        while self._idle:
            news = self._idle.popleft()
            if not news.done():
                news.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._idle:
            self._wake_one()


async def work_off(
    queue: JobQueue[Job], work: Callable[[Job], Awaitable[None]], workers: int
) -> None:
    """Works on every job of the queue, at most ``workers`` at a time.

    A worker is started only when all others are busy. What ``work`` or the
    queue's source raises ends everything and is raised as it is; a cancellation
    passes through after all workers have ended.
    """
    idle = 0

    async def worker() -> None:
        nonlocal idle
        while True:
            idle += 1
            try:
                job = await queue.get()
            finally:
                idle -= 1
            if job is None:
                return
            if not idle and len(crew) < workers:
                crew.append(group.create_task(worker()))
            try:
                await work(job)
            except asyncio.CancelledError as stray:
                _pass_on(stray)

    crew: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as group:
            crew.append(group.create_task(worker()))
    except ExceptionGroup as errors:
        # Workers are no matter of the caller's: it shall meet the error itself.
        raise errors.exceptions[0] from None


def _pass_on(stray: asyncio.CancelledError) -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise stray
    # A task group takes a cancelled worker for one that it has cancelled itself:
    # its job would never end, and the others would wait for it for ever.
    problem = "a job was cancelled from within, by something that it waited for"
    raise OrchestratorError(problem) from stray


def max_waiting(workers: int) -> int:
    """How many jobs may wait for their next attempt before no new one is taken."""
    return workers * presets.MAX_DELAYED_JOBS_PER_SLOT
