"""Works on a question, and tells what it came to."""

from typing import Any

from muster.application.soar.respond import Detail, document, lines, plan_lines
from muster.infrastructure.cli import running, soar_stage
from muster.infrastructure.cli.soar_stage import Errand, Returned


def answer(errand: Errand, detail: Detail) -> int:
    """The exit code."""
    ended: Any = soar_stage.go(errand)
    return running.last_words(ended, lambda: _show(ended, errand, detail))


def _show(ended: Returned, errand: Errand, detail: Detail) -> None:
    report, console = ended.report, errand.output
    if console.is_json:
        console.document({**document(report), "report": str(ended.folder)})
        return
    if report.problem is not None:
        console.warn(console.masked(f"muster: no answer: {report.problem}"))
    if errand.jsonl or report.problem is not None:
        return
    if errand.dry_run:
        console.line(console.masked("\n".join(plan_lines(report))))
        console.say(f"no agent was started; `muster resume {report.run_id}` goes on")
        return
    console.line(console.masked("\n".join(lines(report, detail))))
