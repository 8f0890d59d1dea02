"""The queue of jobs and its workers: nobody is lost, nobody waits for nothing."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from math import inf

import pytest
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.application.concurrency import JobQueue, max_waiting, work_off
from muster.domain.errors import OrchestratorError
from muster.testing import in_virtual_time, run_in_virtual_time

LONG = 1000.0


@frozen
class Step:
    """What a job does when it is worked on: take a while, then go back or be done."""

    lasts: float = 0.0
    then: str = "finish"
    pause: float = 0.0


@define(eq=False)
class Script:
    """One job: its steps, of which the last always finishes."""

    steps: tuple[Step, ...]
    taken: int = 0


@define(eq=False)
class Scenario:
    """A queue at work, and what an observer sees of it."""

    queue: JobQueue[Script]
    active: int = 0
    peak: int = 0
    done: Counter[Script] = field(factory=Counter)
    starts: list[float] = field(factory=list)

    async def work(self, job: Script) -> None:
        loop = asyncio.get_running_loop()
        self.starts.append(loop.time())
        self.active += 1
        self.peak = max(self.peak, self.active)
        step = job.steps[job.taken] if job.taken < len(job.steps) else Step()
        job.taken += 1
        if step.lasts:
            await asyncio.sleep(step.lasts)
        self.active -= 1
        if step.then == "delay":
            self.queue.delay(job, loop.time() + step.pause)
        elif step.then == "hold":
            self.queue.hold(job)
            loop.call_later(step.pause, self.queue.release)
        elif step.then == "hold until":
            self.queue.hold(job, loop.time() + step.pause)
        else:
            self.queue.finish()
            self.done[job] += 1


MOMENTS = st.sampled_from([0.0, 0.1, 0.3, 1.0, 7.0])
STEPS = st.builds(
    Step,
    lasts=MOMENTS,
    then=st.sampled_from(["finish", "delay", "hold", "hold until"]),
    pause=MOMENTS,
)
SCRIPTS = st.lists(STEPS, max_size=4).map(lambda steps: Script(tuple(steps)))


@settings(max_examples=200, deadline=None)
@given(
    drawn=st.lists(SCRIPTS, max_size=12),
    added=st.lists(st.tuples(SCRIPTS, MOMENTS), max_size=6),
    workers=st.integers(1, 5),
    waiting=st.integers(1, 6),
    stagger=st.sampled_from([0.0, 0.0, 0.1, 2.0]),
    hurry_at=st.one_of(st.none(), MOMENTS),
)
def test_every_job_is_done_once_and_never_too_many(
    drawn: list[Script],
    added: list[tuple[Script, float]],
    workers: int,
    waiting: int,
    stagger: float,
    hurry_at: float | None,
) -> None:
    """Whatever jobs do, all end, each once, under the limit, at their own pace."""
    queue: JobQueue[Script] = JobQueue(max_waiting=waiting, stagger=stagger)
    scenario = Scenario(queue)

    async def main() -> None:
        queue.draw_from(drawn)
        for job, priority in added:
            queue.add(job, priority)
        if hurry_at is not None:
            asyncio.get_running_loop().call_later(hurry_at, queue.hurry)
        await work_off(queue, scenario.work, workers)

    run_in_virtual_time(main())

    everybody = [*drawn, *(job for job, _ in added)]
    assert scenario.done == Counter(everybody)
    assert scenario.peak <= workers
    if stagger and hurry_at is None:
        gaps = [after - before for before, after in pairwise(scenario.starts)]
        assert all(gap >= stagger - 1e-6 for gap in gaps)


async def nothing(job: object) -> None:
    """Work that never happens."""
    raise AssertionError(job)


@in_virtual_time
async def test_an_empty_queue_is_done() -> None:
    """No source and no job: the workers leave."""
    queue: JobQueue[int] = JobQueue(max_waiting=1)

    await work_off(queue, nothing, 3)

    assert not queue.has_prospects


@pytest.mark.parametrize("workers", [1, 2, 4])
@in_virtual_time
async def test_the_most_urgent_goes_first(workers: int) -> None:
    """Of what is ready the highest priority is worked on, equals in order."""
    queue: JobQueue[str] = JobQueue(max_waiting=1)
    order: list[str] = []

    async def work(job: str) -> None:
        order.append(job)
        await asyncio.sleep(1)
        queue.finish()

    queue.draw_from(["drawn"])
    for job, priority in (("low", 1), ("high", 5), ("low too", 1), ("mid", 3)):
        queue.add(job, priority)
    await work_off(queue, work, workers)

    assert order == ["high", "mid", "low", "low too", "drawn"]


@in_virtual_time
async def test_a_stagger_does_not_outlive_a_hurry() -> None:
    """Whoever waited for its turn goes at once, and nobody slept with a job in hand."""
    queue: JobQueue[int] = JobQueue(max_waiting=1, stagger=LONG)
    loop = asyncio.get_running_loop()
    starts: list[float] = []

    async def work(job: int) -> None:
        starts.append(loop.time())
        await asyncio.sleep(0)
        queue.finish()

    queue.draw_from(range(4))
    loop.call_later(5, queue.hurry)
    await work_off(queue, work, 4)

    assert starts == [0, 5, 5, 5]
    assert loop.time() == 5


@in_virtual_time
async def test_a_stagger_costs_nothing_at_the_end() -> None:
    """After the last start nobody waits for another turn."""
    queue: JobQueue[int] = JobQueue(max_waiting=1, stagger=LONG)

    async def work(job: int) -> None:
        queue.finish()

    queue.draw_from([1])
    await work_off(queue, work, 4)

    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_a_held_job_is_freed_by_news_or_by_its_moment() -> None:
    """`release` frees it, else ``until`` does; never both."""
    queue: JobQueue[str] = JobQueue(max_waiting=9)
    loop = asyncio.get_running_loop()
    log: list[tuple[str, float]] = []
    held: set[str] = set()
    until = {"patient": inf, "hasty": 3.0, "early": 50.0}

    async def work(job: str) -> None:
        log.append((job, loop.time()))
        if job in until and job not in held:
            held.add(job)
            queue.hold(job, until[job])
        elif job in {"long", "hasty"}:
            await asyncio.sleep(100)
            queue.finish()
        else:
            queue.finish()

    for job in ("patient", "hasty", "early", "long"):
        queue.add(job, 0)
    loop.call_later(20, queue.release)
    await work_off(queue, work, 3)

    assert log[4:] == [("hasty", 3.0), ("patient", 20.0), ("early", 20.0)]


@in_virtual_time
async def test_many_holds_leave_nothing_behind() -> None:
    """A job held a thousand times before its moment costs no thousand entries."""
    queue: JobQueue[int] = JobQueue(max_waiting=4)
    turns = 0

    async def work(job: int) -> None:
        nonlocal turns
        turns += 1
        if turns > 1000:
            queue.finish()
            return
        queue.hold(job, LONG)
        queue.release()
        assert len(queue._expiring) < 10

    queue.draw_from([1])
    await work_off(queue, work, 1)

    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_few_jobs_are_taken_while_many_wait() -> None:
    """The source is not read on while as many as allowed wait for later."""
    queue: JobQueue[int] = JobQueue(max_waiting=3)
    drawn: list[int] = []
    loop = asyncio.get_running_loop()
    seen: set[int] = set()

    def source() -> Iterator[int]:
        for n in range(20):
            drawn.append(n)
            yield n

    async def work(job: int) -> None:
        if job in seen:
            queue.finish()
            return
        seen.add(job)
        queue.delay(job, loop.time() + 10)
        assert len(drawn) <= 3 * (1 + loop.time() / 10) + 1

    queue.draw_from(source())
    await work_off(queue, work, 2)

    assert len(seen) == 20


@pytest.mark.parametrize("place", ["work", "source"])
@in_virtual_time
async def test_an_error_comes_out_as_it_is(place: str) -> None:
    """What work or the source raises ends the others and is no group."""
    queue: JobQueue[int] = JobQueue(max_waiting=1)
    ended: list[int] = []

    def source() -> Iterator[int]:
        yield from range(3)
        if place == "source":
            raise LookupError(place)
        yield 3

    async def work(job: int) -> None:
        if job == 3:
            raise LookupError(place)
        try:
            await asyncio.sleep(LONG)
        finally:
            ended.append(job)

    queue.draw_from(source())
    with pytest.raises(LookupError, match=place):
        await work_off(queue, work, 4)

    assert sorted(ended) == [0, 1, 2]


@in_virtual_time
async def test_a_stray_cancellation_is_no_silent_end() -> None:
    """A job that is cancelled by what it waits for is an error, not a hole."""
    queue: JobQueue[int] = JobQueue(max_waiting=1)

    async def work(job: int) -> None:
        if job == 1:
            raise asyncio.CancelledError
        await asyncio.sleep(LONG)
        queue.finish()

    queue.draw_from(range(2))
    with pytest.raises(OrchestratorError, match="cancelled from within"):
        await work_off(queue, work, 2)


@in_virtual_time
async def test_a_cancellation_passes_after_all_have_ended() -> None:
    """The host's cancellation ends all workers, waiting ones too."""
    queue: JobQueue[int] = JobQueue(max_waiting=9)
    ended: list[int] = []

    async def work(job: int) -> None:
        if job == 0:
            queue.delay(job, LONG)
            return
        try:
            await asyncio.sleep(LONG)
        finally:
            await asyncio.sleep(1)
            ended.append(job)

    queue.draw_from(range(3))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await work_off(queue, work, 4)

    assert sorted(ended) == [1, 2]
    assert asyncio.get_running_loop().time() == 6


@in_virtual_time
async def test_prospects() -> None:
    """Somebody else will go on: one that works, is ready, or can still be drawn."""
    queue: JobQueue[int] = JobQueue(max_waiting=3)
    queue.draw_from(iter(range(3)))
    await queue.get()
    assert queue.has_prospects
    await queue.get()
    assert queue.has_prospects
    queue.hold(0)
    assert queue.has_prospects
    await queue.get()
    queue.hold(1)
    assert not queue.has_prospects
    queue.close_source()
    assert not queue.has_prospects
    queue.add(7, 1.0)
    assert queue.has_prospects


def test_how_many_may_wait() -> None:
    """A multiple of the workers."""
    assert max_waiting(72) == 16 * 72
