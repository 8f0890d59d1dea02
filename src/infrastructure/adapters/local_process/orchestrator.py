"""Runs any program as an agent: a local process, its family contained, its pipes read."""

import asyncio
from collections.abc import Callable, Mapping

from muster.application.ports.agent_orchestrator import Capabilities, Report
from muster.domain import presets
from muster.domain.errors import AgentInvocationError
from muster.domain.events import AgentEnded
from muster.domain.outcome import Failure, FailureCause, Usage
from muster.domain.program_end import judge_program
from muster.domain.stream_outcome import judge_stream
from muster.domain.task import AgentOutput, AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.child import (
    Child,
    Containment,
    Launch,
)
from muster.infrastructure.adapters.local_process.environment import ChildEnvironment
from muster.infrastructure.adapters.local_process.executables import Executables
from muster.infrastructure.adapters.local_process.failures import (
    RequestRejectedError,
    failure_to_start,
)
from muster.infrastructure.adapters.local_process.homes import Homes
from muster.infrastructure.adapters.local_process.launching import (
    Folder,
    Launcher,
    Launching,
    PrivateFolder,
)
from muster.infrastructure.adapters.local_process.oom_kills import OomKills
from muster.infrastructure.adapters.local_process.running import Run
from muster.infrastructure.adapters.local_process.spool import Spools
from muster.infrastructure.adapters.local_process.stream_formats import parser_for
from muster.infrastructure.adapters.local_process.streams import Scratch
from muster.infrastructure.clock import SystemClock

_KILLED = (-9, 128 + 9)  # by SIGKILL, the leader or what a shell waited for


class LocalProcessOrchestrator:
    """The adapter for programs of this machine. Bound to the loop of its containment.

    Output that outgrows memory and has no place in a run goes to a private folder
    that lives until `aclose`.
    """

    def __init__(
        self,
        containment: Containment,
        *,
        environ: Mapping[str, str],
        executables: Executables | None = None,
        epoch: Callable[[], float] | None = None,
    ) -> None:
        self.capabilities = Capabilities("local_process", isolates_processes=True)
        self._containment = containment
        self._private = PrivateFolder()
        self._launcher = Launcher(
            ChildEnvironment(environ),
            executables or Executables(environ),
            Homes(self._private.path),
        )
        self._spools = Spools(self._private.path)
        self._scratch = Scratch()
        self._turns = asyncio.Semaphore(presets.STARTS_AT_ONCE)
        self._oom_kills = OomKills()
        self._epoch = epoch or SystemClock().epoch

    async def invoke(self, request: AgentRequest, report: Report) -> AgentOutput:
        """See `AgentOrchestrator`. Reported chunks are valid only during the call."""
        run = self._new_run(request, report)
        started_at = asyncio.get_running_loop().time()
        try:
            # Before anything is opened: a thousand that wait hold no pipes, and no
            # environments, whose memory would stay with the process.
            async with self._turns:
                run.started(await self._start(run, request))
            await run.done
            if run.outstayed:
                await run.stop()
        except RequestRejectedError as error:
            ended = await run.finish()
            report(ended)
            raise AgentInvocationError(request.agent_id, error.failure, ended) from (
                error.__cause__ or error
            )
        except BaseException:
            await run.stop()
            report(await run.finish())
            raise
        ended = await run.finish()
        report(ended)
        if run.interrupted is not None:
            raise run.interrupted
        failure = self._failure_of(request.tool, run, ended, started_at)
        if failure is not None:
            raise AgentInvocationError(request.agent_id, failure, ended)
        return AgentOutput(
            content=ended.output,
            agent_id=request.agent_id,
            request_id=request.request_id,
            usage=run.outcome.usage if run.outcome else None,
        )

    async def aclose(self) -> None:
        """See `AgentOrchestrator`."""
        try:
            await self._containment.aclose()
        finally:
            self._scratch.readiness.close()
            self._private.remove()

    def _new_run(self, request: AgentRequest, report: Report) -> Run:
        run = Run(
            report,
            scratch=self._scratch,
            spools=self._spools,
            output_path=request.output_path,
            grace=request.grace,
        )
        if request.tool is not None:
            begins = request.session_id is None
            run.parser = parser_for(
                request.tool.output,
                run.read,
                epoch=self._epoch,
                before=Usage() if begins else request.session_usage,
            )
        return run

    def _prepare(self, request: AgentRequest) -> Launching:
        try:
            folder = Folder(request.output_path, self._private)
            return self._launcher.prepare(request, folder)
        except OSError as error:
            problem = f"a file for the agent can't be written: {error}"
            cause = FailureCause.DISK_FULL
            raise RequestRejectedError(Failure(cause, problem)) from error

    async def _start(self, run: Run, request: AgentRequest) -> Child:
        launching = self._prepare(request)
        run.clean_up = launching.clean_up
        try:
            stdin, stdout, stderr = run.open(launching.prompt)
            launch = Launch(
                argv=launching.argv,
                executable=launching.executable,
                env=launching.env,
                cwd=launching.cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                stop_signal=launching.stop_signal,
                grace=request.grace,
            )
            return await self._containment.start(launch)
        except OSError as error:
            if request.tool is not None:
                self._launcher.forget(request.tool)
            failure = failure_to_start(
                error,
                executable=launching.executable,
                argv=launching.argv,
                env=launching.env,
                cwd=launching.cwd,
            )
            raise RequestRejectedError(failure) from error
        finally:
            run.close_theirs()

    def _failure_of(
        self, spec: ToolSpec | None, run: Run, ended: AgentEnded, started_at: float
    ) -> Failure | None:
        name = spec.name if spec else None
        if run.gone.lost and not run.outstayed:
            message = f"the keeper of '{name}' was killed, and the agent with it"
            return Failure(FailureCause.KILLED, message)
        if run.outcome is not None:
            return judge_stream(
                run.outcome,
                exit_code=ended.exit_code,
                stderr=ended.stderr[-presets.JUDGED_TAIL_BYTES :],
                tool=name,
                stopped=run.outstayed,
                oom_killed=self._was_oom_killed(ended, started_at),
                now_epoch=self._epoch(),
            )
        return judge_program(
            ended,
            spec,
            oom_killed=self._was_oom_killed(ended, started_at),
            now_epoch=self._epoch(),
        )

    def _was_oom_killed(self, ended: AgentEnded, started_at: float) -> bool | None:
        if ended.exit_code not in _KILLED:
            return False
        now = asyncio.get_running_loop().time()
        return self._oom_kills.struck(started_at, now)
