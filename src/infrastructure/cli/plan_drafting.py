"""A plan file from a goal: the phases up to the route, and nothing that works on it."""

from itertools import count
from pathlib import Path
from typing import Any, Final

from muster.application.soar.respond import SoarReport, document
from muster.domain.complexity import Complexity
from muster.domain.errors import ConfigError
from muster.domain.question import Question
from muster.infrastructure.cli import running, soar_stage
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.soar import journal_of
from muster.infrastructure.cli.soar_flags import SoarFlags
from muster.infrastructure.cli.soar_stage import Errand, Returned
from muster.infrastructure.plan_files.draft import to_markdown
from muster.infrastructure.soar_document import SoarDocument

STEM: Final = "muster-plan"


def drafted(goal: Question, who: SoarFlags, console: Output) -> Returned:
    """What came of it; agents are asked for subgoals and for nothing else."""
    settings = who.settings()
    # A goal is to be split, however simple it is.
    asked = SoarDocument(goal, Complexity.MEDIUM)
    return soar_stage.go(
        Errand(
            asked=asked,
            settings=settings,
            output=console,
            journal=lambda: journal_of(asked, settings, who),
            timeout=who.timeout,
            dry_run=True,
        )
    )


def draft(
    goal: Question, who: SoarFlags, console: Output, *, output: Path | None
) -> int:
    """Writes the plan to ``output``, else to stdout; the exit code."""
    ended: Any = drafted(goal, who, console)
    return running.last_words(ended, lambda: _show(ended.report, console, output))


def spawn_from(goal: Question, who: SoarFlags, console: Output) -> tuple[int, Path]:
    """Writes the plan beside where one stands; the exit code, and its file."""
    ended: Any = drafted(goal, who, console)
    path = _free_name()
    if ended.report.problem is None:
        write_new(path, markdown(ended.report))
    else:
        _complain(ended.report, console)
    return int(ended.code), path


def markdown(report: SoarReport) -> str:
    """The plan as a file."""
    return to_markdown(report.question.text, report.subgoals, report.assignments)


def write_new(path: Path, text: str) -> None:
    """Writes a file that is not there yet. Raises `ConfigError`."""
    try:
        with path.open("x", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except FileExistsError as error:
        problem = f"{path}: is there already; name another file"
        raise ConfigError(problem, "--output") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "--output") from error


def _show(report: SoarReport, console: Output, output: Path | None) -> None:
    if report.problem is not None:
        _complain(report, console)
        return
    text = console.masked(markdown(report))
    if output is not None:
        write_new(output, text)
        console.say(f"plan in {output}; read it, then: muster run {output}")
    if console.is_json:
        console.document({**document(report), "plan": text})
    elif output is None:
        console.line(text.rstrip("\n"))


def _complain(report: SoarReport, console: Output) -> None:
    console.warn(console.masked(f"muster: no plan: {report.problem}"))


def _free_name() -> Path:
    names = (Path(f"{STEM}{f'-{n}' if n > 1 else ''}.md") for n in count(1))
    return next(each for each in names if not each.exists())
