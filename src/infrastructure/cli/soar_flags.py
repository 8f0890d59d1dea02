"""The flags of a question, and what they ask for."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from attrs import asdict, frozen
from cyclopts import Parameter

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.domain.question import Question
from muster.infrastructure.cli import streams
from muster.infrastructure.settings import Settings
from muster.infrastructure.text_file import UnreadableTextError, decode

SOAR: Final = "soar"
STDIN: Final = "-"
MAX_BYTES: Final = 4 * presets.SOAR_QUERY_CHARS
_ENGINE: Final = ("tool", "model", "policy", "max_concurrent", "fallback")


@Parameter(name="*")
@frozen(kw_only=True)
class SoarFlags:
    """Which agents work on a question, and how. None: what the settings say."""

    tool: Annotated[
        str | None, Parameter(help="The tool of all that name none themselves.")
    ] = None
    model: Annotated[str | None, Parameter(help="The model, likewise.")] = None
    policy: Annotated[str | None, Parameter(help="The policy, likewise.")] = None
    max_concurrent: Annotated[
        int | None, Parameter(help="How many agents run side by side (default 10).")
    ] = None
    fallback: Annotated[
        bool | None,
        Parameter(
            negative="--no-fallback",
            help="Whether what an agent fails at goes to a direct call (default yes).",
        ),
    ] = None
    timeout: Annotated[
        float | None,
        Parameter(help="Seconds for each agent, all its attempts together."),
    ] = None
    yes: Annotated[
        bool, Parameter(help="Let agents start whose tool asks nobody before it acts.")
    ] = False

    def settings(self) -> Settings:
        """What holds here with these flags on top. Raises `ConfigError`."""
        given = asdict(self)
        return Settings.load(flags={name: given[name] for name in _ENGINE})

    def given(self) -> dict[str, Any]:
        """The flags that were given, but for ``yes``, which holds once."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None and name != "yes"
        }


def question_of(query: str, files: Sequence[Path] | None = None) -> Question:
    """The question that is meant; ``-`` reads stdin. Raises `ConfigError`."""
    if query in (STDIN, streams.STDIN):
        try:
            query = decode(sys.stdin.buffer.read(MAX_BYTES + 1))
        except UnreadableTextError as error:
            raise ConfigError(f"the question {error}") from error
    if any("\ud800" <= each <= "\udfff" for each in query):
        raise ConfigError("the question is no text: it holds bytes that are no UTF-8")
    named = tuple(map(str, files or ()))
    if len(named) > presets.SOAR_CONTEXT_FILES:
        problem = f"at most {presets.SOAR_CONTEXT_FILES} files can be named"
        raise ConfigError(problem, "--context")
    for each in named:
        if not Path(each).is_file():
            raise ConfigError(f"{each}: there is no such file", "--context")
    try:
        # From wherever the run is taken up again.
        return Question(query, tuple(str(Path(each).absolute()) for each in named))
    except ValueError as error:
        raise ConfigError(str(error)) from error
