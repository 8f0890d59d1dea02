"""A run's folder: its plan, each result as soon as its task ends, its summary.

<home>/runs/<run id>/plan
                     results/<task>.json
                     output/<task>.{out,err}
                     summary.json
"""

import asyncio
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from attrs import define, field

from muster.application.ports.clock import Clock
from muster.application.ports.randomness import Randomness
from muster.domain.errors import JournalError
from muster.domain.outcome import SpawnResult
from muster.infrastructure.data_folder import make_home
from muster.infrastructure.durable_file import (
    FOLDER_MODE,
    sync_folders,
    write_again,
    write_durably,
)
from muster.infrastructure.masked_file import mask_file
from muster.infrastructure.safe_name import numbered_name, safe_name
from muster.infrastructure.secrets import Redactor

RUNS: Final = "runs"
PLAN: Final = "plan"
RESULTS: Final = "results"
OUTPUT: Final = "output"
SUMMARY: Final = "summary.json"
EVENTS: Final = "events.jsonl"
_TRIES: Final = 10


@define
class _Waiting:
    result: SpawnResult
    loop: asyncio.AbstractEventLoop
    recorded: "asyncio.Future[None]"

    def settle(self, error: tuple[str, str] | None) -> None:
        try:
            self.loop.call_soon_threadsafe(self._settle, error)
        except RuntimeError:
            # The host closed its loop: nobody waits any more.
            return

    def _settle(self, error: tuple[str, str] | None) -> None:
        if self.recorded.done():
            return
        if error is None:
            self.recorded.set_result(None)
        else:
            self.recorded.set_exception(JournalError(*error))


