"""`muster show`: a run at a glance, or one task of it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Final

from muster.domain.terminal_text import strip_terminal
from muster.domain.usage_by_agent import usage_by_agent
from muster.infrastructure.cli.columns import aligned, screen_width, shortened, wrapped
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.stored import (
    UNFINISHED,
    UnknownRunError,
    state_of,
    status_of,
    stored_run,
    stored_task,
)
from muster.infrastructure.cli.summary import short_id
from muster.infrastructure.cli.words import is_left_out, name_of, plural, took
from muster.infrastructure.cost_words import spent

if TYPE_CHECKING:
    from muster.domain.outcome import Attempt, Failure, SpawnResult
    from muster.infrastructure.stored_runs import StoredRun

HEAD: Final = ("TASK", "WHO", "STATE", "TRIES", "TOOK", "ANSWER")
MAX_TASKS: Final = 200
MAX_LINES: Final = 30
MAX_NAMES: Final = 8
MAX_CELL: Final = 18
MAX_ANSWER: Final = 60
MAX_EVIDENCE: Final = 200


def show(
    run: str = "last",
    task: str | None = None,
    /,
    *,
    flags: OutputFlags | None = None,
) -> int:
    """Show a run (an id, a part of it, or `last`), or one task of it."""
    from muster.infrastructure.settings import Settings  # noqa: PLC0415

    out = Output.of(flags)
    try:
        found = stored_run(Settings.load().home, run)
        one = None if task is None else stored_task(found, task)
    except UnknownRunError as error:
        out.warn(f"muster show: {error}")
        return ExitCode.USAGE
    for problem in found.problems:
        out.warn(f"muster show: {problem}")
    if out.is_json:
        out.document(_document(found) if one is None else one[1].to_dict())
        return ExitCode.SUCCEEDED
    width = screen_width()
    lines = run_screen(found, width) if one is None else task_screen(found, *one, width)
    for line in lines:
        out.line(out.masked(line))
    return ExitCode.SUCCEEDED


def _document(run: "StoredRun") -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "folder": str(run.folder),
        "status": status_of(run),
        "summary": run.summary,
        "results": [each.to_dict() for each in run.results.values()],
        "problems": list(run.problems),
    }


def run_screen(run: "StoredRun", width: int) -> Iterator[str]:
    """A run: its tasks, then its failures with what gave them away."""
    yield f"run {run.run_id}"
    yield from wrapped(_headline(run), width=width)
    yield str(run.folder)
    if run.results:
        yield ""
        tasks = list(run.results.items())
        rows = [_row(name, each) for name, each in tasks[:MAX_TASKS]]
        yield from aligned(rows, width=width, head=HEAD, cut=True)
        if len(tasks) > MAX_TASKS:
            yield f"... and {len(tasks) - MAX_TASKS} more (--json has them all)"
    yield from _used(run.results)
    bad = [item for item in run.results.items() if not item[1].success]
    failed = [item for item in bad if not is_left_out(item[1])]
    for name, each in failed[:MAX_LINES]:
        yield ""
        yield from _failed(name, each, width)
    if len(failed) > MAX_LINES:
        yield f"... and {len(failed) - MAX_LINES} more failures"
    yield from _not_done([each for _, each in bad if is_left_out(each)], width)
    if run.results:
        short = short_id(run.run_id)
        yield ""
        yield f"next     muster show {short} TASK"
        yield f"         muster logs {short}"


def task_screen(
    run: "StoredRun", name: str, result: "SpawnResult", width: int
) -> Iterator[str]:
    """A task: what became of it, its attempts, the end of its answer."""
    who = f"{result.agent or 'no agent'} on {result.tool or 'no tool'}"
    yield from wrapped(f"{name}: {state_of(result)}, {who}", width=width)
    yield from wrapped(_numbers(result), width=width)
    if result.failure is not None:
        yield from _reason(result.failure, width)
    for attempt in result.attempts:
        yield from wrapped(_attempt(attempt), width=width, indent=" " * 6, first="  ")
    for title, text in (("answer", result.output), ("stderr", result.stderr)):
        yield from _end_of(title, text)
    if result.truncated and result.output_path:
        yield ""
        yield f"The whole: {result.output_path}"


def _used(results: "Mapping[str, SpawnResult]") -> Iterator[str]:
    """What was used, by agent where there were several."""
    used = usage_by_agent(results.values())
    if not used:
        return
    yield ""
    yield f"used     {spent(reduce(add, used.values()))}"
    if len(used) > 1:
        for name, usage in list(used.items())[:MAX_LINES]:
            yield f"         {shortened(name, MAX_CELL)}: {spent(usage)}"
    if len(used) > MAX_LINES:
        yield f"         ... and {len(used) - MAX_LINES} more agents"


def _headline(run: "StoredRun") -> str:
    summary = run.summary
    if summary is None:
        count = len(run.results)
        status = status_of(run)
        hint = f"; `muster resume {short_id(run.run_id)}` goes on with it"
        hint = hint if status == UNFINISHED else ""
        return f"{status}, {plural(count, 'result')} so far{hint}"
    left_out = sum(map(is_left_out, run.results.values()))
    numbers = {
        "succeeded": summary.get("succeeded", 0),
        "failed": summary.get("failed", 0) + summary.get("parked", 0) - left_out,
        "not done": left_out,
        "skipped": summary.get("skipped", 0),
    }
    parts = [f"{number} {word}" for word, number in numbers.items() if number > 0]
    time = took(summary.get("duration_s") or 0.0)
    total = summary.get("total", len(run.results))
    counts = ", ".join(parts) or "nothing was run"
    return f"{status_of(run)} after {time}, {plural(total, 'task')}: {counts}"


def _row(name: str, result: "SpawnResult") -> tuple[str, ...]:
    said = result.output if result.success else (result.error or "")
    last = next((each for each in reversed(said.splitlines()) if each.strip()), "")
    return (
        shortened(name, MAX_CELL),
        shortened(result.agent or result.tool or "-", MAX_CELL),
        state_of(result),
        str(len(result.attempts)),
        took(result.execution_time),
        shortened(last, MAX_ANSWER),
    )


def _failed(name: str, result: "SpawnResult", width: int) -> Iterator[str]:
    if result.failure is None:
        return
    path = f" after {', '.join(result.recovery_path)}" if result.recovery_path else ""
    yield from wrapped(f"task {name} failed{path}", width=width)
    yield from _reason(result.failure, width)


def _not_done(left_out: Sequence["SpawnResult"], width: int) -> Iterator[str]:
    """Each reason once: behind one failure there may be a hundred tasks."""
    reasons: dict[str, list[str]] = {}
    for each in left_out:
        name = name_of(each.task_id, each.task_index)
        reasons.setdefault(each.error or "", []).append(name)
    if reasons:
        yield ""
    for reason, names in list(reasons.items())[:MAX_LINES]:
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        text = f"{', '.join(names[:MAX_NAMES])}{more}: {reason}"
        yield from wrapped(text, width=width, indent=" " * 9, first="not done ")


def _reason(failure: "Failure", width: int) -> Iterator[str]:
    yield from wrapped(
        f"{failure.cause.value} ({failure.category.value}): {failure.message}",
        width=width,
        indent=" " * 6,
        first="  ",
    )
    if failure.detection_time_ms is not None:
        yield f"  seen after {failure.detection_time_ms / 1000:.2f} s"
    if failure.evidence is not None:
        text = shortened(failure.evidence.text, MAX_EVIDENCE)
        first = f"  {failure.evidence.stream}: "
        yield from wrapped(text, width=width, indent=" " * 6, first=first)


def _numbers(result: "SpawnResult") -> str:
    parts = [f"exit code {result.exit_code}", f"took {took(result.execution_time)}"]
    if result.leftovers:
        parts.append(f"{result.leftovers} left-over processes ended")
    if result.timeout_extended:
        parts.append("time limit extended")
    used = spent(result.usage)
    if used:
        parts.append(used)
    return ", ".join(parts)


def _attempt(attempt: "Attempt") -> str:
    waited = f" after a wait of {took(attempt.delay_before)}"
    used = spent(attempt.usage)
    words = [
        f"try {attempt.number}",
        " (fallback)" if attempt.fallback else "",
        waited if attempt.delay_before else "",
        f": {took(attempt.duration)}, ",
        attempt.failure.message if attempt.failure else "succeeded",
        f" ({used})" if used else "",
    ]
    return "".join(words)


def _end_of(title: str, text: str) -> Iterator[str]:
    lines = strip_terminal(text).rstrip("\n").split("\n")
    if lines == [""]:
        return
    yield ""
    left_out = len(lines) - MAX_LINES
    yield f"{title}:" if left_out <= 0 else f"{title}, the last {MAX_LINES} lines:"
    yield from lines[-MAX_LINES:]
