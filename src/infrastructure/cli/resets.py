"""When a run that met a limit can go on, for its last words."""

from collections.abc import Iterable, Iterator
from typing import Final

from muster.domain.outcome import FailureCause, SpawnResult
from muster.infrastructure.cli.words import clock, local_time, one_line
from muster.infrastructure.clock import SystemClock

_LIMITS: Final = frozenset(
    {FailureCause.PARKED, FailureCause.QUOTA, FailureCause.RATE_LIMIT}
)


def reset_lines(
    results: Iterable[SpawnResult], now: float | None = None
) -> Iterator[str]:
    """A line for each tool whose limit resets later than ``now`` (epoch seconds)."""
    now = SystemClock().epoch() if now is None else now
    latest: dict[str, float] = {}
    for each in results:
        failure = each.failure
        if failure is None or failure.cause not in _LIMITS:
            continue
        moment = failure.resets_at or 0.0
        if moment > now:
            tool = each.tool or "the tool"
            latest[tool] = max(moment, latest.get(tool, 0.0))
    for tool, moment in latest.items():
        yield (
            f"limit    {one_line(tool)} until {local_time(moment)} "
            f"(in {clock(moment - now)}): resume then, or now with --wait-for-reset"
        )
