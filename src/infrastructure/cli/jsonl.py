"""``--jsonl``: one event a line on stdout. The first is ``launch``, the last ``done``."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from muster.application.ports.clock import Clock
from muster.domain.fleet_events import AttemptProgressed, FleetEvent, TaskEnded
from muster.domain.outcome import SpawnResult
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.cli.background import Background, write_all
from muster.infrastructure.cli.output import json_text
from muster.infrastructure.event_log import MAX_TEXT, event_document, event_name

PROGRESS_INTERVAL: Final = 0.5  # seconds, per task: it is progress, not a transcript


def to_stdout(data: bytes) -> None:
    """Writes to the descriptor of stdout."""
    write_all(1, data)


@define(eq=False)
class JsonLines:
    """An `EventSink` for programs. Secrets are masked, controls taken out."""

    run_id: str
    clock: Clock
    background: Background
    mask: Callable[[Any], Any]
    result_path: Callable[[SpawnResult], Path]
    write: Callable[[bytes], object] = to_stdout
    _told_at: dict[int, float] = field(factory=dict, init=False)

    def emit(self, event: FleetEvent) -> None:
        """See `EventSink`."""
        if isinstance(event, AttemptProgressed) and self._is_early(event.task_index):
            return
        document = event_document(event)
        if isinstance(event, TaskEnded):
            document["result"] = str(self.result_path(event.result))
        self.tell(event_name(event), document)

    def tell(self, name: str, fields: Mapping[str, Any]) -> None:
        """One line about something that is no event of the fleet."""
        moment = self.clock.utc(self.clock.epoch())
        head = {"event": name, "run_id": self.run_id, "time": moment}
        line = json_text({**head, **self.mask(_clean(fields))}) + "\n"
        self.background.do(partial(self.write, line.encode("utf-8", "replace")))

    def _is_early(self, index: int) -> bool:
        now = self.clock.monotonic()
        if now - self._told_at.get(index, -PROGRESS_INTERVAL) < PROGRESS_INTERVAL:
            return True
        self._told_at[index] = now
        return False


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        # Cut generously first: a line may be a megabyte.
        return strip_terminal(value[: 4 * MAX_TEXT])[:MAX_TEXT]
    if isinstance(value, Mapping):
        return {key: _clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return value
