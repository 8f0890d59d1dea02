"""The model behind the phases: an agent without a persona, asked through the fleet.

So any tool serves, with its lane, its retries and its deadlines; and an answer that the
journal has for the very same purpose is given again and nobody is started.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, field

from muster.application.batch import BatchOptions, Job
from muster.application.soar.ledger import Ledger, identity_of, place_of
from muster.application.spawning import Spawning
from muster.domain.errors import MusterError
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.task import SpawnTask


@define(eq=False)
class ModelFailedError(MusterError):
    """The model has given no answer in a phase; ``failure`` says why."""

    task_id: str
    failure: Failure

    def __str__(self) -> str:
        cause = self.failure.cause.value
        return f"{self.task_id}: no answer ({cause}: {self.failure.message})"


@define(eq=False)
class Model:
    """Asks; every answer is recorded before anybody sees it.

    ``mask`` takes secrets out of what is sent and of what came.
    """

    ledger: Ledger
    mask: Callable[[str], str] = str
    recovery: RecoveryPolicy | None = None
    stopped: Callable[[], str | None] = field(default=lambda: None)

    async def ask(self, task_id: str, prompt: str, *, about: Any = None) -> str:
        """The answer. Raises `ModelFailedError`, and `JournalError`.

        ``about`` is what the answer is good for (None: this prompt alone). A run that
        is taken up again asks nobody twice, though by now the prompt would show other
        agents to choose from, or another pattern.
        """
        fleet = self.ledger.fleet
        task = SpawnTask(
            self.mask(prompt),
            tool=fleet.tool,
            model=fleet.model,
            task_id=task_id,
            display_name=task_id,
        )
        key = identity_of(task_id, task.prompt if about is None else about)
        result = self.ledger.recall(task_id, key)
        if result is None or not result.success:
            result = await self._run(task, key)
        if result.failure is not None:
            raise ModelFailedError(task_id, result.failure)
        return self.mask(result.output)

    async def _run(self, task: SpawnTask, key: str) -> SpawnResult:
        task_id = str(task.task_id)
        reason = self.stopped()
        if reason is not None:
            failure = Failure(FailureCause.CANCELLED, f"not asked: {reason}")
            raise ModelFailedError(task_id, failure)
        ledger = self.ledger
        ledger.identities[task_id] = key
        ledger.recalled.discard(task_id)
        came: list[SpawnResult] = []
        options = BatchOptions(
            max_concurrent=1, recovers=True, recovery=self.recovery, fallback=False
        )
        batch = Spawning(ledger.fleet, options, lambda _, each: came.append(each))
        batch.add(Job(place_of(task_id), task), 0.0)
        await batch.run(())
        ledger.results[task_id] = came[0]
        return came[0]
