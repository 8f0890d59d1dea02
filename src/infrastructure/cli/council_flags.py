"""The flags of a council, and what they ask for."""

from typing import Annotated, Any, Final

from attrs import asdict, frozen
from cyclopts import Parameter

from muster.domain import presets
from muster.domain.council import Council
from muster.domain.errors import ConfigError
from muster.infrastructure.council_members import members_of
from muster.infrastructure.settings import Settings

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
