"""`muster deliberate`."""

import os
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from muster.domain.council import Council
from muster.infrastructure import council_document
from muster.infrastructure.cli.council_flags import (
    COUNCIL,
    CouncilFlags,
    SeatFlags,
    at_once,
    council_of,
)
from muster.infrastructure.cli.flags import StoryFlags, exclude
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.settings import Settings

if TYPE_CHECKING:
    from muster.infrastructure.journal.run_journal import RunJournal


def deliberate(
    topic: Annotated[str, Parameter(help="What is to be decided.")],
    /,
    *,
    who: CouncilFlags | None = None,
    seats: SeatFlags | None = None,
    resume: Annotated[
        str | None, Parameter(help="Go on with this run of the same council.")
    ] = None,
    story: StoryFlags | None = None,
    flags: OutputFlags | None = None,
) -> int:
    """Let a council of agents deliberate and vote.

    They assess, take positions, cross-examine each other and vote; a vote that decides
    nothing is held again until the last round. Exit code 0: decided, whatever it is.
    1: deadlock, or too few were present. 7: halted. `muster resume` goes on.
    """
    who, seats, story = (
        who or CouncilFlags(),
        seats or SeatFlags(),
        story or StoryFlags(),
    )
    console = Output.of(flags, quiet=story.quiet)
    exclude("--jsonl", "--json", both=console.is_json and story.jsonl)
    council = council_of(topic, who)
    if resume is not None:
        return _resume(resume, council, seats, console, jsonl=story.jsonl)
    settings = seats.settings()
    # Here and not above: a mistyped council should not cost the import of the engine.
    from muster.infrastructure.cli.council_sitting import sit  # noqa: PLC0415
    from muster.infrastructure.cli.council_stage import Sitting  # noqa: PLC0415

    sitting = Sitting(
        council=council,
        settings=settings,
        output=console,
        at_once=at_once(settings),
        journal=lambda: _journal(council, settings, seats),
        jsonl=story.jsonl,
    )
    return sit(sitting)


def _resume(
    name: str, council: Council, seats: SeatFlags, console: Output, *, jsonl: bool
) -> int:
    from muster.infrastructure.cli import council_resuming  # noqa: PLC0415
    from muster.infrastructure.cli.stored import run_called  # noqa: PLC0415

    run_id = run_called(seats.settings().home, name)
    return council_resuming.go_on(
        run_id, seats, console, jsonl=jsonl, retry_failed=False, expected=council
    )


def _journal(council: Council, settings: Settings, seats: SeatFlags) -> "RunJournal":
    from muster.infrastructure.clock import SystemClock  # noqa: PLC0415
    from muster.infrastructure.journal.run_journal import RunJournal  # noqa: PLC0415
    from muster.infrastructure.randomness import SystemRandomness  # noqa: PLC0415
    from muster.infrastructure.secrets import Redactor  # noqa: PLC0415

    return RunJournal.create(
        settings.home,
        clock=SystemClock(),
        randomness=SystemRandomness(),
        redactor=Redactor(os.environ),
        plan=council_document.to_text(council),
        options={COUNCIL: True, **seats.given()},
    )
