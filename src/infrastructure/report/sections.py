"""The lists of a report: failures, what was not done, tasks, outputs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from muster.domain.outcome import FailureCause, SpawnResult, Usage
from muster.infrastructure.cost_words import money
from muster.infrastructure.report.html import Mask, clean, counted, seconds
from muster.infrastructure.report.timeline import who

MAX_FAILURES: Final = 200
MAX_REASONS: Final = 50
MAX_NAMES: Final = 40
MAX_TASKS: Final = 2_000
MAX_OUTPUT: Final = 20_000  # characters of one answer
MAX_OUTPUTS: Final = 2_000_000  # characters of all answers together
MAX_NAME: Final = 200
MAX_TEXT: Final = 2_000
_NUMBER: Final = re.compile(r"[0-9]+")
_LEFT_OUT: Final = frozenset(
    {
        FailureCause.BUDGET,
        FailureCause.CANCELLED,
        FailureCause.DEPENDENCY_FAILED,
        FailureCause.HALTED,
        FailureCause.PARKED,
    }
)


def is_left_out(result: SpawnResult) -> bool:
    """Whether a task was not done though nothing is wrong with it."""
    failure = result.failure
    if failure is None or failure.cause not in _LEFT_OUT:
        return False
    return not result.attempts or failure.cause is FailureCause.CANCELLED


def failures(failed: Mapping[str, SpawnResult], mask: Mask) -> Iterator[str]:
    """What failed, and what gave it away; what failed alike stands together."""
    if not failed:
        return
    alike: dict[tuple[str, str], list[str]] = {}
    for name, result in failed.items():
        assert result.failure is not None  # noqa: S101 - a failed result has one
        words = _NUMBER.sub("#", (result.error or "")[:MAX_TEXT])
        alike.setdefault((result.failure.cause.value, words), []).append(name)
    yield "<h2>Failures</h2>\n"
    for names in list(alike.values())[:MAX_FAILURES]:
        yield from _failure(names, failed, mask)
    yield _more(len(alike) - MAX_FAILURES, "kinds of failures")


def _failure(
    names: Sequence[str], failed: Mapping[str, SpawnResult], mask: Mask
) -> Iterator[str]:
    result = failed[names[0]]
    failure = result.failure
    assert failure is not None  # noqa: S101 - a failed result has one
    agents = dict.fromkeys(who(failed[each]) for each in names)
    times = f"{counted(len(names))} times " if len(names) > 1 else ""
    yield (
        f"<article><b><code>{_names(names, mask)}</code></b> "
        f'<span class="soft">{_names(list(agents), mask)}</span> · {times}'
        f'<b class="bad">{failure.cause.value}</b> '
        f'<span class="soft">({failure.category.value})</span>\n'
        f"<div>{clean(result.error, mask, MAX_TEXT)}</div>\n"
    )
    evidence = failure.evidence
    if evidence is not None and evidence.text.strip() not in (result.error or ""):
        text = clean(evidence.text, mask, MAX_TEXT)
        yield f'<span class="soft">{evidence.stream}</span><pre>{text}</pre>\n'
    first = "the first: " if len(names) > 1 else ""
    yield f'<div class="soft">{first}{" · ".join(_numbers(result))}</div></article>\n'


def not_done(left_out: Mapping[str, SpawnResult], mask: Mask) -> Iterator[str]:
    """What was never tried, by the reason for it."""
    reasons: dict[str, list[str]] = {}
    for name, result in left_out.items():
        reasons.setdefault(result.error or "", []).append(name)
    if reasons:
        yield "<h2>Not done</h2>\n"
    for reason, names in list(reasons.items())[:MAX_REASONS]:
        yield (
            f'<article class="calm"><b><code>{_names(names, mask)}</code></b>'
            f"<div>{clean(reason, mask, MAX_TEXT)}</div></article>\n"
        )
    yield _more(len(reasons) - MAX_REASONS, "reasons")


def tasks(
    results: Mapping[str, SpawnResult],
    titles: Mapping[str, str],
    mask: Mask,
    unseen: int = 0,
) -> Iterator[str]:
    """One row each; ``unseen`` more are not given. What nobody told is unknown, not 0."""
    if not results:
        return
    yield (
        '<h2>Tasks</h2>\n<div class="scroll"><table>\n<tr><th>task</th><th>agent</th>'
        '<th>tool</th><th>result</th><th class="n">tries</th><th class="n">time</th>'
        '<th class="n">tokens</th><th class="n">cost</th></tr>\n'
    )
    for name, result in list(results.items())[:MAX_TASKS]:
        tokens, cost = _costs(result.usage)
        title = clean(titles.get(name), mask, 60)
        yield (
            f"<tr><td><code>{clean(name, mask, MAX_NAME)}</code> {title}</td>"
            f"<td>{clean(result.agent, mask, MAX_NAME)}</td>"
            f"<td>{clean(result.tool, mask, MAX_NAME)}</td><td>{_state(result)}</td>"
            f'<td class="n">{len(result.attempts)}</td>'
            f'<td class="n">{seconds(result.execution_time)}</td>'
            f'<td class="n">{tokens}</td><td class="n">{cost}</td></tr>\n'
        )
    yield "</table></div>\n"
    yield _more(len(results) + unseen - MAX_TASKS, "tasks")


def outputs(
    results: Mapping[str, SpawnResult], mask: Mask, unseen: int = 0
) -> Iterator[str]:
    """The answers, as far as they fit on a page that opens at once."""
    said = {name: each for name, each in results.items() if each.output or each.stderr}
    if said:
        yield "<h2>Outputs</h2>\n"
    room, told = MAX_OUTPUTS, 0
    for name, result in list(said.items())[:MAX_TASKS]:
        if room <= 0:
            break
        told += 1
        room -= min(len(result.output), MAX_OUTPUT)
        room -= min(len(result.stderr), MAX_OUTPUT)
        cut = ", cut" if result.truncated else ""
        yield (
            f"<details><summary><code>{clean(name, mask, MAX_NAME)}</code> "
            f'<span class="soft">{counted(len(result.output))} characters{cut}</span>'
            f"</summary>\n<pre>{_excerpt(result.output, mask)}</pre>\n"
        )
        if result.output_path:
            path = clean(result.output_path, mask)
            yield f'<p class="soft">The whole output: <code>{path}</code></p>'
        if result.stderr:
            text = _excerpt(result.stderr, mask)
            yield f'<p class="soft">stderr</p><pre>{text}</pre>'
        yield "</details>\n"
    yield _more(len(said) + unseen - told, "outputs")


def _names(names: Sequence[str], mask: Mask) -> str:
    listed = ", ".join(clean(each, mask, MAX_NAME) for each in names[:MAX_NAMES])
    rest = len(names) - MAX_NAMES
    return listed + (f" and {counted(rest)} more" if rest > 0 else "")


def _excerpt(text: str, mask: Mask) -> str:
    """Head and tail: an answer says at its end what it came to."""
    if len(text) <= MAX_OUTPUT:
        return clean(text, mask)
    text = mask(text) if mask is not None else text
    half = MAX_OUTPUT // 2
    gap = f"\n\n[... {counted(max(len(text) - MAX_OUTPUT, 0))} characters ...]\n\n"
    return clean(text[:half]) + gap + clean(text[-half:])


def _numbers(result: SpawnResult) -> Iterator[str]:
    count = len(result.attempts)
    path = ", ".join(result.recovery_path)
    yield f"{count} attempt{'' if count == 1 else 's'}{': ' + path if path else ''}"
    yield f"took {seconds(result.execution_time)}"
    failure = result.failure
    if failure is not None and failure.detection_time_ms is not None:
        yield f"seen after {seconds(failure.detection_time_ms / 1000)}"
    if failure is not None and failure.evidence is not None:
        yield f"seen on {failure.evidence.stream}"
    if result.exit_code is not None:
        yield f"exit code {result.exit_code}"


def _state(result: SpawnResult) -> str:
    words = "done" if result.failure is None else result.failure.cause.value
    words += " by fallback" if result.success and result.fallback else ""
    words += ' <span class="stamp">simulated</span>' if result.simulated else ""
    return words + (' <span class="stamp">cached</span>' if result.cached else "")


def _costs(usage: Usage | None) -> tuple[str, str]:
    if usage is None:
        return "unknown", "unknown"
    tokens = "unknown" if usage.tokens is None else counted(usage.tokens)
    return tokens, money(usage) or "unknown"


def _more(number: int, what: str) -> str:
    if number <= 0:
        return ""
    words = f"and {counted(number)} more {what}: `muster show RUN --json` has them all"
    return f'<p class="soft">{words}</p>\n'
