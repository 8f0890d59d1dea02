"""Many descriptors behind one reader of the loop."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from muster.infrastructure.adapters.local_process.readiness import AT_ONCE, Readiness


class Pipe:
    """A pipe whose reader remembers what it was told to read."""

    def __init__(self, readiness: Readiness) -> None:
        self.ours, self.theirs = os.pipe()
        self.heard: list[bytes] = []
        self.rival: Pipe | None = None
        self._readiness = readiness
        readiness.add(self.ours, self)

    def write(self, data: bytes) -> None:
        os.write(self.theirs, data)

    def ready(self) -> None:
        self.heard.append(os.read(self.ours, 1))
        if self.rival is not None:
            self.rival.forget()

    def forget(self) -> None:
        self._readiness.remove(self.ours)

    def close(self) -> None:
        self.forget()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture(params=[True, False], ids=["epoll", "loop"])
def readiness(request: pytest.FixtureRequest) -> Iterator[Readiness]:
    readiness = Readiness(epoll=request.param)
    yield readiness
    readiness.close()
    readiness.close()


async def turns(count: int = 5) -> None:
    """Lets the loop look at its descriptors."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_waiter_is_told_until_all_is_read(readiness: Readiness) -> None:
    """One byte a call, so three bytes are three calls."""
    pipe = Pipe(readiness)
    await turns()
    assert pipe.heard == []

    pipe.write(b"abc")
    await turns(8)

    assert pipe.heard == [b"a", b"b", b"c"]
    pipe.close()


async def test_the_end_is_news(readiness: Readiness) -> None:
    """A pipe that nobody writes any more is readable."""
    pipe = Pipe(readiness)
    os.close(pipe.theirs)
    await turns()

    assert pipe.heard[:1] == [b""]
    pipe.forget()
    os.close(pipe.ours)


async def test_a_forgotten_waiter_is_told_nothing(readiness: Readiness) -> None:
    """Until it is added again. Forgetting twice is fine."""
    pipe = Pipe(readiness)
    pipe.write(b"abc")
    pipe.forget()
    pipe.forget()
    await turns()
    assert pipe.heard == []

    readiness.add(pipe.ours, pipe)
    await turns(8)

    assert pipe.heard == [b"a", b"b", b"c"]
    pipe.close()


async def test_one_waiter_may_forget_another(readiness: Readiness) -> None:
    """Two are ready in the same turn; the first one told forgets the other."""
    faults: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    one, two = Pipe(readiness), Pipe(readiness)
    one.rival, two.rival = two, one
    one.write(b"a")
    two.write(b"b")
    await turns()

    assert len(one.heard) + len(two.heard) == 1
    assert faults == []
    one.close()
    two.close()


async def test_a_crowd_is_served_in_turns(readiness: Readiness) -> None:
    """More than fit into one turn: everybody is told all the same."""
    pipes = [Pipe(readiness) for _ in range(AT_ONCE * 3)]
    for pipe in pipes:
        pipe.write(b"x")
    await turns(12)

    assert all(pipe.heard == [b"x"] for pipe in pipes)
    for pipe in pipes:
        pipe.close()


async def test_after_closing_nobody_is_told(readiness: Readiness) -> None:
    """Then it may be used again, in another loop too."""
    pipe = Pipe(readiness)
    pipe.write(b"a")
    readiness.close()
    await turns()
    assert pipe.heard == []

    again = Pipe(readiness)
    again.write(b"b")
    await turns()

    assert again.heard == [b"b"]
    pipe.close()
    again.close()
