"""One agent from its pipes to `AgentEnded`: one future to wait for, no task of its own."""

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from muster.application.ports.agent_orchestrator import Report
from muster.domain import presets
from muster.domain.events import (
    AgentEnded,
    AgentEvent,
    AgentExited,
    AgentStarted,
    OutputReceived,
    TerminalRecordSeen,
    TextProduced,
    ToolCallOpened,
)
from muster.domain.stream_outcome import StreamOutcome
from muster.infrastructure.adapters.local_process.capture import Capture, Captured
from muster.infrastructure.adapters.local_process.child import Child, Gone
from muster.infrastructure.adapters.local_process.following import (
    FileFollower,
    FollowedFile,
)
from muster.infrastructure.adapters.local_process.spool import SpoolFile, Spools
from muster.infrastructure.adapters.local_process.stream_formats.parser import (
    StreamParser,
)
from muster.infrastructure.adapters.local_process.streams import (
    PipeReader,
    PromptFeeder,
    Scratch,
    Source,
    prompt_pipe,
    widen,
)

T = TypeVar("T")

_EXITED = AgentExited()
_STOP_MARGIN = 0.05  # of the half second in which a stop promises to be over


class Run:
    """The streams of one child, and when it is over.

    It is over when the family is gone and both streams are at their end, or
    `presets.DRAIN` after the leader's exit where somebody still holds them. With a
    ``parser``, a process that lingers behind its terminal record is waited for no
    longer, which ``outstayed`` says: it has to be stopped.
    """

    # What is kept here, and by closures, is kept for every agent that runs.
    __slots__ = (
        "_child",
        "_feeder",
        "_followed",
        "_grace",
        "_lingers",
        "_loop",
        "_output_path",
        "_report",
        "_scratch",
        "_sources",
        "_spools",
        "_theirs",
        "_timer",
        "clean_up",
        "done",
        "interrupted",
        "outcome",
        "outstayed",
        "parser",
    )

    def __init__(
        self,
        report: Report,
        *,
        scratch: Scratch,
        spools: Spools,
        output_path: str | None,
        grace: float,
    ) -> None:
        self._report = report
        self._scratch = scratch
        self._spools = spools
        self._output_path = output_path
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._theirs: list[int] = []
        self._sources: list[Source] = []
        self._followed: FileFollower | None = None
        self._feeder: PromptFeeder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._child: Child | None = None
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.interrupted: asyncio.CancelledError | None = None
        self.clean_up: Callable[[], None] | None = None  # called by `finish`
        self.parser: StreamParser | None = None
        self.outcome: StreamOutcome | None = None  # known after `finish`
        self.outstayed = False
        self._lingers: asyncio.TimerHandle | None = None

    def open(self, prompt: bytes) -> tuple[int, int, int]:
        """The child's stdin, stdout and stderr. Raises OSError; `finish` cleans up."""
        stdin, self._feeder = prompt_pipe(prompt)
        self._theirs.append(stdin)
        stdout = self._open_stdout()
        theirs = self._open_pipe("stderr")
        return stdin, stdout, theirs

    def close_theirs(self) -> None:
        """The child has its ends, or never will."""
        while self._theirs:
            os.close(self._theirs.pop())

    def started(self, child: Child) -> None:
        """Reads, writes and waits from now on."""
        self._child = child
        self._report(AgentStarted(child.pid, child.vitals))
        child.exited.add_done_callback(self._on_exit)
        child.gone.add_done_callback(self._on_gone)
        for source in self._sources:
            source.start()
        if self._feeder is not None:
            self._feeder.start()

    async def stop(self) -> None:
        """Ends the family, whoever cancels meanwhile, within the grace and half a second."""
        child = self._child
        if child is None:
            return
        child.stop(self._grace)
        await outlast(child.gone, self._grace + presets.KILL_BOUND + _STOP_MARGIN)
        if not child.gone.done():
            child.kill()
        for source in self._sources:
            source.drain()

    async def finish(self) -> AgentEnded:
        """Lets go of everything and says how it ended.

        Big texts are made in pieces, so that the loop is not held. A cancellation
        meanwhile is kept in `interrupted`: the end is reported before it is raised.
        """
        self.close_theirs()
        for timer in (self._timer, self._lingers):
            if timer is not None:
                timer.cancel()
        if self._feeder is not None:
            self._feeder.close()
        if self.clean_up is not None:
            self.clean_up()
        captured: list[Captured] = []
        for source in self._sources:
            source.close()
            captured.append(source.capture.finish())
        captured += [Captured()] * (2 - len(captured))
        stdout, stderr = captured
        if self.parser is not None:
            self.outcome = self.parser.finish()
            stdout = self._answer(self.outcome)
        if self._followed is not None:
            self._followed.release()
        output, errors = await self._text(stdout), await self._text(stderr)
        return self._ended(stdout, stderr, output, errors)

    @property
    def gone(self) -> Gone:
        """How the family ended; a leader that outlived every bound is unkillable."""
        child = self._child
        if child is None:
            return Gone()
        settled = _result(child.gone)
        return Gone(unkillable=(child.pid,)) if settled is None else settled

    def _answer(self, outcome: StreamOutcome) -> Captured:
        # The answer takes the place of the stream that carried it, in memory and on
        # disk. Without one, what the tool has printed besides says what went wrong.
        if self._followed is not None:
            self._followed.capture.give_up()
        text = outcome.text or outcome.unread
        capture = Capture(lambda: self.open_spool("stdout"))
        capture.add(text.encode(errors="replace"))
        return capture.finish()

    async def _text(self, captured: Captured) -> str:
        pieces: list[str] = []
        for piece in captured.pieces():
            if pieces:
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError as error:
                    self.interrupted = error
            pieces.append(piece)
        return "".join(pieces)

    def _ended(
        self, stdout: Captured, stderr: Captured, output: str, errors: str
    ) -> AgentEnded:
        gone = self.gone
        return AgentEnded(
            exit_code=_result(self._child.exited) if self._child else None,
            output=output,
            stderr=errors,
            truncated=stdout.truncated or stderr.truncated or self._is_cut(),
            output_path=stdout.path or stderr.path,
            leftovers=gone.leftovers,
            unkillable=gone.unkillable,
        )

    def _is_cut(self) -> bool:
        return self.outcome is not None and self.outcome.truncated

    def _open_stdout(self) -> int:
        ours, theirs = os.pipe()
        self._theirs.append(theirs)
        wide = widen(theirs)
        if not wide and self._follow():
            os.close(ours)
            os.close(theirs)
            self._theirs.remove(theirs)
            return self._theirs[-1]
        self._read_pipe(ours, "stdout", wide=wide)
        return theirs

    def _follow(self) -> bool:
        try:
            suffix = ".out" if self.parser is None else ".raw"
            file = FollowedFile(self._spools.path(self._output_path, suffix))
        except OSError:
            # A narrow pipe is better than no agent.
            return False
        self._theirs.append(file.writer)
        self._followed = FileFollower(file, self, self._scratch)
        self._sources.append(self._followed)
        return True

    def _open_pipe(self, stream: str) -> int:
        ours, theirs = os.pipe()
        self._theirs.append(theirs)
        self._read_pipe(ours, stream)
        return theirs

    def _read_pipe(self, ours: int, stream: str, *, wide: bool = False) -> None:
        capture = None
        if self.parser is not None and stream == "stdout":
            capture = Capture(lambda: None, presets.JUDGED_TAIL_BYTES)
        self._sources.append(
            PipeReader(ours, stream, self, self._scratch, wide=wide, capture=capture)
        )

    def open_spool(self, stream: str) -> SpoolFile | None:
        """See `Listener`."""
        suffix = ".out" if stream == "stdout" else ".err"
        try:
            return SpoolFile.create(self._spools.path(self._output_path, suffix))
        except OSError:
            return None

    def heard(self, stream: str, chunk: memoryview) -> None:
        """See `Listener`."""
        self._tell(OutputReceived(stream, chunk))
        if self.parser is None:
            return
        if stream == "stdout":
            self.parser.feed(chunk)
        elif self.parser.has_log:
            self.parser.feed_log(chunk)

    def read(self, event: AgentEvent) -> None:
        """What the parser reads out of the stream."""
        kind = type(event)
        if kind is TerminalRecordSeen:
            good = event.success  # type: ignore[union-attr]
            grace = presets.LATE_EXIT_GRACE if good else presets.LATE_FAILURE_GRACE
            self._wait_for_exit(grace)
        elif self._lingers is not None and kind in (TextProduced, ToolCallOpened):
            # It was not its last turn.
            self._wait_for_exit(presets.LATE_EXIT_GRACE)
        self._tell(event)

    def _wait_for_exit(self, grace: float) -> None:
        if self._lingers is not None:
            self._lingers.cancel()
        if not self.done.done():
            self._lingers = self._loop.call_later(grace, self._has_outstayed)

    def _has_outstayed(self) -> None:
        child = self._child
        if self.done.done() or (child is not None and child.exited.done()):
            return
        self.outstayed = True
        self.done.set_result(None)

    def _tell(self, event: AgentEvent) -> None:
        try:
            self._report(event)
        except BaseException as error:
            # Not the loop's matter: `invoke` ends the agent and raises it.
            if not self.done.done():
                self.done.set_exception(error)
            if not isinstance(error, Exception):
                raise

    def ended(self) -> None:
        """See `Listener`."""
        self._look()

    def _on_exit(self, exited: "asyncio.Future[int]") -> None:
        if self.done.done():
            return
        self._tell(_EXITED)
        if not self.done.done() and not self._gone_yet():
            self._timer = self._loop.call_later(presets.DRAIN, self._drained)

    def _on_gone(self, gone: "asyncio.Future[Gone]") -> None:
        if self.done.done():
            return
        for source in self._sources:
            source.drain()
        self._look()
        if not self.done.done() and self._timer is None:
            self._timer = self._loop.call_later(presets.DRAIN, self._drained)

    def _look(self) -> None:
        if not self.done.done() and self._gone_yet() and not any(self._open_sources()):
            self.done.set_result(None)

    def _drained(self) -> None:
        for source in self._open_sources():
            source.close()
        self._look()
        if not self.done.done():
            bound = self._grace + presets.KILL_BOUND + presets.DRAIN
            self._timer = self._loop.call_later(bound, self._give_up)

    def _give_up(self) -> None:
        if self._child is not None:
            self._child.kill()
        if not self.done.done():
            self.done.set_result(None)

    def _open_sources(self) -> Iterator[Source]:
        return (source for source in self._sources if not source.at_end)

    def _gone_yet(self) -> bool:
        return self._child is not None and self._child.gone.done()


async def outlast(future: "asyncio.Future[Gone]", limit: float) -> None:
    """Waits for ``future``, at most ``limit`` seconds, whoever cancels meanwhile.

    The caller is on its way out with a CancelledError of its own, which says it all.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    while not future.done() and (left := end - loop.time()) > 0:
        try:
            await asyncio.wait([future], timeout=left)
        except asyncio.CancelledError:
            continue


def _result(future: "asyncio.Future[T]") -> T | None:
    if not future.done() or future.cancelled() or future.exception() is not None:
        return None
    return future.result()
