"""The conformance suite fails whoever breaks a promise of the port."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.domain.events import AgentEnded, AgentEvent, AgentStarted, TextProduced
from muster.domain.task import AgentOutput, AgentRequest
from muster.testing import (
    AgentOrchestratorStub,
    OrchestratorConformance,
    fails,
    hangs,
    replies,
    resists,
)


class Honest:
    """An adapter that keeps all promises, for others to break one each."""

    capabilities = Capabilities("honest", simulated=True)

    def __init__(self) -> None:
        self.stub = AgentOrchestratorStub(replies(lambda request: request.text))
        self.stub.on("failing", fails("crash")).on("hanging", hangs())

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        return await self.stub.invoke(request, report)

    async def aclose(self) -> None:
        await self.stub.aclose()


class SwallowsCancellation(Honest):
    async def invoke(self, request, report):
        try:
            return await super().invoke(request, report)
        except asyncio.CancelledError:
            return AgentOutput("never mind", request.agent_id, request.request_id)


class ResistsCancellation(Honest):
    def __init__(self):
        super().__init__()
        self.stub.on("hanging", resists(1.5) + hangs())


class CleansUpUnshielded(Honest):
    async def invoke(self, request, report):
        try:
            report(AgentStarted())
            return await super().invoke(request, lambda _: None)
        finally:
            await asyncio.sleep(0.01)
            report(AgentEnded())


class StartsOutsideItsTry(Honest):
    async def invoke(self, request, report):
        await asyncio.sleep(0)
        return await super().invoke(request, report)


class EndsTwice(Honest):
    async def invoke(self, request, report):
        try:
            return await super().invoke(request, report)
        finally:
            report(AgentEnded())


class Filtering(Honest):
    async def invoke(self, request, report):
        def pass_on(event: AgentEvent) -> None:
            for each in self.filtered(event):
                report(each)

        return await super().invoke(request, pass_on)

    def filtered(self, event: AgentEvent) -> Iterator[AgentEvent]:
        raise NotImplementedError


class NeverEnds(Filtering):
    def filtered(self, event):
        if not isinstance(event, AgentEnded):
            yield event


class SpeaksBeforeItStarts(Filtering):
    def filtered(self, event):
        if isinstance(event, AgentStarted):
            yield TextProduced("hello")
        yield event


class StartsTwice(Filtering):
    def filtered(self, event):
        yield event
        if isinstance(event, AgentStarted):
            yield event


class ReportsAnything(Filtering):
    def filtered(self, event):
        yield "started" if isinstance(event, AgentStarted) else event


class ReportsFromAThread(Honest):
    async def invoke(self, request, report):
        output = await super().invoke(request, lambda _: None)
        await asyncio.to_thread(report, AgentEnded())
        return output


class ReportsLate(Honest):
    async def invoke(self, request, report):
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, report, TextProduced("by the way"))
        return await super().invoke(request, report)


class LosesTheRequest(Honest):
    async def invoke(self, request, report):
        await super().invoke(request, report)
        return AgentOutput(request.text, request.agent_id, simulated=True)


class HidesThatItIsSimulated(Honest):
    capabilities = Capabilities("honest", simulated=False)


class Anonymous(Honest):
    capabilities = Capabilities("", simulated=True)


class Rewriting(Honest):
    async def invoke(self, request, report):
        output = await super().invoke(request, report)
        text = self.rewritten(request.text)
        return AgentOutput(text, output.agent_id, output.request_id, simulated=True)


class FillsTemplates(Rewriting):
    def rewritten(self, text):
        return text.replace("{agent}", "tester")


class CutsPrompts(Rewriting):
    def rewritten(self, text):
        return text[:65536]


class FailsItsOwnWay(Honest):
    async def invoke(self, request, report):
        if request.agent_id == "failing":
            report(AgentEnded())
            problem = "exit code 3"
            raise RuntimeError(problem)
        return await super().invoke(request, report)


class FailsWithoutACause(Honest):
    def __init__(self):
        super().__init__()
        self.stub.on("failing", fails("cancelled"))


class OneAtATime(Honest):
    def __init__(self):
        super().__init__()
        self.turn = asyncio.Lock()

    async def invoke(self, request, report):
        async with self.turn:
            return await super().invoke(request, report)


class SharesItsAgents(Honest):
    stub_of_all = AgentOrchestratorStub()

    def __init__(self):
        super().__init__()
        self.own, self.stub = self.stub, self.stub_of_all
        self.stub.on("hanging", hangs()).on("failing", fails("crash"))
        self.stub.on("agent", replies(lambda request: request.text))


class ClosesOnce(Honest):
    closed = False

    async def aclose(self):
        if self.closed:
            problem = "already closed"
            raise RuntimeError(problem)
        self.closed = True


class NeverCloses(Honest):
    async def aclose(self):
        await asyncio.sleep(1000)


class LeavesATask(Honest):
    async def invoke(self, request, report):
        self.loose = asyncio.get_running_loop().create_task(asyncio.sleep(1000))
        return await super().invoke(request, report)


class LeavesADescriptor(Honest):
    async def invoke(self, request, report):
        OPENED.append(os.open(os.devnull, os.O_RDONLY))
        return await super().invoke(request, report)


class LeavesAThread(Honest):
    async def invoke(self, request, report):
        threading.Thread(target=RELEASE.wait, daemon=True).start()
        return await super().invoke(request, report)


class TakesSignals(Honest):
    async def invoke(self, request, report):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: None)
        return await super().invoke(request, report)


class LeavesTheWorldDirty(Honest):
    async def invoke(self, request, report):
        output = await super().invoke(request, report)
        LEFT.append(request.agent_id)
        return output


OPENED: list[int] = []
LEFT: list[str] = []
RELEASE = threading.Event()


@pytest.fixture(autouse=True)
def mess() -> Iterator[None]:
    """Clears away what the broken adapters leave on purpose."""
    handler = signal.getsignal(signal.SIGTERM)
    RELEASE.clear()
    yield
    RELEASE.set()
    signal.signal(signal.SIGTERM, handler)
    LEFT.clear()
    while OPENED:
        os.close(OPENED.pop())


def suite_for(adapter: type[Honest]) -> OrchestratorConformance:
    """The suite on that adapter, with little patience."""

    class Suite(OrchestratorConformance):
        limit = 1.0
        grace = 0.1
        slack = 0.2

        def orchestrator(self):
            return adapter()

        def request_that_replies(self, text):
            return AgentRequest("agent", prompt=text, request_id="r")

        def request_that_fails(self):
            return AgentRequest("failing")

        def request_that_hangs(self):
            return AgentRequest("hanging")

        def still_running(self):
            return LEFT

    return Suite()


@pytest.mark.parametrize(
    ("adapter", "test", "verdict"),
    [
        (
            SwallowsCancellation,
            "ends_when_cancelled",
            "CancelledError must pass through",
        ),
        (SwallowsCancellation, "obeys_a_deadline_around_it", "deadline was swallowed"),
        (ResistsCancellation, "ends_when_cancelled", "1 of 1 still run"),
        (ResistsCancellation, "cancels_72_at_once", "72 of 72 still run"),
        (
            CleansUpUnshielded,
            "a_second_cancellation_changes_nothing",
            "exactly once; came: AgentStarted$",
        ),
        (StartsOutsideItsTry, "ends_when_cancelled_early", "came: nothing"),
        (EndsTwice, "answers", "AgentEnded, AgentEnded$"),
        (EndsTwice, "fails_with_a_cause", "AgentEnded, AgentEnded$"),
        (EndsTwice, "ends_when_cancelled", "AgentEnded, AgentEnded$"),
        (NeverEnds, "answers", "AgentEnded must come exactly once"),
        (NeverEnds, "fails_with_a_cause", "AgentEnded must come exactly once"),
        (SpeaksBeforeItStarts, "answers", "AgentStarted must be first"),
        (StartsTwice, "answers", "AgentStarted must be first"),
        (ReportsAnything, "answers", "is no AgentEvent"),
        (ReportsFromAThread, "answers", "in the thread of the event loop"),
        (ReportsLate, "reports_nothing_after_the_end", "by the way"),
        (LosesTheRequest, "answers", "request_id"),
        (HidesThatItIsSimulated, "stamps_what_is_simulated", "simulated"),
        (Anonymous, "stamps_what_is_simulated", "name must not be empty"),
        (FillsTemplates, "takes_awkward_prompts", "tester"),
        (CutsPrompts, "takes_a_large_prompt", "65536"),
        (FailsItsOwnWay, "fails_with_a_cause", "exit code 3"),
        (FailsItsOwnWay, "runs_72_at_once", "exit code 3"),
        (FailsWithoutACause, "fails_with_a_cause", "can't be cancelled"),
        (OneAtATime, "two_share_nothing", "^$"),
        (SharesItsAgents, "two_share_nothing", "an agent of another"),
        (ClosesOnce, "closes_twice", "already closed"),
        (NeverCloses, "closes_while_an_agent_hangs", "^$"),
        (LeavesATask, "answers", "tasks are left"),
        (LeavesADescriptor, "leaves_no_descriptor", "open descriptors"),
        (LeavesAThread, "leaves_no_thread", "threads"),
        (TakesSignals, "leaves_signals_alone", "handler was changed"),
        (LeavesTheWorldDirty, "answers", "still running"),
        (
            NeverEnds,
            "works_in_two_loops_in_two_threads",
            "AgentEnded must come exactly once",
        ),
    ],
)
def test_a_broken_promise_is_found(
    adapter: type[Honest], test: str, verdict: str
) -> None:
    """Each promise has an adapter that breaks it, and a test that says so."""
    suite = suite_for(adapter)

    with pytest.raises((AssertionError, TimeoutError, RuntimeError), match=verdict):
        getattr(suite, f"test_{test}")()


TESTS = [name for name in dir(OrchestratorConformance) if name.startswith("test_")]


@pytest.mark.parametrize("test", TESTS)
def test_the_honest_pass(test: str) -> None:
    """What fails the others is their fault and not the suite's."""
    getattr(suite_for(Honest), test)()
