"""`muster spawn`."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

from attrs import frozen
from cyclopts import Parameter

from muster.domain.errors import ConfigError
from muster.domain.outcome import SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.infrastructure.cli import streams
from muster.infrastructure.cli.answers import whole_answer
from muster.infrastructure.cli.flags import (
    EngineFlags,
    StoryFlags,
    exclude,
    seconds,
)
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.words import failure_words, name_of, noticed, one_line
from muster.infrastructure.text_file import UnreadableTextError, decode, read_bytes

STDIN = "-"
MAX_BYTES = 64 * 1024 * 1024
TITLE = 60


@Parameter(name="*")
@frozen(kw_only=True)
class PromptFlags:
    """Who is asked, and for how long."""

    agent: Annotated[
        str | None, Parameter(help="The agent profile (default: none).")
    ] = None
    source: Annotated[
        str | None,
        Parameter(
            name="--from",
            help="A file with one prompt a line, or - for stdin.",
            allow_leading_hyphen=True,
        ),
    ] = None
    timeout: Annotated[
        float | None, Parameter(help="Seconds for each prompt, all attempts together.")
    ] = None
    retries: Annotated[
        int | None, Parameter(help="How often a failed attempt is tried again.")
    ] = None
    decompose: Annotated[
        bool,
        Parameter(help="Draft a plan from the prompt, a goal; --yes also runs it."),
    ] = False
    yes: Annotated[bool, Parameter(help="Run the plan of --decompose unread.")] = False


def spawn(
    *prompts: Annotated[str, Parameter(help="What each agent is asked.")],
    asked: PromptFlags | None = None,
    engine: EngineFlags | None = None,
    story: StoryFlags | None = None,
    flags: OutputFlags | None = None,
) -> int:
    """Run one or many prompts without a plan file.

    The answer to a single prompt stands alone on stdout, byte for byte where stdout is
    no terminal. Several answers are labelled. All are kept in .muster/runs too.
    """
    asked, story = asked or PromptFlags(), story or StoryFlags()
    console = Output.of(flags, quiet=story.quiet)
    exclude("--jsonl", "--json", both=console.is_json and story.jsonl)
    if asked.retries is not None and asked.retries < 0:
        raise ConfigError(f"must be 0 or more, not {asked.retries}", "--retries")
    limit = seconds(asked.timeout, "--timeout")
    engine = engine or EngineFlags()
    if asked.decompose:
        return _decomposed(_all(prompts, asked.source), asked, engine, story, console)
    settings = engine.settings()
    plan = plan_of(_all(prompts, asked.source), asked.agent, limit)
    # Here and not above: `--help` should not cost the import of the engine.
    from muster.infrastructure.cli import running  # noqa: PLC0415

    order = running.Order(
        plan=plan,
        plan_text=_text_of(plan),
        settings=settings,
        output=console,
        jsonl=story.jsonl,
        remembered=engine.given(),
        options={"max_retries": asked.retries},
    )
    ended = running.execute(order)
    return running.last_words(ended, lambda: _show(ended, order, console))


def _decomposed(
    prompts: Sequence[str],
    asked: PromptFlags,
    engine: EngineFlags,
    story: StoryFlags,
    console: Output,
) -> int:
    from muster.infrastructure.cli import plan_drafting, run  # noqa: PLC0415
    from muster.infrastructure.cli.soar_flags import (  # noqa: PLC0415
        SoarFlags,
        question_of,
    )

    if len(prompts) != 1:
        raise ConfigError(f"takes one goal, not {len(prompts)}", "--decompose")
    names = ("tool", "model", "policy", "max_concurrent", "fallback")
    given = {name: getattr(engine, name) for name in names}
    who = SoarFlags(**given, timeout=asked.timeout)
    code, path = plan_drafting.spawn_from(question_of(prompts[0]), who, console)
    if code or not asked.yes:
        if not code:
            console.line(f"plan in {path}; read it, then: muster run {path}")
        return code
    flags = OutputFlags(json=console.is_json, plain=console.is_plain)
    return run.run(str(path), engine=engine, story=story, flags=flags)


def plan_of(prompts: Sequence[str], agent: str | None, timeout: float | None) -> Plan:
    """A plan of independent tasks: 1, 2, 3..."""
    name = None if agent is None else agent.removeprefix("@")
    if name is not None and (not name or name.startswith("-")):
        raise ConfigError(f"must be a name, not {agent!r}", "--agent")
    for number, prompt in enumerate(prompts, start=1):
        if any("\ud800" <= each <= "\udfff" for each in prompt):
            raise ConfigError(
                f"prompt {number} is no text: it holds bytes that are no UTF-8"
            )
    return Plan(
        [
            PlanTask(str(number), prompt, name, timeout=timeout, literal=True)
            for number, prompt in enumerate(prompts, start=1)
        ]
    )


def _all(prompts: Sequence[str], source: str | None) -> list[str]:
    found = list(prompts)
    if source is not None:
        found += [line for line in _read(source).splitlines() if line.strip()]
    if not found and source is None:
        raise ConfigError(
            'no prompt is given: muster spawn "PROMPT"... or --from FILE '
            "(see `muster spawn --help`)"
        )
    return found


def _read(source: str) -> str:
    try:
        if source == STDIN:
            return decode(sys.stdin.buffer.read(MAX_BYTES + 1))
        return decode(read_bytes(source, MAX_BYTES))
    except UnreadableTextError as error:
        raise ConfigError(f"the file {error}", f"--from {source}") from error


def _text_of(plan: Plan) -> bytes:
    """The plan as a file that `muster run` reads."""
    tasks = [
        {
            name: value
            for name in ("id", "prompt", "agent", "timeout")
            if (value := getattr(task, name)) is not None
        }
        for task in plan.tasks
    ]
    return json.dumps({"tasks": tasks}, indent=1).encode()


def _show(ended: Any, order: Any, console: Output) -> None:
    results = list(ended.report.results.values())
    if console.is_json:
        report = str(ended.folder)
        console.document({**ended.report.to_dict(), "report": report})
    elif len(results) == 1 and not order.jsonl:
        _show_one(results[0], console)
    elif not order.jsonl:
        for result, task in zip(results, order.plan.tasks, strict=True):
            _show_labelled(result, task, console)


def _show_one(result: SpawnResult, console: Output) -> None:
    if result.failure is None:
        _answer(result, console)
        return
    early = noticed(result.failure)
    words = failure_words(result.failure) + (f" ({early})" if early else "")
    console.warn(console.masked(f"muster: failed: {words}"))


def _show_labelled(result: SpawnResult, task: PlanTask, console: Output) -> None:
    mark = " [simulated]" if result.simulated else ""
    name = name_of(result.task_id, result.task_index)
    console.line(f"--- {name}: {one_line(task.title, TITLE)}{mark}")
    if result.failure is not None:
        console.line(console.masked(f"failed: {failure_words(result.failure)}"))
        return
    _answer(result, console)
    if result.output and not result.output.endswith("\n"):
        streams.write("" if streams.is_terminal(sys.stdout) else "\n")


def _answer(result: SpawnResult, console: Output) -> None:
    if streams.is_terminal(sys.stdout):
        console.answer(result.output)
        return
    try:
        streams.write_bytes(whole_answer(result))
    except OSError as error:
        console.warn(f"muster: {result.output_path}: {error.strerror}")
        console.answer(result.output)
