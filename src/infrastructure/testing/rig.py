"""What the conformance suite stands on: the hooks of an adapter's author, and bounds."""

import asyncio
import gc
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain import presets
from muster.domain.task import AgentRequest
from muster.infrastructure.testing.witness import Invocation, check

Rig = TypeVar("Rig", bound="ConformanceRig")
Body = Coroutine[Any, Any, None]


def on_a_loop(
    test: Callable[[Rig, AgentOrchestrator], Body],
) -> Callable[[Rig], None]:
    """A test as pytest wants it: with an orchestrator, closed at the end."""

    # Without functools.wraps: pytest would follow it and ask for a fixture.
    def run(self: Rig) -> None:
        asyncio.run(self.with_orchestrator(partial(test, self)))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class ConformanceRig(ABC):
    """Override the four abstract methods; the rest has defaults. Times are seconds."""

    limit = 60.0  # of one test
    grace = presets.GRACE  # of the requests below, if they name another
    slack = 5.0  # what a busy machine may add to a promised time
    large_prompt = "0123456789abcdef" * 65536  # 1 MiB
    awkward_prompts = (
        "--help",
        "naïve ünïcödé: 漢字, עברית, \U0001f680, e\u0301",
        "two\nlines",
        "{agent} {prompt} %s $HOME `id` ; exit 3",
    )

    @abstractmethod
    def orchestrator(self) -> AgentOrchestrator:
        """A new one. Called inside the event loop that will use it."""

    @abstractmethod
    def request_that_replies(self, text: str) -> AgentRequest:
        """Its prompt is ``text``, and so is its answer."""

    @abstractmethod
    def request_that_fails(self) -> AgentRequest:
        """The agent ends with a failure of its own."""

    @abstractmethod
    def request_that_hangs(self) -> AgentRequest:
        """The agent never ends by itself."""

    def still_running(self) -> Collection[object]:
        """What agents of this test left behind in the world; empty if nothing can be."""
        return ()

    async def with_orchestrator(
        self, test: Callable[[AgentOrchestrator], Body]
    ) -> None:
        """Runs a test, closes its orchestrator, and looks for what is left."""
        orchestrator = self.orchestrator()
        try:
            async with asyncio.timeout(self.limit):
                await test(orchestrator)
        finally:
            async with asyncio.timeout(self.limit):
                await orchestrator.aclose()
        self.check_no_task_is_left()
        self.check_nothing_runs()

    async def round_of_everything(self) -> None:
        """An answer, a failure and a cancellation, and no task is left of them."""
        orchestrator = self.orchestrator()
        try:
            answer = Invocation(orchestrator, self.request_that_replies("round"))
            await answer.run()
            answer.check_answer("round")
            await Invocation(orchestrator, self.request_that_fails()).run()
            hanging = Invocation(orchestrator, self.request_that_hangs())
            async with self.running(hanging):
                await hanging.under_way()
        finally:
            await orchestrator.aclose()
        self.check_no_task_is_left()

    @asynccontextmanager
    async def running(self, *invocations: Invocation) -> AsyncIterator[None]:
        """Runs them side by side, and at the end of the block ends them in time."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each.run()) for each in invocations]
                await asyncio.sleep(0)
                yield
                await self._cancel_in_time(tasks)
        except BaseExceptionGroup as errors:
            # Nothing but the block raises: what agents raise is kept by invocations.
            raise errors.exceptions[0] from None

    async def _cancel_in_time(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        bound = self.grace + 0.5 + self.slack
        _, late = await asyncio.wait(tasks, timeout=bound)
        problem = f"{len(late)} of {len(tasks)} still run {bound:g} s after cancel"
        check(not late, problem)

    def check_no_task_is_left(self) -> None:
        """No task runs in this loop but those of the test itself."""
        left = [
            task
            for task in asyncio.all_tasks() - {asyncio.current_task()}
            if getattr(task.get_coro(), "__qualname__", "") != "Invocation.run"
        ]
        check(not left, f"tasks are left: {left}")

    def check_nothing_runs(self) -> None:
        """Nothing is left in the world. Sees the agents of all threads."""
        running = self.still_running()
        check(not running, f"still running: {running}")


def open_descriptors() -> int:
    """How many files this process has open; 0 where that can't be told."""
    gc.collect()
    listing = Path("/dev/fd")
    return len(list(listing.iterdir())) if listing.exists() else 0
