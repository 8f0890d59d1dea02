"""`muster deliberate`."""

import os
from typing import TYPE_CHECKING, Annotated, Any, Final

from attrs import asdict, frozen
from cyclopts import Parameter

from muster.domain import presets
from muster.domain.council import Council
from muster.domain.errors import ConfigError
from muster.infrastructure import council_document
from muster.infrastructure.cli.flags import StoryFlags, exclude
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.council_members import members_of
from muster.infrastructure.settings import Settings

if TYPE_CHECKING:
    from muster.infrastructure.cli.council_stage import Adjourned, Sitting
    from muster.infrastructure.journal.run_journal import RunJournal

COUNCIL: Final = "council"


@Parameter(name="*")
@frozen(kw_only=True)
class CouncilFlags:
    """Who sits in the council, and what decides."""

    agents: Annotated[
        str | None,
        Parameter(
            help="How many members, or a file: names, or a list in TOML or YAML."
        ),
    ] = None
    agent: Annotated[
        str | None, Parameter(help="The agent profile of each of N members.")
    ] = None
    choices: Annotated[
        str | None, Parameter(help="What can be voted for, by commas (approve,reject).")
    ] = None
    rounds: Annotated[
        int, Parameter(help="How many rounds at most; the last is a vote (6).")
    ] = presets.COUNCIL_ROUNDS
    rule: Annotated[
        str, Parameter(help="majority, unanimous, or a share of the votes: 2/3, 0.75.")
    ] = presets.COUNCIL_RULE
    quorum: Annotated[
        str,
        Parameter(
            help="Who must be present: majority, all, 5 members, or 1/2 of them."
        ),
    ] = presets.COUNCIL_QUORUM


@Parameter(name="*")
@frozen(kw_only=True)
class SeatFlags:
    """Which agents run, and how many of them. None: what the settings say."""

    tool: Annotated[
        str | None, Parameter(help="The tool of members that name none themselves.")
    ] = None
    model: Annotated[str | None, Parameter(help="The model, likewise.")] = None
    policy: Annotated[str | None, Parameter(help="The policy of all members.")] = None
    max_concurrent: Annotated[
        int | None, Parameter(help="How many are asked side by side (default 72).")
    ] = None

    def settings(self) -> Settings:
        """What holds here with these flags on top. Raises `ConfigError`."""
        return Settings.load(flags=asdict(self))

    def given(self) -> dict[str, Any]:
        """The flags that were given."""
        return {
            name: value for name, value in asdict(self).items() if value is not None
        }


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


def council_of(topic: str, who: CouncilFlags) -> Council:
    """The council that is asked for. Raises `ConfigError`."""
    if who.agents is None:
        raise ConfigError(
            "say who deliberates: a number of members, or a file that names them",
            "--agents",
        )
    choices: tuple[str, ...] = presets.COUNCIL_CHOICES
    if who.choices is not None:
        choices = tuple(each.strip() for each in who.choices.split(","))
    members = members_of(who.agents, who.agent)
    try:
        return Council(topic, members, choices, who.rule, who.quorum, who.rounds)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def at_once(settings: Settings) -> int:
    """How many members are asked side by side."""
    return settings.max_concurrent or presets.POOL_CAPACITY


def sit(sitting: "Sitting") -> int:
    """Holds it, and tells what it came to; the exit code."""
    from muster.infrastructure.cli import council_stage, running  # noqa: PLC0415

    ended: Any = council_stage.hold(sitting)
    return running.last_words(ended, lambda: _show(ended, sitting))


def _show(ended: "Adjourned", sitting: "Sitting") -> None:
    from muster.infrastructure.cli.council_summary import (  # noqa: PLC0415
        CouncilSummary,
    )
    from muster.infrastructure.report.minutes import NAME  # noqa: PLC0415

    report, console = ended.report, sitting.output
    if console.is_json:
        document = {
            "run_id": report.run_id,
            "status": report.status.value,
            "topic": sitting.council.topic,
            "members": [each.name for each in sitting.council.members],
            **report.verdict.to_dict(),
            "simulated": any(each.simulated for each in report.results.values()),
            "minutes": str(ended.folder / NAME),
            "report": str(ended.folder),
        }
        console.document(document)
    elif not sitting.jsonl:
        lines = CouncilSummary(report, sitting.council, ended.folder).lines()
        console.line(console.masked("\n".join(lines)))


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
