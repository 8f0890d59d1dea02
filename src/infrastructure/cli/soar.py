"""`muster soar`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import frozen
from cyclopts import Parameter

from muster.infrastructure.cli.flags import exclude, seconds
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.soar_flags import SOAR, SoarFlags, question_of

if TYPE_CHECKING:
    from muster.infrastructure.journal.run_journal import RunJournal
    from muster.infrastructure.settings import Settings
    from muster.infrastructure.soar_document import SoarDocument


@Parameter(name="*")
@frozen(kw_only=True)
class AnswerFlags:
    """What is done with the answer."""

    dry_run: Annotated[
        bool, Parameter(help="Stop when it is known who would work on what.")
    ] = False
    cache: Annotated[
        bool,
        Parameter(
            negative="--no-cache",
            help="Whether a kept answer from unchanged sources will do (default yes).",
        ),
    ] = True
    verbose: Annotated[
        bool, Parameter(help="Also say from where, by whom, and what it cost.")
    ] = False
    quiet: Annotated[bool, Parameter(help="The answer, and nothing but errors.")] = (
        False
    )
    jsonl: Annotated[
        bool, Parameter(help="Print one JSON object per event on stdout.")
    ] = False


def soar(
    query: Annotated[
        str,
        Parameter(help="The question, or - for stdin.", allow_leading_hyphen=True),
    ],
    /,
    *,
    context: Annotated[
        list[Path] | None,
        Parameter(help="A file that belongs to it; may be repeated."),
    ] = None,
    who: SoarFlags | None = None,
    ask: AnswerFlags | None = None,
    flags: OutputFlags | None = None,
) -> int:
    """Answer a question with a fleet of agents.

    The question is assessed and, unless it is simple, split into subgoals that agents
    work on side by side; one answer is made of theirs, which says where each claim comes
    from and what is missing. Exit code 1: something is missing. `muster resume` goes on.
    """
    who, ask = who or SoarFlags(), ask or AnswerFlags()
    console = Output.of(flags, quiet=ask.quiet)
    exclude("--jsonl", "--json", both=console.is_json and ask.jsonl)
    exclude("--quiet", "--verbose", both=ask.quiet and ask.verbose)
    question = question_of(query, context)
    limit = seconds(who.timeout, "--timeout")
    settings = who.settings()
    # Here and not above: a mistyped question should not cost the import of the engine.
    from muster.application.soar.respond import Detail  # noqa: PLC0415
    from muster.infrastructure.cli.soar_sitting import answer  # noqa: PLC0415
    from muster.infrastructure.cli.soar_stage import Errand  # noqa: PLC0415
    from muster.infrastructure.soar_document import SoarDocument  # noqa: PLC0415

    asked = SoarDocument(question)
    errand = Errand(
        asked=asked,
        settings=settings,
        output=console,
        journal=lambda: journal_of(asked, settings, who),
        jsonl=ask.jsonl,
        yes=who.yes,
        timeout=limit,
        dry_run=ask.dry_run,
        uses_cache=ask.cache,
    )
    detail = Detail.VERBOSE if ask.verbose else Detail.NORMAL
    return answer(errand, Detail.QUIET if ask.quiet else detail)


def journal_of(
    asked: "SoarDocument", settings: "Settings", who: SoarFlags
) -> "RunJournal":
    """A run of its own for the question."""
    from muster.infrastructure import soar_document  # noqa: PLC0415
    from muster.infrastructure.clock import SystemClock  # noqa: PLC0415
    from muster.infrastructure.journal.run_journal import RunJournal  # noqa: PLC0415
    from muster.infrastructure.randomness import SystemRandomness  # noqa: PLC0415
    from muster.infrastructure.secrets import Redactor  # noqa: PLC0415

    return RunJournal.create(
        settings.home,
        clock=SystemClock(),
        randomness=SystemRandomness(),
        redactor=Redactor(os.environ),
        plan=soar_document.to_text(asked),
        options={SOAR: True, **who.given()},
    )
