"""Holds a council, and tells what it came to."""

from typing import Any

from muster.infrastructure.cli import council_stage, running
from muster.infrastructure.cli.council_stage import Adjourned, Sitting
from muster.infrastructure.cli.council_summary import CouncilSummary
from muster.infrastructure.report.minutes import NAME


def sit(sitting: Sitting) -> int:
    """Holds it, and tells what it came to; the exit code."""
    ended: Any = council_stage.hold(sitting)
    return running.last_words(ended, lambda: _show(ended, sitting))


def _show(ended: Adjourned, sitting: Sitting) -> None:
    report, console = ended.report, sitting.output
    if console.is_json:
        document = {
            "run_id": report.run_id,
            "status": report.status.value,
            "topic": sitting.council.topic,
            "members": [each.name for each in sitting.council.members],
            **report.verdict.to_dict(),
            "simulated": any(each.simulated for each in report.results.values()),
            "minutes": str(ended.folder / NAME),
            "report": str(ended.folder),
        }
        console.document(document)
    elif not sitting.jsonl:
        lines = CouncilSummary(report, sitting.council, ended.folder).lines()
        console.line(console.masked("\n".join(lines)))
