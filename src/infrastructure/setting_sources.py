"""Where settings come from: files found around a folder, variables, flags."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from muster.domain.errors import ConfigError, UnknownPresetError
from muster.domain.suggestion import did_you_mean
from muster.infrastructure import toml_text
from muster.infrastructure.setting_fields import (
    FLAGS,
    PREFIX,
    SETTINGS,
    TOLD_TO_CHILDREN,
    variables,
)
from muster.infrastructure.strict_tables import MISSING, Problem, dotted, read
from muster.infrastructure.strict_tables import Path as Key
from muster.infrastructure.text_file import UnreadableTextError, read_text

FILE: Final = "muster.toml"
PYPROJECT: Final = "pyproject.toml"
USER_FILE: Final = Path("muster", "config.toml")
DATA_FOLDER: Final = ".muster"
MAX_BYTES: Final = 1024 * 1024


@frozen
class Layer:
    """Clean values of one source, and where each of them stands."""

    values: Mapping[str, Any]
    origin_of: Callable[[Key], str]
    folder: Path | None = None
    problems: tuple[ConfigError, ...] = field(default=())


@frozen
class Project:
    """The folder that a command belongs to, and the file that configures it."""

    folder: Path
    file: Path | None = None


def raise_problems(problems: Iterable[ConfigError]) -> None:
    """One error for all, if there are any."""
    found = tuple(problems)
    if not found:
        return
    presets = any(isinstance(each, UnknownPresetError) for each in found)
    kind = UnknownPresetError if presets else ConfigError
    if len(found) == 1:
        raise kind(found[0].problem, found[0].where, found)
    lines = "\n".join(f"  {each}" for each in found)
    raise kind(f"{len(found)} problems in the settings:\n{lines}", None, found)


def user_file(environ: Mapping[str, str]) -> Path | None:
    """``config.toml`` of the user, whether or not it exists."""
    # The XDG specification: a relative path there is to be ignored.
    base = Path(environ.get("XDG_CONFIG_HOME", ""))
    if base.is_absolute():
        return base / USER_FILE
    home = Path(environ.get("HOME", ""))
    return home / ".config" / USER_FILE if home.is_absolute() else None


def here() -> Path:
    """The present folder; one that was deleted goes by the name that the system gives it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        gone = Path("/proc/self/cwd")
        return gone.readlink() if gone.is_symlink() else Path("/")


def find_project(cwd: Path, environ: Mapping[str, str]) -> Project:
    """The nearest folder with settings, else the one that git or ``.muster`` marks.

    Looked for upwards to the root of the git repository, or to the home folder.
    Outside of both only ``cwd`` itself counts: anybody may write into /tmp, and
    settings name programs that are started.
    """
    marked: Path | None = None
    for folder in _search_path(cwd, environ):
        for name in (FILE, PYPROJECT):
            file = folder / name
            if _is_there(file) and (name == FILE or _is_ours(file)):
                return Project(folder, file)
        if marked is None and _is_marked(folder):
            marked = folder
    return Project(marked or cwd)


def file_layer(path: Path, *, may_be_missing: bool = False) -> Layer:
    """The settings in a TOML file; in ``pyproject.toml``, those of ``[tool.muster]``."""
    origin = str(path)
    try:
        table, lines = toml_text.load(read_text(path, MAX_BYTES))
    except UnreadableTextError as exc:
        if exc.missing and may_be_missing:
            return Layer({}, dotted, path.parent)
        problem = ConfigError(f"the file {exc}", origin)
        return Layer({}, dotted, path.parent, (problem,))
    except toml_text.TomlRefusedError as exc:
        where = f"{origin}:{exc.line}" if exc.line else origin
        problem = ConfigError(f"the file {exc.problem}", where)
        return Layer({}, dotted, path.parent, (problem,))
    prefix: Key = ("tool", "muster") if path.name == PYPROJECT else ()
    for part in prefix:
        table = table.get(str(part), {}) if isinstance(table, dict) else {}

    def origin_of(key: Key) -> str:
        line = lines.line_of((*prefix, *key))
        return f"{origin}:{line}" if line else origin

    return _checked(table, origin_of, path.parent)


