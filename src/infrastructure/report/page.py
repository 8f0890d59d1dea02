"""A run as one HTML file that needs nothing else: no network, no script.

Written without a template engine: loading one costs more than most runs, and every run
ends with a report.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from muster.domain.outcome import SpawnResult
from muster.domain.run_results import Totals
from muster.infrastructure.cost_words import money, usage_of
from muster.infrastructure.report.by_agent import agents
from muster.infrastructure.report.chart import chart, critical_path
from muster.infrastructure.report.html import clean, counted, seconds
from muster.infrastructure.report.interruptions import Interruption
from muster.infrastructure.report.sections import (
    failures,
    is_left_out,
    not_done,
    outputs,
    tasks,
)
from muster.infrastructure.report.telling import telling
from muster.infrastructure.report.timeline import Timeline, timeline

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""


@frozen(kw_only=True)
class Told:
    """What a page tells of a run besides its results. ``mask`` takes secrets out.

    ``totals`` are those of the results, where they are known already.
    """

    summary: Mapping[str, Any] | None = None
    dependencies: Mapping[str, Sequence[str]] | None = None
    titles: Mapping[str, str] | None = None
    interruptions: Sequence[Interruption] = ()
    mask: Callable[[str], str] | None = None
    totals: Totals | None = None


def render(
    run_id: str, results: Mapping[str, SpawnResult], told: Told | None = None
) -> str:
    """The page. Everything that agents wrote is escaped and stripped of controls.

    It grows with the run up to a few megabytes, and says what it leaves out.
    """
    told = told or Told()
    dependencies = told.dependencies or {}
    found = telling(results, dependencies, told.totals)
    results = found.results
    cut = [each for death in told.interruptions for each in death.attempts]
    line = timeline(results, dependencies, cut, took=found.took, unseen=found.unseen)
    titles, mask = told.titles or {}, told.mask
    unseen = found.totals.count - len(results)
    # By hand: importlib.resources costs more to import than all the rest here.
    style = Path(__file__).with_name("style.css").read_text("utf-8")
    left_out = {name: each for name, each in found.failed.items() if is_left_out(each)}
    failed = {n: each for n, each in found.failed.items() if n not in left_out}
    parts = [
        f"{_HEAD}<title>muster run {clean(run_id)}</title>\n",
        f"<style>\n{style}</style>\n</head>\n<body><main>\n",
        *_top(run_id, found.totals, told),
        *_tiles(found.totals, told.summary or {}, line, len(failed), len(left_out)),
        *failures(failed, mask),
        *not_done(left_out, mask),
        *chart(line, mask),
        *critical_path(line, results, titles, mask),
        *tasks(results, titles, mask, unseen),
        *agents(found.totals.agents, mask),
        *outputs(results, mask, unseen),
        "</main></body></html>",
    ]
    return "".join(parts)


def _top(run_id: str, totals: Totals, told: Told) -> Iterator[str]:
    summary = told.summary or {}
    began = "resumed" if told.interruptions else "began"
    words = [str(summary.get("status") or "did not end")]
    words += [
        f"{word} {str(summary[key])[:19].replace('T', ' ')} UTC"
        for word, key in ((began, "started_at"), ("ended", "completed_at"))
        if summary.get(key)
    ]
    yield f"<h1>Run {clean(run_id)}</h1>\n"
    yield f'<p class="soft">{clean(" · ".join(words))}'
    if totals.simulated:
        yield ' · <span class="stamp">some answers are simulated</span>'
    yield "</p>\n"
    for death in told.interruptions:
        gap = seconds(max(death.resumed_at - death.last_sign, 0.0))
        names = ", ".join(each.task_id for each in death.attempts[:20])
        lost = f"; cut off and run again: {names}" if names else ""
        text = f"Interrupted, and resumed {gap} after its last sign of life{lost}."
        yield f"<p>{clean(text)}</p>\n"


def _tiles(
    totals: Totals,
    summary: Mapping[str, Any],
    line: Timeline,
    failed: int,
    left_out: int,
) -> Iterator[str]:
    recovered, leftovers = totals.recovered, totals.leftovers
    usage = usage_of(summary.get("usage"))
    worked = line.seconds - line.paused
    rows: list[tuple[str, str, str]] = [
        ("", f"{summary.get('total') or totals.count:,}", "tasks"),
        ("good", f"{totals.succeeded:,}", "done"),
        ("bad" if failed else "", f"{failed:,}", "failed"),
        *([("", f"{left_out:,}", "not done")] if left_out else []),
        *([("", f"{recovered:,}", "recovered")] if recovered else []),
        ("", seconds(worked), "at work"),
        *([("", seconds(line.paused), "paused")] if line.paused else []),
        *(
            [("", seconds(line.critical_seconds), "critical path")]
            if line.critical_path
            else []
        ),
        ("", "unknown" if usage.tokens is None else f"{usage.tokens:,}", "tokens"),
        ("", money(usage, 2) or "unknown", "cost"),
        *([("", counted(leftovers), "left-overs ended")] if leftovers else []),
    ]
    yield '<div class="tiles">\n'
    for kind, number, word in rows:
        how = "unknown" if number == "unknown" else kind
        yield f'<div class="tile {how}"><b>{number}</b>{word}</div>\n'
    yield "</div>\n"
