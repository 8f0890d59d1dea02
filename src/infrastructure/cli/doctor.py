"""`muster doctor`: what stands in the way of a run here, and what to do about it."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from attrs import frozen
from cyclopts import Parameter

from muster.infrastructure.cli.columns import screen_width, wrapped
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.words import plural

if TYPE_CHECKING:
    from muster.domain.errors import ConfigError
    from muster.infrastructure.doctor.finding import Finding
    from muster.infrastructure.settings import Settings

MARKS: Final = {"ok": "ok", "warning": "warning", "problem": "PROBLEM"}
_WIDEST_MARK: Final = max(map(len, MARKS.values()))


def doctor(
    *,
    reap: Annotated[
        bool, Parameter(help="End the processes that dead runs left behind.")
    ] = False,
    flags: OutputFlags | None = None,
) -> int:
    """Check this machine and this project, and say of each finding what to do.

    Exits with 1 when there is a problem; warnings alone are no problem.
    """
    from muster.infrastructure.doctor.finding import has_problem  # noqa: PLC0415

    out = Output.of(flags)
    findings = list(Examination.of(os.environ, Path.cwd()).findings(reap=reap))
    is_well = not has_problem(findings)
    if out.is_json:
        document = [each.to_dict() for each in findings]
        out.document({"ok": is_well, "findings": document})
    else:
        for line in screen(findings, screen_width()):
            out.line(line)
    return ExitCode.SUCCEEDED if is_well else ExitCode.FAILED


@frozen
class Examination:
    """Everything that is looked at, in the order in which it is told."""

    environ: Mapping[str, str]
    settings: "Settings"
    error: "ConfigError | None" = None

    @classmethod
    def of(cls, environ: Mapping[str, str], folder: Path) -> "Examination":
        """The one of a folder; with the defaults where its settings can't be read."""
        from muster.domain.errors import ConfigError  # noqa: PLC0415
        from muster.infrastructure.doctor import project  # noqa: PLC0415
        from muster.infrastructure.settings import Settings  # noqa: PLC0415

        try:
            return cls(environ, Settings.load(folder, environ))
        except ConfigError as error:
            found = project.without_settings(environ, folder)
            return cls(environ, found, error)

    def findings(self, *, reap: bool = False) -> "Iterator[Finding]":
        """One finding after the other; ``reap`` ends what dead runs left behind."""
        yield from self._machine()
        yield from self._project()
        yield from self._programs(reap=reap)

    def _machine(self) -> "Iterator[Finding]":
        from muster.infrastructure.clock import SystemClock  # noqa: PLC0415
        from muster.infrastructure.doctor import limits, machine  # noqa: PLC0415

        yield machine.python()
        yield from machine.containing(self.settings.containment)
        yield from limits.judge_limits(limits.read_limits())
        yield machine.clock(SystemClock().epoch(), self._newest_run())
        yield from machine.search_path(self.environ)

    def _project(self) -> "Iterator[Finding]":
        from muster.infrastructure.doctor import project  # noqa: PLC0415
        from muster.infrastructure.user_folders import (  # noqa: PLC0415
            gate_of,
            profiles_of,
        )

        settings = self.settings
        yield from project.settings(self.error)
        yield project.profiles(profiles_of(settings, self.environ))
        yield from project.home(settings.home)
        ignored = project.ignored(settings.home)
        if ignored is not None:
            yield ignored
        yield project.lanes(gate_of(self.environ))
        yield project.nesting(self.environ, settings.max_depth)

    def _programs(self, *, reap: bool) -> "Iterator[Finding]":
        from muster.domain import presets  # noqa: PLC0415
        from muster.infrastructure.adapters.local_process import (  # noqa: PLC0415
            leftovers,
        )
        from muster.infrastructure.cli.tools import (  # noqa: PLC0415
            registry_of,
            rows_with_versions,
        )
        from muster.infrastructure.doctor import programs  # noqa: PLC0415

        registry = registry_of(self.settings, self.environ)
        yield from programs.tools(registry, self.settings.tool)
        here = [each for each in registry.detect() if each.spec.is_agent]
        agents = [each.spec for each in here]
        most = self.settings.max_concurrent or presets.MAX_CONCURRENT
        yield from programs.memory(agents, most, programs.available_mib())
        rows = asyncio.run(rows_with_versions(self.settings, self.environ))
        said = {each.name: each.version for each in rows}
        path = self.environ.get("PATH", os.defpath)
        yield from programs.shadowed(here, path, said)
        yield from programs.versions((each, said.get(each.name)) for each in agents)
        found = leftovers.find()
        yield programs.reaped(found) if reap else programs.left_running(found)

    def _newest_run(self) -> str | None:
        from muster.domain.errors import JournalError  # noqa: PLC0415
        from muster.infrastructure.stored_runs import list_runs  # noqa: PLC0415

        try:
            found = list_runs(self.settings.home)
        except JournalError:
            return None  # what keeps the home from being read is a finding of its own
        return found[-1] if found else None


def screen(findings: "list[Finding]", width: int) -> Iterator[str]:
    """What a person reads: one line each, below it what to do; the worst stands last."""
    findings = sorted(findings, key=lambda each: list(MARKS).index(each.level))
    size = max((len(each.subject) for each in findings), default=0)
    left = " " * (_WIDEST_MARK + size + 4)
    for each in findings:
        front = f"{MARKS[each.level]:<{_WIDEST_MARK}}  {each.subject:<{size}}  "
        yield from wrapped(each.what, width=width, indent=left, first=front)
        for detail in each.details:
            line = _process(detail)
            yield from wrapped(line, width=width, indent=left + "  ", first=left)
        if each.advice:
            arrow = f"{left}-> "
            yield from wrapped(
                each.advice, width=width, indent=left + "   ", first=arrow
            )
    yield ""
    yield _sum(findings)


def _process(detail: dict[str, Any]) -> str:
    run = f"run {detail['run_id']}" if detail["run_id"] else "a call without a run"
    return (
        f"pid {detail['pid']}, {detail['age_s']:.0f} s old: {detail['command']} ({run})"
    )


def _sum(findings: "list[Finding]") -> str:
    problems, warnings = (
        sum(each.level == level for each in findings)
        for level in ("problem", "warning")
    )
    if not problems and not warnings:
        return "All is well."
    said = (_counted(problems, "problem"), _counted(warnings, "warning"))
    return ", ".join(filter(None, said)) + "."


def _counted(number: int, noun: str) -> str:
    return plural(number, noun) if number else ""
