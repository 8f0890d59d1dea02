"""One timer for all first looks."""

import asyncio

from attrs import define, field

from muster.application.first_looks import FirstLooks
from muster.testing import in_virtual_time


@define(eq=False)
class Sleeper:
    """Somebody who is to be looked at."""

    first_look: float
    looked: list[float] = field(factory=list)

    def first_look_now(self, planned: float) -> None:
        self.looked.append(planned)


@in_virtual_time
async def test_first_looks_come_in_time_and_leave_nothing() -> None:
    """Each at its moment, whatever others wait for; empty rows are forgotten."""
    looks, loop = FirstLooks(), asyncio.get_running_loop()
    everybody = [Sleeper(after) for after in (5.0, 1.0, 5.0, 3.0)]
    for sleeper in everybody:
        looks.add(sleeper, loop, loop.time() + sleeper.first_look)
        await asyncio.sleep(0.5)
    looks.remove(everybody[0])
    looks.remove(Sleeper(99.0))

    await asyncio.sleep(10)

    assert [each.looked for each in everybody] == [[], [1.5], [6.0], [4.5]]
    assert looks._rows == looks._timers == {}


@in_virtual_time
async def test_a_thousand_policies_leave_no_rows() -> None:
    """A policy of its own for each task does not make the fleet grow."""
    looks, loop = FirstLooks(), asyncio.get_running_loop()
    for n in range(1000):
        sleeper = Sleeper(1.0 + n / 1000)
        looks.add(sleeper, loop, sleeper.first_look)
        looks.remove(sleeper)
    await asyncio.sleep(3)

    assert looks._rows == {}


@in_virtual_time
async def test_closed_looks_look_at_nobody() -> None:
    """After `close` no timer is left; who comes later is looked at again."""
    looks, loop = FirstLooks(), asyncio.get_running_loop()
    early, late = Sleeper(1.0), Sleeper(1.0)
    looks.add(early, loop, 1.0)
    looks.close()
    looks.add(late, loop, 1.0)
    await asyncio.sleep(2)

    assert (early.looked, late.looked) == ([], [1.0])
