"""What a phase has come to is durable before the next one begins.

A phase that is taken up again with the same input gets the same output, and nobody is
asked again. Its record is a result of the run like every other, under the phase's name.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from attrs import define, field

from muster.application.fleet_context import FleetContext
from muster.domain.errors import JournalError
from muster.domain.identity import canonical
from muster.domain.outcome import FailureCause, SpawnResult

Known = Callable[[str, str], SpawnResult | None]
REPAIR: Final = "decompose-repair"
RETRY: Final = "decompose-retry"
# Before the subgoals stand the phases that make them, in the order of the run.
BEFORE: Final = (
    "assess",
    "sources",
    "retrieve",
    "decompose",
    REPAIR,
    RETRY,
    "verify",
    "route",
)
_AFTER: Final = ("answer", "answer-repair", "synthesize", "synthesize-repair", "record")
_SUBGOAL: Final = re.compile(r"s([1-9][0-9]{0,4})")
_ROOM: Final = 1000  # for subgoals, whatever their limit will be
# Ended from outside or kept waiting: it had no say yet.
UNHEARD: Final = frozenset(
    {
        FailureCause.BUDGET,
        FailureCause.CANCELLED,
        FailureCause.HALTED,
        FailureCause.PARKED,
    }
)


def place_of(task_id: str) -> int:
    """Where a task stands in the order of its run. Raises `KeyError`."""
    places = {name: at for at, name in enumerate(BEFORE)}
    after = len(BEFORE) + _ROOM
    places |= {name: after + at for at, name in enumerate(_AFTER)}
    if task_id in places:
        return places[task_id]
    found = _SUBGOAL.fullmatch(task_id)
    if found is None:
        raise KeyError(task_id)
    return len(BEFORE) - 1 + int(found[1])


def unknown(task_id: str, identity: str) -> None:
    """For a run that has no past."""
    return


def identity_of(*parts: Any) -> str:
    """The same for the same parts, on every machine."""
    return sha256(b"muster soar 1" + canonical(parts)).hexdigest()


@define(eq=False)
class Ledger:
    """The memory of one question's run.

    ``known(task_id, identity)`` is what the journal has; ``identities`` gets the
    identity of each task before it is recorded. ``results`` are all that came, by task;
    ``recalled`` those of them that were known.
    """

    fleet: FleetContext
    known: Known = unknown
    identities: dict[str, str] = field(factory=dict)
    results: dict[str, SpawnResult] = field(factory=dict, init=False)
    recalled: set[str] = field(factory=set, init=False)

    def recall(self, task_id: str, identity: str) -> SpawnResult | None:
        """What is known of exactly that, unless it never had its say."""
        result = self.known(task_id, identity)
        cause = result.failure.cause if result and result.failure else None
        if result is None or cause in UNHEARD:
            return None
        self.results[task_id] = result
        self.recalled.add(task_id)
        return result

    async def phase(
        self,
        name: str,
        inputs: Any,
        make: Callable[[], Awaitable[Mapping[str, Any]]],
    ) -> Mapping[str, Any]:
        """The phase's output for these inputs, durable. Raises `JournalError`."""
        identity = identity_of(name, inputs)
        result = self.recall(name, identity)
        if result is not None and result.success:
            return _loaded(result)
        clock = self.fleet.clock
        began = clock.monotonic()
        document = await make()
        took = clock.monotonic() - began
        await self.keep(name, document, identity, took)
        return document

    async def keep(
        self, name: str, document: Mapping[str, Any], identity: str, took: float
    ) -> None:
        """Makes the output of a phase durable. Raises `JournalError`."""
        result = SpawnResult(
            success=True,
            output=json.dumps(document, ensure_ascii=False),
            task_id=name,
            task_index=place_of(name),
            tool="muster",
            execution_time=took,
        )
        self.identities[name] = identity
        if self.fleet.journal is not None:
            await self.fleet.journal.record(result)
        self.results[name] = result


def _loaded(result: SpawnResult) -> Mapping[str, Any]:
    try:
        document: Mapping[str, Any] = json.loads(result.output)
    except ValueError as error:
        problem = f"the record of phase '{result.task_id}' is damaged ({error})"
        raise JournalError(problem) from error
    return document
