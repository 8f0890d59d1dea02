"""Who sits in a council: so many copies, or the members that a file names.

One name a line; or TOML and YAML, where each has a name and may have an agent profile,
a tool and a model of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from muster.domain import presets
from muster.domain.council import Member
from muster.domain.errors import ConfigError
from muster.domain.plan import NO_AGENT
from muster.domain.suggestion import did_you_mean
from muster.infrastructure import bounded_yaml, toml_text
from muster.infrastructure.text_file import UnreadableTextError, decode, read_bytes

MAX_BYTES: Final = 4 * 1024 * 1024
_KEYS: Final = ("name", "agent", "tool", "model")
_LISTS: Final = ("agents", "agent", "members")
_COMMENT: Final = "#"


def members_of(source: str, agent: str | None = None) -> tuple[Member, ...]:
    """The members that ``--agents`` means. Raises `ConfigError` with file and line.

    A number makes so many members of the profile ``agent`` (None: without one). In a
    file a member's name is its profile too, unless it says otherwise.
    """
    if source.isascii() and source.isdigit():
        return _copies(int(source), agent)
    if agent is not None:
        raise ConfigError(
            "is for a number of members; the file names profiles", "--agent"
        )
    try:
        text = decode(read_bytes(source, MAX_BYTES))
    except UnreadableTextError as error:
        problem = f"the file {error}"
        if error.missing:
            problem = "is neither a number of members nor a file that is there"
        raise ConfigError(problem, f"--agents {source}") from error
    members = [_member(entry, place, source) for place, entry in _entries(source, text)]
    if not members:
        raise ConfigError("names no member", source)
    return tuple(members)


def _copies(count: int, agent: str | None) -> tuple[Member, ...]:
    if not 1 <= count <= presets.COUNCIL_MEMBERS:
        problem = f"must be 1 to {presets.COUNCIL_MEMBERS} members, not {count}"
        raise ConfigError(problem, "--agents")
    stem = "member" if agent is None else agent.removeprefix("@")
    width = len(str(count))
    persona = None if agent is None else stem
    return tuple(
        Member(f"{stem}-{number:0{width}}", persona) for number in range(1, count + 1)
    )


def _entries(source: str, text: str) -> list[tuple[str, Any]]:
    suffix = Path(source).suffix.lower()
    try:
        if suffix == ".toml":
            values, _ = toml_text.load(text)
            return _listed(values, source)
        if suffix in (".yaml", ".yml", ".json"):
            document = bounded_yaml.load(text)
            for problem in document.problems:
                raise ConfigError(str(problem), source)
            return _listed(document.value, source)
    except (toml_text.TomlRefusedError, bounded_yaml.YamlRefusedError) as error:
        where = f"{source}:{error.line}" if error.line else source
        raise ConfigError(f"the file {error.problem}", where) from error
    lines = ((n, line.strip()) for n, line in enumerate(text.splitlines(), start=1))
    return [
        (f"{source}:{number}", line)
        for number, line in lines
        if line and not line.startswith(_COMMENT)
    ]


def _listed(value: Any, source: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        found = [each for each in _LISTS if each in value]
        if len(found) != 1 or len(value) != 1:
            problem = "must be a list of members, or hold one under `agents`"
            raise ConfigError(problem, source)
        value = value[found[0]]
    if not isinstance(value, list):
        raise ConfigError("must be a list of members", source)
    return [(f"{source}: member {n}", each) for n, each in enumerate(value, start=1)]


def _member(entry: Any, where: str, source: str) -> Member:
    fields = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, Mapping):
        raise ConfigError(
            f"must be a name or a table with a name, not {entry!r}", where
        )
    for key, value in fields.items():
        if key not in _KEYS:
            raise ConfigError(f"unknown key '{key}'{did_you_mean(key, _KEYS)}", where)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{key} must be text, not {value!r}; quote it", where)
    if "name" not in fields:
        raise ConfigError("a member needs a name", where)
    name = fields["name"].removeprefix("@")
    agent = fields.get("agent", name)
    persona = None if agent == NO_AGENT else agent.removeprefix("@")
    try:
        return Member(name, persona, fields.get("tool"), fields.get("model"))
    except ValueError as error:
        raise ConfigError(str(error), where) from error
