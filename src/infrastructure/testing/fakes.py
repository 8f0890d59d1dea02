"""Hand-written stand-ins for the ports, named after them. None of them waits or draws."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from muster.domain.agent_profile import AgentProfile
from muster.domain.errors import JournalError, ToolNotFoundError
from muster.domain.fleet_events import FleetEvent
from muster.domain.lane_notice import LaneNotice
from muster.domain.outcome import SpawnResult
from muster.domain.tool import ToolSpec
from muster.infrastructure.clock import SystemClock

if TYPE_CHECKING:
    from muster.application.ports.agent_registry import AgentRegistry
    from muster.application.ports.clock import Clock
    from muster.application.ports.event_sink import EventSink
    from muster.application.ports.halt_checker import HaltChecker
    from muster.application.ports.journal import Journal
    from muster.application.ports.lane_gate import LaneGate
    from muster.application.ports.randomness import Randomness
    from muster.application.ports.tool_registry import ToolRegistry

E = TypeVar("E")


@define
class FixedClock:
    """A clock that stands still until somebody moves it. Seconds."""

    now: float = 0.0
    epoch_at_zero: float = 1_750_000_000.0

    def monotonic(self) -> float:
        """Now."""
        return self.now

    def epoch(self) -> float:
        """Now, since 1970."""
        return self.epoch_at_zero + self.now

    def utc(self, epoch: float) -> str:
        """As the system's clock writes it."""
        return SystemClock().utc(epoch)

    def zone_offset(self, zone: str | None, epoch: float) -> float | None:
        """As the system knows it; here it is always UTC."""
        return SystemClock().zone_offset(zone or "UTC", epoch)

    def advance(self, seconds: float) -> None:
        """Moves both readings on."""
        self.now += seconds


class FixedRandomness:
    """Draws that are known: the given ones in turn, for ever. Tokens are counted."""

    def __init__(self, *draws: float) -> None:
        self._draws = draws or (0.5,)
        self._drawn = 0
        self._tokens = 0

    def draw(self) -> float:
        """The next of the given numbers."""
        self._drawn += 1
        return self._draws[(self._drawn - 1) % len(self._draws)]

    def token(self) -> str:
        """``t1``, ``t2``, ..."""
        self._tokens += 1
        return f"t{self._tokens}"


@define
class RecordingSink:
    """An event sink that keeps all events; with an error it raises after keeping."""

    events: list[FleetEvent] = field(factory=list)
    error: Exception | None = None

    def emit(self, event: FleetEvent) -> None:
        """Keeps the event."""
        self.events.append(event)
        if self.error is not None:
            raise self.error

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


@define
class MemoryJournal:
    """A journal that forgets at exit. ``broken`` makes every record fail."""

    results: list[SpawnResult] = field(factory=list)
    broken: bool = False
    run_id: str = "memory"
    summary: dict[str, Any] = field(factory=dict)

    async def complete(self, summary: Mapping[str, Any]) -> None:
        """Keeps the summary."""
        self.summary = dict(summary)

    async def record(self, result: SpawnResult) -> None:
        """Keeps the result, or raises `JournalError`."""
        if self.broken:
            raise JournalError("no space left on device")
        self.results.append(result)

    def output_path(self, task_id: str) -> str | None:
        """None: nothing is written to disk."""
        return None


@define
class HaltSwitch:
    """A halt that a test pulls."""

    reason: str | None = None

    def halt(self, reason: str) -> None:
        """From now on everything is halted."""
        self.reason = reason

    def resume(self) -> None:
        """No longer."""
        self.reason = None

    async def is_halted(self) -> bool:
        """Whether it was pulled."""
        return self.reason is not None

    async def halt_reason(self) -> str | None:
        """Why."""
        return self.reason


class NullLaneGate:
    """A gate behind which nobody else is."""

    def read(self, lane: str) -> LaneNotice | None:
        """Nothing, ever."""
        return None

    def publish(self, lane: str, notice: LaneNotice) -> None:
        """Tells nobody."""


class FixedAgents:
    """A registry of the given profiles; a bare name makes an empty one."""

    def __init__(self, *profiles: AgentProfile | str) -> None:
        each = (AgentProfile(p) if isinstance(p, str) else p for p in profiles)
        self._profiles = {profile.name: profile for profile in each}

    def find(self, name: str) -> AgentProfile | None:
        """The profile of that name, or None."""
        return self._profiles.get(name)

    def names(self) -> Sequence[str]:
        """All names, sorted."""
        return sorted(self._profiles)


class FixedTools:
    """A registry of the given tools; the first one is the default.

    Without any, every name is a program that exists.
    """

    def __init__(self, *tools: ToolSpec) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def resolve(self, tool: str | ToolSpec | None) -> ToolSpec:
        """The tool, or `ToolNotFoundError`."""
        if isinstance(tool, ToolSpec):
            return tool
        if not self._tools:
            name = tool or "sim"
            return ToolSpec(name, name)
        found = self._tools.get(tool) if tool else next(iter(self._tools.values()))
        if found is None:
            raise ToolNotFoundError(str(tool))
        return found


if TYPE_CHECKING:
    # A port that changes turns its fake red here, before any test runs.
    _CLOCK: Clock = FixedClock()
    _RANDOMNESS: Randomness = FixedRandomness()
    _EVENT_SINK: EventSink = RecordingSink()
    _JOURNAL: Journal = MemoryJournal()
    _HALT_CHECKER: HaltChecker = HaltSwitch()
    _LANE_GATE: LaneGate = NullLaneGate()
    _AGENT_REGISTRY: AgentRegistry = FixedAgents()
    _TOOL_REGISTRY: ToolRegistry = FixedTools()
