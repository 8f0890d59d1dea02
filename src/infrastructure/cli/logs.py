"""`muster logs`: what the agents of a run wrote, whole, and as it comes."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from attrs import define, field
from cyclopts import Parameter

from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.cli import streams
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.stored import (
    UnknownRunError,
    is_cut_off,
    planned,
    state_of,
    stored_run,
    stored_task,
)
from muster.infrastructure.cli.summary import short_id
from muster.infrastructure.cli.words import took

if TYPE_CHECKING:
    from muster.domain.outcome import SpawnResult
    from muster.infrastructure.stored_runs import StoredRun

LOOK: Final = 0.2  # seconds between looks at a run that goes on
PIECE: Final = 64 * 1024


def logs(
    run: str = "last",
    task: str | None = None,
    /,
    *,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], help="Go on until the run ends.")
    ] = False,
    err: Annotated[bool, Parameter(help="What they wrote to stderr.")] = False,
    flags: OutputFlags | None = None,
) -> int:
    """Print what the agents of a run wrote, or those of one task of it.

    With --follow the output of each task comes when that task ends.
    """
    from muster.infrastructure.settings import Settings  # noqa: PLC0415
    from muster.infrastructure.stored_runs import read_run  # noqa: PLC0415

    out = Output.of(flags)
    home = Settings.load().home
    try:
        found = stored_run(home, run)
        is_followed = follow and found.summary is None
        if task is not None and not (is_followed and task in planned(found)):
            stored_task(found, task)
    except UnknownRunError as error:
        out.warn(f"muster logs: {error}")
        return ExitCode.USAGE
    for problem in found.problems:
        out.warn(f"muster logs: {problem}")
    transcript = Transcript(found.folder, "err" if err else "out", task, out)
    transcript.take(found)
    code = ExitCode.SUCCEEDED
    if is_followed:
        out.say(f"following {found.run_id} until it ends; Ctrl-C stops looking")
        code = _follow(home, found.run_id, transcript)
    if out.is_json:
        out.document(transcript.document(read_run(home, found.run_id)))
    return code


@define(eq=False)
class Transcript:
    """Prints what tasks wrote, each once; ``task`` None is all of them."""

    folder: Path
    stream: str
    task: str | None
    out: Output
    _told: set[str] = field(factory=set, init=False)

    def take(self, run: "StoredRun") -> None:
        """Prints the results that have come since the last call."""
        if self.out.is_json:
            return
        for name, result in run.results.items():
            if name in self._told or self.task not in (None, name):
                continue
            self._told.add(name)
            if self.task is None:
                self.out.line(f"==> {name}: {_headline(result)} <==")
            self._print(name, result)

    def document(self, run: "StoredRun") -> dict[str, object]:
        """The same for programs: task by task, as far as memory holds it."""
        return {
            "run_id": run.run_id,
            "stream": self.stream,
            "tasks": [
                {
                    "task_id": name,
                    "state": state_of(each),
                    "text": self._kept(each),
                    "truncated": each.truncated,
                    "file": str(whole) if whole else None,
                }
                for name, each in run.results.items()
                if self.task in (None, name)
                for whole in [self.whole(name, each)]
            ],
        }

    def whole(self, name: str, result: "SpawnResult") -> Path | None:
        """The file that holds everything, where a result holds only head and tail."""
        from muster.infrastructure.run_store import OUTPUT  # noqa: PLC0415
        from muster.infrastructure.safe_name import safe_name  # noqa: PLC0415

        if not result.truncated:
            return None
        file = self.folder / OUTPUT / f"{safe_name(name)}.{self.stream}"
        return file if file.is_file() else None

    def _kept(self, result: "SpawnResult") -> str:
        return result.output if self.stream == "out" else result.stderr

    def _print(self, name: str, result: "SpawnResult") -> None:
        file = self.whole(name, result)
        pieces = _pieces(file) if file else iter([self._kept(result)])
        last = "\n"
        # Stripped before it is masked: the masking cuts pieces anywhere.
        for piece in _masked(map(strip_terminal, pieces)):
            streams.write(piece)
            last = piece[-1:] or last
        if last != "\n":
            streams.write("\n")


def _follow(home: Path, run_id: str, transcript: Transcript) -> ExitCode:
    """Prints what comes until the run is over, or dead; Ctrl-C ends it."""
    from muster.infrastructure.stored_runs import read_run  # noqa: PLC0415

    seen: tuple[int, bool] | None = None
    is_over = is_dead = False
    while not is_over and not is_dead:
        is_dead = is_cut_off(transcript.folder)
        stamp = _stamp(transcript.folder)
        is_over = stamp[1]
        if stamp == seen and not is_dead:
            time.sleep(LOOK)
            continue
        seen = stamp
        transcript.take(read_run(home, run_id))
    if is_over:
        return ExitCode.SUCCEEDED
    transcript.out.warn(
        f"muster logs: the run was cut off: nobody works on it any more; "
        f"`muster resume {short_id(run_id)}` goes on with it"
    )
    return ExitCode.FAILED


def _stamp(folder: Path) -> tuple[int, bool]:
    """Changes when a result or the summary comes; costs no reading of results."""
    from muster.infrastructure.run_store import RESULTS, SUMMARY  # noqa: PLC0415

    is_over = (folder / SUMMARY).exists()
    try:
        return (folder / RESULTS).stat().st_mtime_ns, is_over
    except OSError:
        # Cut off before it had one, or deleted.
        return 0, is_over


def _headline(result: "SpawnResult") -> str:
    return f"{state_of(result)} in {took(result.execution_time)}"


def _pieces(file: Path) -> Iterator[str]:
    """A file in pieces that end at the end of a line where there is one."""
    rest = ""
    with file.open(encoding="utf-8", errors="replace", newline="") as opened:
        while piece := opened.read(PIECE):
            head, end, tail = (rest + piece).rpartition("\n")
            # A control sequence ends with its line at the latest, so none is cut.
            if end:
                yield head + end
                rest = tail
            elif len(rest) < PIECE * 16:
                rest += piece
            else:
                yield rest + piece
                rest = ""
    yield rest


def _masked(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces with secrets masked, also across their borders."""
    from muster.infrastructure.secrets import Redactor  # noqa: PLC0415

    stream = Redactor(os.environ).text_stream()
    for piece in pieces:
        yield stream.feed(piece)
    yield stream.finish()
