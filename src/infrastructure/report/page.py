"""A run as one HTML file that needs nothing else: no network, no script."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, select_autoescape

from muster.domain.outcome import SpawnResult
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.report.timeline import timeline

MAX_OUTPUT = 20_000


def render(
    run_id: str,
    results: Mapping[str, SpawnResult],
    *,
    summary: Mapping[str, Any] | None = None,
    dependencies: Mapping[str, Sequence[str]] | None = None,
    titles: Mapping[str, str] | None = None,
) -> str:
    """The page. Everything that agents wrote is escaped and stripped of controls."""
    environment = Environment(
        autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["clean"] = _clean
    environment.filters["seconds"] = _seconds
    source = files(__package__).joinpath("report.html.j2").read_text("utf-8")
    return environment.from_string(source).render(
        run_id=run_id,
        results=results,
        failed={name: each for name, each in results.items() if not each.success},
        summary=summary or {},
        line=timeline(results, dependencies),
        titles=titles or {},
        recovered=sum(
            each.success and each.retry_count > 0 for each in results.values()
        ),
        leftovers=sum(each.leftovers for each in results.values()),
        simulated=any(each.simulated for each in results.values()),
        max_output=MAX_OUTPUT,
    )


def _clean(text: str | None) -> str:
    return strip_terminal(text or "")


def _seconds(value: float | None) -> str:
    if value is None:
        return "unknown"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:  # noqa: PLR2004 - two minutes are still read as seconds
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds} s"
