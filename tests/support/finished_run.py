"""A run on disk of which all tasks but the last are finished, made without running it."""

import json
from pathlib import Path

from attrs import frozen

from muster.application.resumption import identify
from muster.domain.outcome import Attempt, SpawnResult
from muster.infrastructure import plan_files
from muster.infrastructure.cli.past import keep_index
from muster.infrastructure.cli.running import plan_context
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.plan_files.index import PlanIndex
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.settings import Settings

HOME = ".muster"


@frozen
class FinishedRun:
    """The run's id, and the id of its only task that is left."""

    run_id: str
    left: str


def plan_text(count: int, tool: str) -> str:
    """So many tasks in TOML, the slowest of the formats; each tenth waits for another."""
    lines = [f'[defaults]\ntool = "{tool}"\n']
    for number in range(count):
        lines.append(f'[[task]]\nid = "t{number}"\nprompt = "hello {number}"\n')
        if number % 10 == 9:
            lines.append(f'depends = ["t{number - 1}"]\n')
    return "".join(lines)


def finished_run(folder: Path, count: int, tool: str) -> FinishedRun:
    """A run of `plan_text` in that folder, as its first command would have left it."""
    path = folder / "plan.toml"
    path.write_text(plan_text(count, tool))
    data = path.read_bytes()
    document = plan_files.document(path, text=data)
    plan = plan_files.to_plan(document, path.name)
    journal = RunJournal.create(
        folder / HOME,
        clock=SystemClock(),
        randomness=SystemRandomness(),
        plan=data,
        plan_path=path,
    )
    journal.identities = identify(plan, plan_context(Settings.load(folder, {}), plan))
    attempt = Attempt(1, None, tool, 1.0, 2.0)
    results = [
        SpawnResult(
            success=True,
            output="an answer " * 20,
            task_id=task.id,
            task_index=place,
            attempts=(attempt,),
            exit_code=0,
            tool=tool,
            execution_time=2.0,
        )
        for place, task in enumerate(plan.tasks[:-1])
    ]
    identities = journal.identities
    journal.adopt((each, identities[str(each.task_id)]) for each in results)
    for each in results:
        text = json.dumps({**each.to_dict(), "identity": identities[str(each.task_id)]})
        journal.result_path(each).write_text(text)
    keep_index(journal, PlanIndex.of(document, plan, path.name), data)
    journal.close()
    return FinishedRun(journal.run_id, plan.tasks[-1].id)
