"""The end of a run, whoever cancels meanwhile."""

import asyncio

from muster.infrastructure.adapters.local_process.capture import Captured
from muster.infrastructure.adapters.local_process.child import Gone
from muster.infrastructure.adapters.local_process.running import Run, outlast
from muster.infrastructure.adapters.local_process.spool import Spools
from muster.infrastructure.adapters.local_process.streams import Scratch


async def test_a_cancellation_while_texts_are_made_is_kept() -> None:
    """The text is whole, and the caller knows that it was cancelled."""
    run = Run(
        lambda _: None,
        scratch=Scratch(1),
        spools=Spools(str),
        output_path=None,
        grace=0.0,
    )
    data = "ü\n".encode() * 100_000
    made: list[str] = []

    async def make() -> None:
        made.append(await run._text(Captured(data)))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(make())
        await asyncio.sleep(0)
        task.cancel()

    assert made == ["ü\n" * 100_000]
    assert isinstance(run.interrupted, asyncio.CancelledError)


async def test_waiting_outlasts_cancellations() -> None:
    """Ten of them change nothing; the future ends it."""
    gone: asyncio.Future[Gone] = asyncio.get_running_loop().create_future()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(outlast(gone, 60.0))
        for _ in range(10):
            await asyncio.sleep(0)
            task.cancel()
        assert not task.done()
        gone.set_result(Gone())

    assert not task.cancelled()


async def test_waiting_is_bounded() -> None:
    """A future that never comes is not waited for."""
    gone: asyncio.Future[Gone] = asyncio.get_running_loop().create_future()

    await outlast(gone, 0.0)

    assert not gone.done()
