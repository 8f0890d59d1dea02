"""The one place that starts tasks: workers that share a queue of jobs.

A job that has to wait (a retry's delay, a lane's pace) goes back to the queue
and holds no worker, so waiting never costs a slot.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import count
from typing import Generic, TypeVar

from muster.domain import presets

Job = TypeVar("Job")


class JobQueue(Generic[Job]):
    """What a batch still has to do: ready, delayed or held jobs, and their source.

    The source is asked only when nothing else is ready and few jobs wait, so a
    generator of a million jobs never stands in memory at once.
    """

    def __init__(self, *, max_waiting: int, stagger: float = 0.0) -> None:
        self._source: Iterator[Job] | None = None
        self._max_waiting = max_waiting
        self._stagger = stagger
        self._next_start = 0.0
        self._ready: deque[Job] = deque()
        self._urgent: list[tuple[float, int, Job]] = []
        self._delayed: list[tuple[float, int, Job]] = []
        self._held: deque[Job] = deque()
        self._order = count()
        self._out = 0
        self._idle: deque[asyncio.Future[None]] = deque()

    def draw_from(self, source: Iterable[Job]) -> None:
        """Where jobs come from when nothing else is ready."""
        self._source = iter(source)

    def add(self, job: Job, priority: float) -> None:
        """One more job; the highest priority goes first, and before the source's."""
        heapq.heappush(self._urgent, (-priority, next(self._order), job))
        self._wake_one()

    async def get(self) -> Job | None:
        """The next job to work on, or None when there will never be another."""
        while True:
            job = self._pick()
            if job is not None:
                self._out += 1
                if self._stagger:
                    await self._spaced()
                return job
            if self._is_over():
                self._wake_all()
                return None
            await self._news()

    def delay(self, job: Job, until: float) -> None:
        """Gives a job back; it is ready again at ``until`` (the loop's time)."""
        self._out -= 1
        heapq.heappush(self._delayed, (until, next(self._order), job))
        self._wake_one()

    def hold(self, job: Job) -> None:
        """Gives a job back; it is ready again after `release`."""
        self._out -= 1
        self._held.append(job)
        self._wake_one()

    def release(self) -> None:
        """Something has changed: whoever was held may ask again."""
        while self._held:
            self._ready.append(self._held.popleft())
            self._wake_one()

    def finish(self) -> None:
        """A job is done."""
        self._out -= 1
        if self._held:
            self.release()
        if self._idle:
            self._wake_one()

    @property
    def is_idle(self) -> bool:
        """Nobody works and nobody will get ready by itself: only held jobs are left."""
        waiting = self._ready or self._delayed or self._urgent
        return not (self._out or waiting or self._source)

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
        if self._delayed:
            self._promote(asyncio.get_running_loop().time())
        if self._ready:
            return self._ready.popleft()
        if self._urgent:
            return heapq.heappop(self._urgent)[2]
        return self._drawn()

    def _promote(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])

    def _drawn(self) -> Job | None:
        waiting = len(self._delayed) + len(self._held)
        if self._source is None or waiting >= self._max_waiting:
            return None
        for job in self._source:
            return job
        self._source = None
        return None

    def _is_over(self) -> bool:
        return self.is_idle and not self._held

    async def _spaced(self) -> None:
        loop = asyncio.get_running_loop()
        start = max(loop.time(), self._next_start)
        self._next_start = start + self._stagger
        if start > loop.time():
            try:
                await asyncio.sleep(start - loop.time())
            except asyncio.CancelledError:
                self._out -= 1
                raise

    async def _news(self) -> None:
        loop = asyncio.get_running_loop()
        news: asyncio.Future[None] = loop.create_future()
        self._idle.append(news)
        timer = None
        if self._delayed:
            timer = loop.call_at(self._delayed[0][0], _settle, news)
        try:
            await news
        finally:
            if timer is not None:
                timer.cancel()
            if news in self._idle:
                self._idle.remove(news)

    def _wake_one(self) -> None:
        while self._idle:
            news = self._idle.popleft()
            if not news.done():
                news.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._idle:
            self._wake_one()


def _settle(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)


async def work_off(
    queue: JobQueue[Job], work: Callable[[Job], Awaitable[None]], workers: int
) -> None:
    """Works on every job of the queue, at most ``workers`` at a time.

    A worker is started only when all others are busy. What ``work`` raises ends
    everything; a cancellation passes through after all workers have ended.
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
            await work(job)

    crew: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:
        crew.append(group.create_task(worker()))


def max_waiting(workers: int) -> int:
    """How many jobs may wait for their next attempt before no new one is taken."""
    return workers * presets.MAX_DELAYED_JOBS_PER_SLOT
