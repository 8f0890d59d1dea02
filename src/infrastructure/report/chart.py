"""The chart of attempts by agent, and the path that nothing could shorten."""

from collections.abc import Iterator, Mapping
from typing import Final

from muster.domain.outcome import SpawnResult
from muster.infrastructure.report.html import Mask, clean, counted, seconds
from muster.infrastructure.report.timeline import CUT, Bar, Group, Timeline

_KEY: Final = (
    ("good-bar", "done"),
    ("transient", "transient"),
    ("timeout", "timeout"),
    ("resource", "resource"),
    ("permanent", "permanent"),
    ("unknown", "unknown"),
    ("fallback", "fallback"),
    (CUT, "cut off"),
)
_LABELLED: Final = 0.9  # percent of the width for each character of a label
_LAST: Final = 96.0  # percent: a label from here on would leave the chart
MAX_TITLE: Final = 200
MAX_PATH: Final = 100


def chart(line: Timeline, mask: Mask) -> Iterator[str]:
    """All attempts on one axis of time."""
    if not line.groups:
        return
    yield '<h2>Attempts over time, by agent</h2>\n<div class="chart">\n'
    folds = "".join(
        f'<div class="fold" style="left:{at:.2f}%" title="{clean(_pause(gap))}"></div>'
        for at, gap in line.breaks
    )
    for group in line.groups:
        yield from _group(group, folds, mask)
    yield '<div class="group"><span></span><div class="axis">'
    for at, label in line.ticks:
        end = ' class="end"' if at > _LAST else ""
        yield f'<span{end} style="left:{at:.2f}%">{label}</span>'
    yield "</div></div>\n"
    yield from _key(line)
    yield "</div>\n"


def _key(line: Timeline) -> Iterator[str]:
    kinds = {bar.kind for group in line.groups for lane in group.lanes for bar in lane}
    yield '<div class="key">'
    for name, word in _KEY:
        if name.removesuffix("-bar") in kinds:
            yield f'<span><i class="{name}"></i>{word}</span>'
    if line.critical_path:
        yield '<span><i class="critical"></i>on the critical path</span>'
    for _, gap in line.breaks:
        yield f"<span>┊ {clean(_pause(gap))}</span>"
    if line.left_out:
        yield f"<span>{counted(line.left_out)} short attempts are left out</span>"
    yield "</div>\n"


def critical_path(
    line: Timeline,
    results: Mapping[str, SpawnResult],
    titles: Mapping[str, str],
    mask: Mask,
) -> Iterator[str]:
    """The chain of tasks that took longest, in their order."""
    if not line.critical_path:
        return
    yield f"<h2>Critical path: {seconds(line.critical_seconds)}</h2>\n<ol>\n"
    for name in line.critical_path[:MAX_PATH]:
        took = seconds(results[name].execution_time)
        title = clean(titles.get(name), mask, 100)
        yield (
            f"<li><code>{clean(name, mask, MAX_TITLE)}</code> {title} "
            f'<span class="soft">{took}</span></li>\n'
        )
    yield "</ol>\n"
    more = len(line.critical_path) - MAX_PATH
    if more > 0:
        yield f'<p class="soft">and {counted(more)} more</p>\n'


def _group(group: Group, folds: str, mask: Mask) -> Iterator[str]:
    name = clean(group.agent, mask, MAX_TITLE)
    yield f'<div class="group"><span title="{name}">{name}</span><div class="lanes">'
    yield folds
    for lane in group.lanes:
        bars = "".join(_bar(each, mask) for each in lane)
        yield f'<div class="lane">{bars}</div>'
    yield "</div></div>\n"


def _bar(bar: Bar, mask: Mask) -> str:
    kind = "good-bar" if bar.kind == "good" else bar.kind
    name = clean(bar.task_id, mask, MAX_TITLE)
    has_room = bar.width > _LABELLED * (len(bar.task_id) + 1)
    classes = f"bar {kind}"
    classes += " critical" if bar.is_critical else ""
    classes += "" if has_room else " thin"
    place = f"left:{bar.left:.2f}%;width:{bar.width:.2f}%"
    title = clean(bar.title, mask, MAX_TITLE)
    label = name if has_room else ""
    return f'<div class="{classes}" style="{place}" title="{title}">{label}</div>'


def _pause(gap: float) -> str:
    return f"{seconds(gap)} in which nothing ran"
