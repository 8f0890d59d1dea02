"""The suite that every adapter passes: what `AgentOrchestrator` promises, as tests.

Subclass `OrchestratorConformance` under a name that pytest collects, say how to
make an orchestrator and three kinds of requests, and run pytest. No plugin is
needed: every test has an event loop of its own.
"""

import asyncio
import signal
import threading
import time

from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain import presets
from muster.infrastructure.testing.rig import (
    ConformanceRig,
    on_a_loop,
    open_descriptors,
)
from muster.infrastructure.testing.witness import Invocation, check


class OrchestratorConformance(ConformanceRig):
    """The promises, one test each. `ConformanceRig` names what to override."""

    @on_a_loop
    async def test_answers(self, orchestrator: AgentOrchestrator) -> None:
        """The answer is the agent's text, for the request that was made."""
        invocation = Invocation(orchestrator, self.request_that_replies("forty-two"))

        await invocation.run()

        invocation.check_answer("forty-two")

    @on_a_loop
    async def test_stamps_what_is_simulated(
        self, orchestrator: AgentOrchestrator
    ) -> None:
        """The capabilities have a name, and answers say whether they are real."""
        invocation = Invocation(orchestrator, self.request_that_replies("really"))

        await invocation.run()

        capabilities = orchestrator.capabilities
        check(capabilities.name, "capabilities.name must not be empty")
        check(
            invocation.answer is not None
            and invocation.answer.simulated is capabilities.simulated,
            "AgentOutput.simulated must be capabilities.simulated",
        )

    @on_a_loop
    async def test_takes_awkward_prompts(self, orchestrator: AgentOrchestrator) -> None:
        """A prompt is data: no option, no template, no shell, any script."""
        for text in self.awkward_prompts:
            invocation = Invocation(orchestrator, self.request_that_replies(text))
            await invocation.run()
            invocation.check_answer(text)

    @on_a_loop
    async def test_takes_a_large_prompt(self, orchestrator: AgentOrchestrator) -> None:
        """A prompt has no limit that people meet, and its answer comes back whole."""
        text = self.large_prompt[: presets.CAPTURE_BYTES]
        invocation = Invocation(orchestrator, self.request_that_replies(text))

        await invocation.run()

        invocation.check_answer(text)

    @on_a_loop
    async def test_reports_nothing_after_the_end(
        self, orchestrator: AgentOrchestrator
    ) -> None:
        """When ``invoke`` has returned, ``report`` is never called again."""
        invocation = Invocation(orchestrator, self.request_that_replies("done"))

        await invocation.run()
        reported = len(invocation.witness.events)
        await asyncio.sleep(0.05)

        late = invocation.witness.events[reported:]
        check(not late, f"reported after the end: {late}")

    @on_a_loop
    async def test_fails_with_a_cause(self, orchestrator: AgentOrchestrator) -> None:
        """A failure is one picklable `AgentInvocationError` that says why."""
        invocation = Invocation(orchestrator, self.request_that_fails())

        await invocation.run()

        invocation.check_failed()

    @on_a_loop
    async def test_ends_when_cancelled(self, orchestrator: AgentOrchestrator) -> None:
        """A cancellation ends the agent within its grace + 0.5 s."""
        invocation = Invocation(orchestrator, self.request_that_hangs())
        async with self.running(invocation):
            await invocation.under_way()
            check(not invocation.is_over, f"it must hang, ended: {invocation.error!r}")

        invocation.check_cancelled()

    @on_a_loop
    async def test_ends_when_cancelled_early(
        self, orchestrator: AgentOrchestrator
    ) -> None:
        """A cancellation may come at any step of the start."""
        for turns in range(8):
            invocation = Invocation(orchestrator, self.request_that_hangs())
            async with self.running(invocation):
                for _ in range(turns):
                    await asyncio.sleep(0)
            invocation.check_cancelled()

    @on_a_loop
    async def test_a_second_cancellation_changes_nothing(
        self, orchestrator: AgentOrchestrator
    ) -> None:
        """The clean-up goes on to its end, and the end is reported once."""
        invocation = Invocation(orchestrator, self.request_that_hangs())
        async with self.running(invocation):
            await invocation.under_way()
            invocation.cancel()
            await asyncio.sleep(0)

        invocation.check_cancelled()

    @on_a_loop
    async def test_obeys_a_deadline_around_it(
        self, orchestrator: AgentOrchestrator
    ) -> None:
        """``asyncio.timeout`` works: the supervisor has no other means."""
        invocation = Invocation(orchestrator, self.request_that_hangs())
        try:
            async with asyncio.timeout(0.1):
                await invocation.run()
        except TimeoutError:
            invocation.check_cancelled()
        else:
            check(condition=False, broken_promise="the deadline was swallowed")

    @on_a_loop
    async def test_runs_72_at_once(self, orchestrator: AgentOrchestrator) -> None:
        """Each gets its own answer, and a failure among them is its own matter."""
        failing = Invocation(orchestrator, self.request_that_fails())
        invocations = [
            Invocation(orchestrator, self.request_that_replies(f"answer {n}"))
            for n in range(presets.POOL_CAPACITY - 1)
        ]

        async with asyncio.TaskGroup() as group:
            for each in (*invocations, failing):
                group.create_task(each.run())

        for n, invocation in enumerate(invocations):
            invocation.check_answer(f"answer {n}")
        failing.check_failed()

    @on_a_loop
    async def test_cancels_72_at_once(self, orchestrator: AgentOrchestrator) -> None:
        """A halt of a whole fleet takes no longer than that of one agent."""
        invocations = [
            Invocation(orchestrator, self.request_that_hangs())
            for _ in range(presets.POOL_CAPACITY)
        ]
        async with self.running(*invocations):
            await invocations[-1].under_way()

        for each in invocations:
            each.check_cancelled()

    @on_a_loop
    async def test_closes_twice(self, orchestrator: AgentOrchestrator) -> None:
        """Closing is idempotent, used or not."""
        await self.orchestrator().aclose()
        await Invocation(orchestrator, self.request_that_replies("x")).run()

        await orchestrator.aclose()
        await orchestrator.aclose()

    @on_a_loop
    async def test_closes_while_an_agent_hangs(
        self, orchestrator: AgentOrchestrator
    ) -> None:
        """Closing ends what is left; whoever waited can still be cancelled."""
        invocation = Invocation(orchestrator, self.request_that_hangs())
        async with self.running(invocation):
            await invocation.under_way()
            async with asyncio.timeout(self.grace + 0.5 + self.slack):
                await orchestrator.aclose()
            self.check_no_task_is_left()
            self.check_nothing_runs()

        invocation.witness.check_order()

    @on_a_loop
    async def test_two_share_nothing(self, orchestrator: AgentOrchestrator) -> None:
        """Closing one of two leaves the other's agents alone."""
        other = self.orchestrator()
        invocation = Invocation(orchestrator, self.request_that_hangs())
        async with self.running(invocation):
            await invocation.under_way()
            await Invocation(other, self.request_that_replies("x")).run()
            await other.aclose()
            await asyncio.sleep(0.05)
            check(not invocation.is_over, "closing one ended an agent of another")
            again = Invocation(orchestrator, self.request_that_replies("still here"))
            await again.run()

        again.check_answer("still here")

    @on_a_loop
    async def test_leaves_no_descriptor(self, orchestrator: AgentOrchestrator) -> None:
        """After a round of everything, as many files are open as before."""
        await self.round_of_everything()  # what is opened once for all is no leak
        before = open_descriptors()

        for _ in range(3):
            await self.round_of_everything()

        after = open_descriptors()
        check(after <= before, f"open descriptors: {before} before, {after} after")

    def test_leaves_no_thread(self) -> None:
        """When its loop has ended, its threads have ended."""
        before = threading.active_count()

        asyncio.run(self.round_of_everything())

        until = time.monotonic() + self.slack
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.01)
        check(threading.active_count() <= before, f"threads: {threading.enumerate()}")

    def test_leaves_signals_alone(self) -> None:
        """Signal handlers are the host's."""
        watched = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP)
        before = list(map(signal.getsignal, watched))

        asyncio.run(self.round_of_everything())

        check(list(map(signal.getsignal, watched)) == before, "a handler was changed")

    def test_works_in_two_loops_in_two_threads(self) -> None:
        """Each thread has its loop and its orchestrator."""
        errors: list[BaseException] = []

        def work() -> None:
            try:
                asyncio.run(self.round_of_everything())
            except BaseException as error:  # noqa: BLE001 - shown by the main thread
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        for error in errors:
            raise error
        self.check_nothing_runs()
