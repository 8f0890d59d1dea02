"""Of a run of 100,000 tasks, the few thousand results that a page has room for."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from attrs import field, frozen

from muster.domain.outcome import SpawnResult
from muster.domain.run_results import RunResults, Totals, run_results
from muster.infrastructure.report.sections import MAX_TASKS
from muster.infrastructure.report.timeline import critical_path

MAX_LOADED: Final = 5_000
MAX_LONGEST: Final = 2_000
MAX_CRITICAL: Final = 500


@frozen
class Telling:
    """``results`` are shown, and ``totals`` are those of all. ``unseen`` are the times
    of the others, ``took`` the seconds of each.
    """

    results: Mapping[str, SpawnResult]
    totals: Totals
    failed: Mapping[str, SpawnResult]
    took: Mapping[str, float]
    unseen: Sequence[tuple[float, float]] = field(default=())


def telling(
    results: Mapping[str, SpawnResult],
    dependencies: Mapping[str, Sequence[str]],
    totals: Totals | None = None,
) -> Telling:
    """All that are in memory; of results that are still to be loaded, those that failed,
    those that the run waited for, those that took longest, and the first ones.
    """
    if not isinstance(results, RunResults) or len(results) <= MAX_LOADED:
        # They may be loaded at each look: one look each.
        results = run_results(dict(results))
        totals = totals or results.totals()
        return Telling(results, totals, results.failed(), results.seconds())
    failed, took, spans = results.failed(), results.seconds(), results.spans()
    chosen = {
        *critical_path(took, dependencies)[:MAX_CRITICAL],
        *sorted(took, key=took.__getitem__, reverse=True)[:MAX_LONGEST],
        *islice(results, MAX_TASKS),
    }
    shown = {
        each: failed.get(each) or results[each]
        for each in results
        if each in chosen or each in failed
    }
    unseen = [span for each, span in spans.items() if each not in shown]
    return Telling(shown, totals or results.totals(), failed, took, unseen)
