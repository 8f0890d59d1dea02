"""Virtual time jumps when it may, never when it must not, and tells when all is lost."""

import asyncio
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.testing import (
    EverybodyWaitsError,
    VirtualClock,
    VirtualTimeLoop,
    in_virtual_time,
    run_in_virtual_time,
)

SECONDS = st.floats(0, 1e6).map(lambda x: round(x, 6))


def now() -> float:
    """The time of the loop."""
    return asyncio.get_running_loop().time()


@given(st.lists(SECONDS, max_size=30))
def test_sleepers_wake_in_order_at_their_time(delays: list[float]) -> None:
    """Whatever the delays: each wakes when it is due, and nobody before another."""
    woken: list[tuple[float, float]] = []

    async def sleeper(delay: float) -> None:
        await asyncio.sleep(delay)
        woken.append((delay, now()))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for delay in delays:
                group.create_task(sleeper(delay))

    run_in_virtual_time(main())

    assert [delay for delay, _ in woken] == sorted(delays)
    assert all(at == pytest.approx(delay, abs=2e-9) for delay, at in woken)


@given(st.lists(SECONDS, max_size=30))
def test_one_sleep_after_another_adds_up(delays: list[float]) -> None:
    """Time is the sum of what was slept."""

    @in_virtual_time
    async def main() -> float:
        for delay in delays:
            await asyncio.sleep(delay)
        return now()

    assert main() == pytest.approx(sum(delays), abs=1e-6)


@in_virtual_time
async def test_it_counts_in_whole_nanoseconds() -> None:
    """So that a test can compare with ==."""
    for _ in range(3):
        await asyncio.sleep(0.1)

    assert now() == 0.3


def test_a_year_passes_at_once() -> None:
    """The loop caps a single wait at a day; that is no limit here."""
    year = 365 * 86400.0
    started = time.monotonic()

    @in_virtual_time
    async def main() -> float:
        await asyncio.sleep(year)
        return now()

    assert main() == pytest.approx(year, abs=1e-6)
    assert time.monotonic() - started < 5


@in_virtual_time
async def test_a_deadline_fires_when_it_is_due() -> None:
    """`asyncio.timeout` lives on the same clock."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.Event().wait()

    assert now() == 30.0


@in_virtual_time
async def test_it_never_jumps_while_a_descriptor_is_watched() -> None:
    """A deadline of 30 s must not fire while a pipe is about to be written."""
    reader, writer = os.pipe()
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(reader, arrived.set)
    timer = threading.Timer(0.05, os.write, (writer, b"x"))
    timer.start()
    try:
        async with asyncio.timeout(30):
            await arrived.wait()
    finally:
        loop.remove_reader(reader)
        timer.join()
        os.close(reader)
        os.close(writer)

    assert now() < 29


@in_virtual_time
async def test_time_is_real_while_a_descriptor_is_watched() -> None:
    """A timer is then as slow as ever; afterwards the clock jumps again."""
    reader, writer = os.pipe()
    loop = asyncio.get_running_loop()
    loop.add_reader(reader, lambda: None)
    started = time.monotonic()
    try:
        await asyncio.sleep(0.05)
        passed = time.monotonic() - started
    finally:
        loop.remove_reader(reader)
        os.close(reader)
        os.close(writer)
    await asyncio.sleep(1000)

    assert passed >= 0.049
    assert now() == pytest.approx(1000 + passed, abs=1)


@in_virtual_time
async def test_it_never_jumps_while_an_executor_works() -> None:
    """A thread's work takes real time, and a deadline around it is real."""
    async with asyncio.timeout(30):
        await asyncio.to_thread(time.sleep, 0.05)

    assert now() < 29


@in_virtual_time
async def test_a_foreign_thread_may_wake_an_idle_loop() -> None:
    """Nothing says that a thread is there, so an idle loop gives it a moment."""
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    timer = threading.Timer(0.05, loop.call_soon_threadsafe, (woken.set_result, "x"))
    timer.start()

    assert await woken == "x"
    timer.join()


def test_when_everybody_waits_it_says_who_and_where() -> None:
    """A test that would hang names its tasks and their places instead."""

    async def stuck() -> None:
        await asyncio.Event().wait()

    async def caller() -> None:
        await stuck()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(caller(), name="the culprit")

    with pytest.raises(EverybodyWaitsError) as caught:
        run_in_virtual_time(main())

    message = str(caught.value)
    assert "the culprit at Event.wait in " in message
    assert f"stuck ({__file__}:" in message


def test_the_stuck_are_cancelled() -> None:
    """Their clean-up runs, so nothing leaks into the next test."""
    cleaned: list[str] = []

    async def main() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(1)
            cleaned.append("up")

    with pytest.raises(EverybodyWaitsError):
        run_in_virtual_time(main())

    assert cleaned == ["up"]


@in_virtual_time
async def test_the_clock_reads_the_loop() -> None:
    """Both readings move with virtual time; the wall clock can be made to jump."""
    clock = VirtualClock()
    before = clock.epoch()

    await asyncio.sleep(10)
    assert (clock.monotonic(), clock.epoch() - before) == (10.0, 10.0)

    clock.epoch_at_zero -= 3600
    assert (clock.monotonic(), clock.epoch() - before) == (10.0, -3590.0)


def test_each_run_begins_at_zero() -> None:
    """No run sees the time of another."""

    @in_virtual_time
    async def main() -> float:
        await asyncio.sleep(5)
        return now()

    assert [main(), main()] == [5.0, 5.0]


def test_two_threads_have_two_times() -> None:
    """Time belongs to a loop."""
    seen: dict[float, float] = {}

    @in_virtual_time
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen[seconds] = now()

    threads = [threading.Thread(target=sleep, args=(each,)) for each in (3.0, 7.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {3.0: 3.0, 7.0: 7.0}


@pytest.mark.parametrize("start", [0.0, 2.0**22, 2.0**23, 2.0**24, 2.0**27])
@pytest.mark.parametrize("delay", [0.0, 1e-10, 1e-9, 1e-6, 0.1, 1 / 3, 86399.9])
def test_a_clock_far_from_zero_still_arrives(start: float, delay: float) -> None:
    """Where floats are coarser than the loop's resolution, timers fire all the same."""
    turns = 0

    @in_virtual_time
    async def main() -> float:
        nonlocal turns
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.advance(start)
        sleeper = loop.create_future()
        loop.call_later(delay, sleeper.set_result, None)
        while not sleeper.done():
            turns += 1
            assert turns < 10
            await asyncio.sleep(delay / 2)
        return now()

    assert main() == pytest.approx(start + delay, abs=delay / 1.9 + 1e-7, rel=0)
