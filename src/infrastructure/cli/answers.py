"""``--output DIR``: each answer as a file of its own, as soon as its task succeeds."""

from functools import partial
from pathlib import Path

from attrs import define

from muster.domain.fleet_events import FleetEvent, TaskEnded
from muster.domain.outcome import SpawnResult
from muster.infrastructure.cli.background import Background
from muster.infrastructure.cli.streams import OutputLostError
from muster.infrastructure.safe_name import safe_name


@define(eq=False)
class Answers:
    """An `EventSink` that writes ``<folder>/<task>.txt``."""

    folder: Path
    background: Background

    def emit(self, event: FleetEvent) -> None:
        """See `EventSink`."""
        if isinstance(event, TaskEnded) and event.result.success:
            self.background.do(partial(write_answer, self.folder, event.result))


def write_answer(folder: Path, result: SpawnResult) -> None:
    """The whole answer, also where memory kept a part of it. Raises `OutputLostError`."""
    name = safe_name(result.task_id or str(result.task_index))
    path, new = folder / f"{name}.txt", folder / f".{name}.new"
    try:
        new.write_bytes(whole_answer(result))
        new.replace(path)
    except OSError as error:
        problem = error.strerror or str(error)
        raise OutputLostError(problem, str(path)) from error


def whole_answer(result: SpawnResult) -> bytes:
    """The answer as bytes; of a truncated one, what its file holds. Raises OSError."""
    if result.truncated and result.output_path:
        return Path(result.output_path).read_bytes()
    return result.output.encode("utf-8", "replace")
