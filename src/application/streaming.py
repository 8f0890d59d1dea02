"""A batch whose results are taken one by one, as they come."""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from muster.application.batch import BatchOptions
from muster.application.fleet_context import FleetContext
from muster.application.spawning import Spawning
from muster.domain import presets
from muster.domain.outcome import SpawnResult
from muster.domain.task import SpawnTask


async def stream(
    fleet: FleetContext, options: BatchOptions, tasks: Iterable[SpawnTask]
) -> AsyncGenerator[SpawnResult, None]:
    """The results; what the batch raises comes after the last of them.

    Starting pauses while the consumer is more than a few results behind. Closing
    the iterator ends what runs.
    """
    results: asyncio.Queue[SpawnResult | None] = asyncio.Queue()
    room = asyncio.Semaphore(presets.STREAM_AHEAD + options.max_concurrent)
    batch = Spawning(fleet, options, lambda _, result: results.put_nowait(result))
    batch.room = room
    trouble: list[Exception] = []

    async def feed() -> None:
        try:
            await batch.run(tasks)
        except Exception as error:  # noqa: BLE001 - raised below
            # Raised here it would cancel the task that entered the group, which may
            # be anywhere in its own code while it looks at a result.
            trouble.append(error)
        finally:
            results.put_nowait(None)

    async with asyncio.TaskGroup() as group:
        feeder = group.create_task(feed())
        try:
            while (result := await results.get()) is not None:
                room.release()
                yield result
        except GeneratorExit:
            # The group would make an error of it.
            return
        finally:
            feeder.cancel()
    if trouble:
        raise trouble[0]
