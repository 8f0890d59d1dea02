"""Agent profiles: Markdown files with YAML front matter, and ``[agents.NAME]``.

The same name in several places: the settings win over files, the project over the
home folder, ``.muster`` over ``.claude`` over ``.gemini``. What is hidden or broken
is reported in ``problems``, never dropped in silence and never fatal.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import attrs
from attrs import field, frozen

from muster.domain.agent_profile import AgentProfile
from muster.infrastructure import bounded_yaml
from muster.infrastructure.definitions import agent_of
from muster.infrastructure.strict_tables import (
    NAME_RULE,
    Problem,
    Table,
    dotted,
    is_name,
    read,
)
from muster.infrastructure.text_file import UnreadableTextError, read_text
from muster.infrastructure.value_kinds import NAME, TEXT, WORDS

FOLDERS: Final = (".muster/agents", ".claude/agents", ".gemini/agents")
MAX_BYTES: Final = 1024 * 1024
MAX_FILES: Final = 10_000
_FENCE: Final = "---"


@frozen
class ProfileProblem:
    """A profile that is left out, and why. ``line`` counts from 1.

    ``hidden_by`` is where the agent of the same name stands that comes before it.
    """

    file: str
    line: int | None
    text: str
    hidden_by: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.text}"


@frozen
class AgentProfiles:
    """The agents known here; an `AgentRegistry`."""

    profiles: Mapping[str, AgentProfile] = field(factory=dict)
    problems: tuple[ProfileProblem, ...] = ()

    @classmethod
    def discover(
        cls,
        project: Path,
        home: Path | None = None,
        settings: Mapping[str, AgentProfile] | None = None,
    ) -> Self:
        """Everything that is found; a folder that is missing holds nothing."""
        found = dict(settings or {})
        problems: list[ProfileProblem] = []
        for folder in _folders(project, home):
            for file in _files(folder, problems):
                profile = _profile(file, problems)
                if profile is not None:
                    _take(profile, found, problems)
        return cls(found, tuple(problems))

    def find(self, name: str) -> AgentProfile | None:
        """The profile of that name, or None. A leading ``@`` does not count."""
        return self.profiles.get(name.removeprefix("@"))

    def names(self) -> Sequence[str]:
        """All names, sorted."""
        return sorted(self.profiles)

    def all(self) -> Sequence[AgentProfile]:
        """All profiles, sorted by name."""
        return [self.profiles[name] for name in self.names()]


def _folders(project: Path, home: Path | None) -> Iterable[Path]:
    roots = [project] if home is None or home == project else [project, home]
    return (root / folder for root in roots for folder in FOLDERS)


def _files(folder: Path, problems: list[ProfileProblem]) -> list[Path]:
    try:
        found = sorted(folder.rglob("*.md"))
    except OSError as exc:
        problems.append(ProfileProblem(str(folder), None, f"{exc.strerror}"))
        return []
    if len(found) > MAX_FILES:
        text = f"holds more than {MAX_FILES:,} files; the rest is left out"
        problems.append(ProfileProblem(str(folder), None, text))
    return found[:MAX_FILES]


def _take(
    profile: AgentProfile,
    found: dict[str, AgentProfile],
    problems: list[ProfileProblem],
) -> None:
    first = found.get(profile.name)
    if first is None:
        found[profile.name] = profile
        return
    where = first.source or "the settings"
    text = f"agent '{profile.name}' is defined in {where} already; this one is left out"
    problems.append(ProfileProblem(profile.source or "", None, text, where))


def _profile(file: Path, problems: list[ProfileProblem]) -> AgentProfile | None:
    try:
        header, body, offset = _parts(read_text(file, MAX_BYTES))
        document = _front_matter(header)
    except UnreadableTextError as exc:
        problems.append(ProfileProblem(str(file), None, str(exc)))
        return None
    except bounded_yaml.YamlRefusedError as exc:
        line = None if exc.line is None else exc.line + 1
        problems.append(ProfileProblem(str(file), line, f"front matter {exc.problem}"))
        return None
    found: list[Problem] = list(document.problems)
    values: Any = {} if document.value is None else document.value
    clean = read(_FRONT_MATTER, values, (), found)
    if offset == 0:
        found.append(
            Problem((), "has no front matter: begin with '---' and 'name: ...'")
        )
    name = clean.pop("name", file.stem) if isinstance(clean, dict) else file.stem
    if not is_name(name):
        found.append(Problem((), f"is named by no name; use {NAME_RULE}"))
    for problem in found:
        subject = dotted(problem.path) or "the profile"
        line = document.line_of(problem.path)
        text = f"{subject} {problem.predicate}"
        problems.append(ProfileProblem(str(file), (line or 0) + 1, text))
    if found:
        return None
    return agent_of(name, {"prompt": body, **clean}, str(file))


def _parts(text: str) -> tuple[str, str, int]:
    """Front matter, body, and how many lines stand before the body."""
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return "", text, 0
    for place, line in enumerate(lines[1:], start=1):
        if line.rstrip() in (_FENCE, "..."):
            body = "\n".join(lines[place + 1 :]).strip()
            return "\n".join(lines[1:place]), body, place + 1
    raise bounded_yaml.YamlRefusedError("is never closed by '---'", 0)


def _front_matter(header: str) -> bounded_yaml.YamlDocument:
    try:
        return bounded_yaml.load(header)
    except bounded_yaml.YamlRefusedError as exc:
        # Claude Code writes "description: Use it when: ...", which is no YAML; where
        # each line is "key: text" there is only one thing that it can mean.
        lines = [_LINE.fullmatch(line) for line in header.split("\n") if line.strip()]
        if not exc.is_syntax or not all(lines):
            raise
        values = {line[1]: line[2] for line in lines if line}
        return bounded_yaml.YamlDocument(values)


def _tools(value: Any) -> tuple[str, ...]:
    # Claude Code writes "tools: Read, Grep", and nothing for all of them.
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(WORDS.read(value))


def _description(value: Any) -> str:
    return "" if value is None else str(TEXT.read(value))


def _text_or_none(value: Any) -> str | None:
    # "model:" without a value, and Claude's "inherit", ask for nothing.
    return None if value in (None, "", "inherit") else str(NAME.read(value))


_LINE: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9_-]*):[ \t]*(|[^\[{&*!|>@`%\"'\s].*?)[ \t]*"
)
_FRONT_MATTER: Final = Table(
    {
        "name": NAME,
        "description": attrs.evolve(TEXT, read=_description),
        "tools": attrs.evolve(WORDS, read=_tools),
        "model": attrs.evolve(NAME, read=_text_or_none),
        "tool": NAME,
    },
    extra=True,
)