@define(eq=False)
class RunStore:
    """The memory of one run, on disk. A journal of results, one file each.

    `record` returns when its result would survive a power cut. One thread writes for
    all callers, and what waits together is written together. After a failed write
    the store is broken for good: what the disk then holds is not known.
    """

    run_id: str
    folder: Path
    redactor: Redactor = field(factory=Redactor)
    _waiting: list[_Waiting] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _is_writing: bool = field(default=False, init=False)
    _broken: str | None = field(default=None, init=False)
    _writer: ThreadPoolExecutor | None = field(default=None, init=False)

    @classmethod
    def create(
        cls,
        home: Path,
        *,
        clock: Clock,
        randomness: Randomness,
        redactor: Redactor | None = None,
        plan: str | bytes = b"",
    ) -> Self:
        """A folder for a new run, with the plan in it as given (secrets masked).

        Raises `JournalError` when results could not be kept there, so that nothing
        is started whose result would be lost.
        """
        redactor = redactor or Redactor()
        data = (
            plan.encode("utf-8", "surrogateescape") if isinstance(plan, str) else plan
        )
        try:
            folder = _new_folder(home, clock, randomness)
            write_durably(folder / PLAN, redactor.redact_bytes(data))
            sync_folders([folder, folder.parent, home])
        except OSError as exc:
            path = str(exc.filename or home)
            problem = f"results can't be kept here: {exc.strerror or exc}"
            raise JournalError(problem, path) from exc
        return cls(folder.name, folder, redactor)

    async def record(self, result: SpawnResult) -> None:
        """Returns when the result is durable. Raises `JournalError` if it can't be."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(result, loop, loop.create_future())
        with self._lock:
            if self._broken is not None:
                raise JournalError(self._broken, str(self.folder))
            self._waiting.append(waiting)
            if not self._is_writing:
                self._is_writing = True
                self._executor().submit(self._write_all)
        await waiting.recorded

    def output_path(self, task_id: str) -> str:
        """Where a big output of that task belongs, without ``.out`` or ``.err``."""
        return str(self.folder / OUTPUT / safe_name(task_id))

    def result_path(self, result: SpawnResult) -> Path:
        """The file of a result."""
        if result.task_id is None:
            name = numbered_name(result.task_index)
        else:
            name = safe_name(result.task_id)
        return self.folder / RESULTS / f"{name}.json"

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes ``summary.json``, secrets masked. Raises `JournalError`."""
        document = self.redactor.redact_document(summary)
        try:
            write_durably(self.folder / SUMMARY, _json(document))
            sync_folders([self.folder])
        except OSError as exc:
            raise JournalError(_lost(exc), str(self.folder / SUMMARY)) from exc

    async def complete(self, summary: Mapping[str, Any]) -> None:
        """Returns when the summary is durable. Raises `JournalError`."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor(), self.write_summary, summary)

    async def aclose(self) -> None:
        """Waits until everything that was recorded is written. Then the thread ends."""
        executor, self._writer = self._writer, None
        if executor is not None:
            loop = asyncio.get_running_loop()
            last = loop.create_future()
            executor.submit(_tell, loop, last)
            await last
            # Its last job is done: this is a matter of microseconds.
            executor.shutdown(wait=True)

    def _executor(self) -> ThreadPoolExecutor:
        if self._writer is None:
            name = f"muster-journal-{self.run_id}"
            self._writer = ThreadPoolExecutor(1, thread_name_prefix=name)
        return self._writer

    def _write_all(self) -> None:
        while True:
            with self._lock:
                batch, self._waiting = self._waiting, []
                if not batch:
                    self._is_writing = False
                    return
            error = self._write(batch)
            for each in batch:
                each.settle(error)

    def mask_outputs(self, result: SpawnResult) -> None:
        """Takes the secrets out of the files that the task has filled. Raises OSError."""
        if result.output_path is None or result.task_id is None:
            return
        prefix = self.output_path(result.task_id)
        for suffix in (".out", ".err"):
            mask_file(Path(prefix + suffix), self.redactor)

    def keep_outputs(self, result: SpawnResult, output: str, stderr: str) -> None:
        """Writes what the task said, masked, where people look for it. Raises OSError.

        What outgrew memory is there as a whole.
        """
        if result.task_id is None:
            return
        prefix = self.output_path(result.task_id)
        for path, text in ((prefix + ".out", output), (prefix + ".err", stderr)):
            if text and not (result.output_path and Path(path).exists()):
                write_again(path, text.encode("utf-8", "replace"))

    def _write(self, batch: list[_Waiting]) -> tuple[str, str] | None:
        if self._broken is None:
            try:
                for each in batch:
                    self.mask_outputs(each.result)
                    document = self.redactor.redact_document(each.result.to_dict())
                    write_durably(self.result_path(each.result), _json(document))
                    said = document["output"], document["stderr"]
                    self.keep_outputs(each.result, *said)
                sync_folders([self.folder / RESULTS])
            except (OSError, ValueError, TypeError, RecursionError) as exc:
                # A failed fsync is never tried again: the kernel has dropped the pages.
                self._broken = _lost(exc)
        if self._broken is None:
            return None
        return self._broken, str(self.folder)


def _tell(loop: asyncio.AbstractEventLoop, last: "asyncio.Future[None]") -> None:
    def settle() -> None:
        if not last.done():
            last.set_result(None)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return


def _lost(exc: Exception) -> str:
    reason = getattr(exc, "strerror", None) or str(exc)
    return f"a result could not be written: {reason}; the run stops here"


def _json(document: Any) -> bytes:
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return text.encode("utf-8", "replace") + b"\n"


def _new_folder(home: Path, clock: Clock, randomness: Randomness) -> Path:
    runs = home / RUNS
    make_home(home)
    runs.mkdir(mode=FOLDER_MODE, exist_ok=True)
    for _ in range(_TRIES):
        folder = runs / new_run_id(clock, randomness)
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            continue
        (folder / RESULTS).mkdir(mode=FOLDER_MODE)
        (folder / OUTPUT).mkdir(mode=FOLDER_MODE)
        return folder
    raise FileExistsError(0, "no unused run id was found", str(runs))


def new_run_id(clock: Clock, randomness: Randomness) -> str:
    """An id that sorts by time (UTC) and that no other process gives out."""
    moment = datetime.fromtimestamp(clock.epoch(), UTC)
    return f"{moment:%Y%m%dT%H%M%S.%fZ}-{randomness.token()}"
