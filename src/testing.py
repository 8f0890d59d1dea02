"""The kit for tests: a scripted stub, virtual time, the adapters' suite, fakes of the ports.

`OrchestratorConformance` is what an adapter must pass; CONTRIBUTING shows how. The
words of a stub's script (`replies`, `fails`, `hangs`, ...) stand in `behaviours`.
Nothing here needs pytest, but the fixtures ``muster_stub`` and
``muster_virtual_time`` are there when it runs.
"""

from muster.infrastructure.adapters.stub.behaviours import (
    Behaviour,
    announces_retry,
    calls_tool,
    fails,
    floods,
    hangs,
    is_rate_limited,
    notes,
    prints,
    raises,
    replies,
    reports,
    resists,
    waits,
)
from muster.infrastructure.adapters.stub.orchestrator import AgentOrchestratorStub, Call
from muster.infrastructure.testing.conformance import OrchestratorConformance
from muster.infrastructure.testing.fakes import (
    FixedAgents,
    FixedClock,
    FixedRandomness,
    FixedTools,
    HaltSwitch,
    MemoryJournal,
    NullLaneGate,
    RecordingSink,
)
from muster.infrastructure.testing.virtual_time import (
    EverybodyWaitsError,
    VirtualClock,
    VirtualTimeLoop,
    in_virtual_time,
    run_in_virtual_time,
)

__all__ = [
    "AgentOrchestratorStub",
    "Behaviour",
    "Call",
    "EverybodyWaitsError",
    "FixedAgents",
    "FixedClock",
    "FixedRandomness",
    "FixedTools",
    "HaltSwitch",
    "MemoryJournal",
    "NullLaneGate",
    "OrchestratorConformance",
    "RecordingSink",
    "VirtualClock",
    "VirtualTimeLoop",
    "announces_retry",
    "calls_tool",
    "fails",
    "floods",
    "hangs",
    "in_virtual_time",
    "is_rate_limited",
    "notes",
    "prints",
    "raises",
    "replies",
    "reports",
    "resists",
    "run_in_virtual_time",
    "waits",
]
