"""Simulated agents: scripted, recorded, deterministic, and cheap enough to measure with.

Time passes only in `asyncio` timers, so that a virtual clock moves it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from attrs import define

from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.domain import presets
from muster.domain.events import AgentEnded, AgentStarted, OutputReceived
from muster.domain.task import AgentOutput, AgentRequest
from muster.infrastructure.adapters.stub.behaviours import (
    SIMULATED_REPLY,
    Behaviour,
    Reply,
    Scene,
    replies,
)

Who = str | Callable[[AgentRequest], bool]

_STARTED = AgentStarted()
_CUT_SHORT = AgentEnded()


@define(eq=False)
class Call:
    """One invocation, as it was seen. Times are the loop's, in seconds."""

    request: AgentRequest
    started_at: float
    ended_at: float | None = None
    cancelled: bool = False


class AgentOrchestratorStub:
    """Plays scripts instead of running agents; every answer is stamped as simulated.

    The behaviours given here are for agents without a script of their own; of
    each script the last behaviour goes on for ever. ``record=False`` keeps no
    calls, for runs of millions; counters are kept always. Closing ends what runs
    and nothing more: the stub can be used again, by another fleet too.
    """

    capabilities = Capabilities("stub", simulated=True)

    def __init__(self, *behaviours: Behaviour, record: bool = True) -> None:
        self._default = _Script(behaviours or (replies(),))
        self._named: dict[str, _Script] = {}
        self._chosen: list[tuple[Callable[[AgentRequest], bool], _Script]] = []
        self._record = record
        self._scenes: set[Scene] = set()
        self.calls: list[Call] = []
        self.call_count = 0
        self.active = 0
        self.peak_active = 0

    def on(self, who: Who, *behaviours: Behaviour) -> "AgentOrchestratorStub":
        """Scripts an agent: its id, its persona's name, or a question about a request.

        The id wins over the persona, a name over a question; a second script for
        the same name replaces the first.
        """
        script = _Script(behaviours)
        if isinstance(who, str):
            self._named[who] = script
        else:
            self._chosen.append((who, script))
        return self

    def calls_of(self, who: str) -> list[Call]:
        """The calls of that agent, by id or persona, in order."""
        return [
            call
            for call in self.calls
            if who in (call.request.agent_id, call.request.agent)
        ]

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """Plays the next behaviour of the agent's script."""
        scripted = self._named or self._chosen
        script = self._script_for(request) if scripted else self._default
        part = script.next()
        call = self._begin(request)
        try:
            if isinstance(part, _PlainReply):
                return await part.play(request, report)
            return await self._play(part, Scene(request, report))
        except asyncio.CancelledError:
            if call is not None:
                call.cancelled = True
            raise
        finally:
            self.active -= 1
            if call is not None:
                call.ended_at = asyncio.get_running_loop().time()

    async def aclose(self) -> None:
        """Ends what still runs, as killed."""
        for scene in self._scenes:
            if scene.closing is not None and not scene.closing.done():
                scene.closing.set_result(None)
        await asyncio.sleep(0)

    def _begin(self, request: AgentRequest) -> Call | None:
        self.call_count += 1
        self.active += 1
        self.peak_active = max(self.peak_active, self.active)
        if not self._record:
            return None
        call = Call(request, asyncio.get_running_loop().time())
        self.calls.append(call)
        return call

    def _script_for(self, request: AgentRequest) -> "_Script":
        for name in (request.agent_id, request.agent):
            if name in self._named:
                return self._named[name]
        for applies, script in self._chosen:
            if applies(request):
                return script
        return self._default

    async def _play(self, behaviour: Behaviour, scene: Scene) -> AgentOutput:
        self._scenes.add(scene)
        try:
            scene.report(_STARTED)
            return _output(scene.request, await _answer(behaviour, scene))
        except asyncio.CancelledError:
            await _resist(scene.resist)
            raise
        finally:
            self._scenes.discard(scene)
            scene.report(scene.ended(scene.exit_code))


class _PlainReply:
    """A constant answer without delay, its reports made once.

    The whole engine has a budget of microseconds per task; played as a scene, a
    reply alone would cost several of them.
    """

    __slots__ = ("_ended", "_said", "_text")

    def __init__(self, text: str) -> None:
        data = text.encode(errors="replace")
        self._text = text
        self._said = OutputReceived("stdout", data)
        self._ended = AgentEnded(0, output=text)

    async def play(self, request: AgentRequest, report: Report) -> AgentOutput:
        ended = _CUT_SHORT
        try:
            report(_STARTED)
            await asyncio.sleep(0)
            report(self._said)
            ended = self._ended
        finally:
            report(ended)
        return _output(request, self._text)


class _Script:
    """Behaviours in order; the last one stays."""

    __slots__ = ("_left",)

    def __init__(self, behaviours: tuple[Behaviour, ...]) -> None:
        parts = (part for each in behaviours for part in _parts(each))
        self._left: deque[Behaviour | _PlainReply] = deque(parts)
        if not self._left:
            problem = "a script needs at least one behaviour"
            raise ValueError(problem)

    def next(self) -> Behaviour | _PlainReply:
        return self._left.popleft() if len(self._left) > 1 else self._left[0]


def _parts(behaviour: Behaviour) -> list[Behaviour | _PlainReply]:
    match behaviour.steps:
        case (Reply(text=str(text)),) if len(text) < presets.CAPTURE_BYTES // 4:
            return [_PlainReply(text)] * behaviour.repeat
        case _:
            return [behaviour] * behaviour.repeat


async def _answer(behaviour: Behaviour, scene: Scene) -> str:
    for step in behaviour.steps:
        text = await step.play(scene)
        if text is not None:
            return text
    return await Reply(SIMULATED_REPLY).play(scene)


async def _resist(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        # What resists one cancellation resists the next one too.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(left)


def _output(request: AgentRequest, text: str) -> AgentOutput:
    return AgentOutput(text, request.agent_id, request.request_id, simulated=True)
