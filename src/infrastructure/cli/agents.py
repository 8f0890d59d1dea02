"""`muster agents`: which agent profiles are found, which are hidden, which are broken."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from muster.infrastructure.cli.columns import aligned, screen_width, shortened, wrapped
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags

if TYPE_CHECKING:
    from muster.domain.agent_profile import AgentProfile
    from muster.infrastructure.agent_profiles import AgentProfiles, ProfileProblem

MAX_DESCRIPTION = 240


def agents(
    *,
    check: Annotated[
        bool, Parameter(help="Exit with 1 when a profile is broken.")
    ] = False,
    flags: OutputFlags | None = None,
) -> int:
    """List the agent profiles found, and what is wrong with the others.

    A profile that one of higher precedence hides is listed and is no mistake, unless
    both lie in the same folder.
    """
    from muster.infrastructure.settings import Settings  # noqa: PLC0415
    from muster.infrastructure.user_folders import profiles_of  # noqa: PLC0415

    out = Output.of(flags)
    settings = Settings.load()
    found = profiles_of(settings, os.environ)
    broken = [each for each in found.problems if is_mistake(each)]
    if out.is_json:
        out.document(_document(found, broken))
    else:
        for line in screen(found, broken, settings.project, screen_width()):
            out.line(line)
    return ExitCode.FAILED if check and broken else ExitCode.SUCCEEDED


def is_mistake(problem: "ProfileProblem") -> bool:
    """Whether somebody should correct it: broken, or twice in one folder."""
    if problem.hidden_by is None:
        return True
    return Path(problem.hidden_by).parent == Path(problem.file).parent


def _document(
    found: "AgentProfiles", broken: "Sequence[ProfileProblem]"
) -> dict[str, Any]:
    return {
        "agents": [
            {
                "name": each.name,
                "description": each.description,
                "model": each.model,
                "tool": each.tool,
                "tools": list(each.tools),
                "source": each.source,
                "extra": dict(each.extra),
            }
            for each in found.all()
        ],
        "hidden": [
            {"file": each.file, "hidden_by": each.hidden_by}
            for each in found.problems
            if each.hidden_by is not None
        ],
        "problems": [
            {"file": each.file, "line": each.line, "problem": each.text}
            for each in broken
        ],
    }


def screen(
    found: "AgentProfiles",
    broken: "Sequence[ProfileProblem]",
    project: Path,
    width: int,
) -> Iterator[str]:
    """What a person reads: the profiles, then what is hidden, then what is wrong."""
    if found.profiles:
        yield from _profiles(found.all(), project, width)
    else:
        yield from wrapped(_NONE, width=width)
    hidden = [each for each in found.problems if not is_mistake(each)]
    if hidden:
        yield ""
        yield "Hidden, because another one of the same name comes before it:"
        cells = [
            (_short(each.file, project), f"by {_short(each.hidden_by, project)}")
            for each in hidden
        ]
        yield from aligned(cells, width=width, indent="  ")
    if broken:
        yield ""
        yield f"Left out, {len(broken)}:"
    for each in broken:
        place = _short(each.file, project) + (f":{each.line}" if each.line else "")
        yield from wrapped(
            f"{place}: {each.text}", width=width, indent=" " * 6, first="  "
        )


def _profiles(
    profiles: "Sequence[AgentProfile]", project: Path, width: int
) -> Iterator[str]:
    rows = [
        (
            each.name,
            each.model or "-",
            _short(each.source, project),
            shortened(each.description, MAX_DESCRIPTION),
        )
        for each in profiles
    ]
    yield from aligned(rows, width=width, head=("AGENT", "MODEL", "FROM", "WHAT FOR"))


def _short(place: str | None, project: Path) -> str:
    """A place as a person would write it from here."""
    text = str(place or "the settings")
    for folder, prefix in ((project, ""), (Path(os.environ.get("HOME", "/")), "~/")):
        if folder != Path("/") and text.startswith(f"{folder}/"):
            return prefix + text[len(str(folder)) + 1 :]
    return text


_NONE = (
    "No agent profiles here. They are Markdown files with a name and a description in "
    "their front matter, in .muster/agents, .claude/agents or .gemini/agents of the "
    "project or of your home; or [agents.NAME] in the settings."
)
