"""The flags that `muster run` and `muster spawn` share."""

from typing import Annotated, Any, Final

from attrs import asdict, frozen
from cyclopts import Parameter

from muster.domain.errors import ConfigError
from muster.infrastructure.settings import Settings

_SETTING: Final = {
    "budget_usd": "limits.budget_usd",
    "budget_tokens": "limits.tokens",
    "max_agents": "limits.agents",
    "max_minutes": "limits.minutes",
}


@Parameter(name="*")
@frozen(kw_only=True)
class EngineFlags:
    """Which agents run, and how many of them. None: what the settings say."""

    tool: Annotated[
        str | None, Parameter(help="The tool of tasks that name none themselves.")
    ] = None
    model: Annotated[str | None, Parameter(help="The model, likewise.")] = None
    policy: Annotated[str | None, Parameter(help="The policy, likewise.")] = None
    max_concurrent: Annotated[
        int | None, Parameter(help="How many agents run side by side (default 5).")
    ] = None
    fallback: Annotated[
        bool | None,
        Parameter(
            negative="--no-fallback",
            help="Whether what an agent fails at goes to a direct call (default yes).",
        ),
    ] = None
    strict_model: Annotated[
        bool | None,
        Parameter(negative="", help="End an agent when another model answers."),
    ] = None
    wait_for_reset: Annotated[
        bool | None,
        Parameter(negative="", help="Wait for a usage limit to reset, then go on."),
    ] = None

    budget_usd: Annotated[
        float | None,
        Parameter(help="Start nothing more once so many dollars are spent."),
    ] = None
    budget_tokens: Annotated[
        int | None, Parameter(help="The same for tokens, read and written.")
    ] = None
    max_agents: Annotated[
        int | None, Parameter(help="The same for starts of agents, retries included.")
    ] = None
    max_minutes: Annotated[
        float | None, Parameter(help="The same for minutes; --deadline ends what runs.")
    ] = None

    def settings(self, **changes: Any) -> Settings:
        """What holds here with these flags on top. Raises `ConfigError`."""
        given = {_SETTING.get(name, name): each for name, each in asdict(self).items()}
        return Settings.load(flags={**given, **changes})

    def given(self) -> dict[str, Any]:
        """The flags that were given."""
        return {
            name: value for name, value in asdict(self).items() if value is not None
        }


@Parameter(name="*")
@frozen(kw_only=True)
class StoryFlags:
    """How much is told while it goes on."""

    jsonl: Annotated[
        bool, Parameter(help="Print one JSON object per event on stdout.")
    ] = False
    quiet: Annotated[bool, Parameter(help="Say nothing but errors.")] = False


def exclude(first: str, second: str, *, both: bool) -> None:
    """Raises `ConfigError` when two flags that contradict each other are given."""
    if both:
        raise ConfigError(f"{first} and {second} exclude each other")


def seconds(value: float | None, flag: str) -> float | None:
    """A duration from the command line. Raises `ConfigError`."""
    if value is None or 0 < value < float("inf"):
        return value
    raise ConfigError(f"must be seconds above 0, not {value:g}", flag)