def value_layer(values: Any, name: str, folder: Path | None = None) -> Layer:
    """Settings from a host's dict; ``name`` is what errors call it."""

    def origin_of(key: Key) -> str:
        return name

    return _checked(values, origin_of, folder)


def environment_layer(environ: Mapping[str, str], cwd: Path) -> Layer:
    """The settings in ``MUSTER_*``; an empty variable is none."""
    known = variables()
    values: dict[str, Any] = {}
    unknown: list[ConfigError] = []
    for name in sorted(environ):
        text = environ[name]
        if not name.startswith(PREFIX) or name in TOLD_TO_CHILDREN or not text:
            continue
        variable = known.get(name)
        if variable is None:
            problem = f"is an unknown variable{did_you_mean(name, known)}"
            unknown.append(ConfigError(problem, name))
        else:
            _put(values, variable.path, variable.kind.parse(text))

    def origin_of(key: Key) -> str:
        return PREFIX + "_".join(map(str, key)).upper()

    layer = _checked(values, origin_of, cwd)
    return Layer(layer.values, origin_of, cwd, (*unknown, *layer.problems))


def flag_layer(flags: Mapping[str, Any], cwd: Path) -> Layer:
    """Flags by dotted setting (``limits.minutes``); None is a flag not given."""
    kinds = {dotted(each.path): each for each in variables().values()}
    values: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None:
            continue
        known = kinds.get(name)
        is_text = known is not None and isinstance(value, str)
        parsed = known.kind.parse(value) if known and is_text else value
        _put(values, tuple(name.split(".")), parsed)

    def origin_of(key: Key) -> str:
        name = "-".join(map(str, key)).replace("_", "-")
        return FLAGS.get(dotted(key), f"--{name}")

    return _checked(values, origin_of, cwd)


def _checked(
    values: Any, origin_of: Callable[[Key], str], folder: Path | None
) -> Layer:
    problems: list[Problem] = []
    clean = read(SETTINGS, values, (), problems)
    errors = tuple(_error(each, origin_of) for each in problems)
    return Layer({} if clean is MISSING else clean, origin_of, folder, errors)


def _error(problem: Problem, origin_of: Callable[[Key], str]) -> ConfigError:
    subject = dotted(problem.path) or "the settings"
    kind = UnknownPresetError if problem.unknown_preset else ConfigError
    return kind(f"{subject} {problem.predicate}", origin_of(problem.path))


def _put(values: dict[str, Any], path: Key, value: Any) -> None:
    for part in path[:-1]:
        values = values.setdefault(str(part), {})
    values[str(path[-1])] = value


def _search_path(cwd: Path, environ: Mapping[str, str]) -> list[Path]:
    upwards = [cwd, *cwd.parents]
    for place, folder in enumerate(upwards):
        if _is_there(folder / ".git"):
            return upwards[: place + 1]
    home = Path(environ.get("HOME") or "/")
    if home != Path("/") and home in upwards:
        return upwards[: upwards.index(home) + 1]
    return [cwd]


def _is_marked(folder: Path) -> bool:
    return _is_there(folder / ".git") or os.path.isdir(folder / DATA_FOLDER)  # noqa: PTH112


def _is_there(file: Path) -> bool:
    # Path.exists raises where a folder above may not be entered.
    return os.path.exists(file)  # noqa: PTH110


def _is_ours(file: Path) -> bool:
    """Whether a ``pyproject.toml`` has settings; most never mention muster."""
    try:
        text = read_text(file, MAX_BYTES)
        if "muster" not in text:
            return False
        return "muster" in toml_text.load(text)[0].get("tool", {})
    except UnreadableTextError:
        return False
    except toml_text.TomlRefusedError:
        return "[tool.muster" in text
