"""From a question to an answer: what the way itself costs, without models.

    python -m benchmarks.soar [--quick]

Model and agents answer at once, six subgoals wait for each other in two steps, and every
phase is durable in a journal on this disk. Retrieval is measured by ``knowledge``.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Report, script
from muster import AgentOrchestratorStub, AgentRequest, Fleet
from muster.application.soar.pipeline import Soar
from muster.application.soar.respond import SoarReport
from muster.domain.complexity import assess
from muster.domain.question import Question
from muster.domain.run_report import RunStatus
from muster.infrastructure.answer_files import FileAnswers
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness
from muster.testing import replies

QUESTION = (
    "Refactor the authentication of the whole service, migrate the database schema, "
    "and then write security tests for both"
)
SUBGOALS = 6
ROUNDS = 15
QUICK_ROUNDS = 5
LIMIT = 0.050


def said(request: AgentRequest) -> str:
    """What model and agents answer."""
    task_id = str(request.task_id)
    if task_id == "decompose":
        subgoals = [
            {
                "description": f"part {number}",
                "ideal_agent": "reader",
                "match_quality": "insufficient",
                "depends_on": [number - 3] if number > SUBGOALS // 2 else [],
            }
            for number in range(1, SUBGOALS + 1)
        ]
        return json.dumps({"subgoals": subgoals})
    if task_id == "synthesize":
        numbers = list(range(1, SUBGOALS + 1))
        claims = [{"claim": "it is so", "subgoals": numbers}]
        answer = {"answer": "It is so.", "confidence": 0.9, "claims": claims}
        return json.dumps(answer)
    return "An answer of some length. " * 40


async def asked(home: Path) -> tuple[float, SoarReport]:
    """Seconds from the question to the answer."""
    clock = SystemClock()
    stub = AgentOrchestratorStub(replies(said), record=False)
    async with Fleet.open({"home": str(home)}, orchestrator=stub) as fleet:
        journal = RunJournal.create(home, clock=clock, randomness=SystemRandomness())
        identities: dict[str, str] = {}
        journal.identities = identities
        soar = Soar(
            fleet.context.for_run(journal, None),
            Question(QUESTION),
            answers=FileAnswers(home),
            uses_cache=False,
            identities=identities,
        )
        began = time.perf_counter()
        report = await soar.run()
        took = time.perf_counter() - began
        await journal.aclose()
    assert report.status is RunStatus.SUCCEEDED
    assert len(report.subgoals) == SUBGOALS
    return took, report


async def measure(report: Report, home: Path, rounds: int) -> None:
    """All figures."""
    await asked(home)
    took = sorted([(await asked(home))[0] for _ in range(rounds)])
    report.figure(
        f"a question with {SUBGOALS} subgoals, best of {rounds}",
        # What else runs here is no cost of ours.
        took[0] * 1000,
        LIMIT * 1000,
        "ms",
    )
    _, last = await asked(home)
    for phase in last.phases:
        report.note(f"  of it {phase.phase.value}", phase.seconds * 1000, "ms")
    began = time.perf_counter()
    for _ in range(rounds):
        assess(QUESTION)
    report.note("an assessment", (time.perf_counter() - began) / rounds * 1e6, "µs")


def main(quick: bool) -> int:  # noqa: FBT001 - called by `script`
    """See the top of the file."""
    report = Report("From a question to an answer, without models")
    with tempfile.TemporaryDirectory() as folder:
        rounds = QUICK_ROUNDS if quick else ROUNDS
        asyncio.run(measure(report, Path(folder), rounds))
    return report.missed


if __name__ == "__main__":
    sys.exit(script(main, __doc__))
