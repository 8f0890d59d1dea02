"""Reads plain tables (from TOML, YAML, JSON, dicts) strictly, and finds every problem.

What a table may hold is data (`Table`, `Named`, `Many`, `Kind`), so that reading,
environment variables and the published JSON Schema come from one description.
"""

import reprlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

from muster.domain.presets import SECRET_WORDS
from muster.domain.suggestion import did_you_mean

Path = tuple[str | int, ...]


class _Missing:
    pass


MISSING: Final = _Missing()


@frozen
class Problem:
    """What is wrong with the value at ``path``; reads after its name."""

    path: Path
    predicate: str
    unknown_preset: bool = False
    line: int | None = None


@frozen
class Kind:
    """One value. ``read`` gives the clean value or raises ValueError.

    ``expected`` says what is right; ``parse`` turns text (an environment variable,
    a Markdown field) into a candidate for ``read`` and never raises.
    """

    expected: str
    read: Callable[[Any], Any]
    schema: Mapping[str, Any] = field(factory=dict)
    parse: Callable[[str], Any] = field(default=str)
    presets: tuple[str, ...] = ()


@frozen
class Table:
    """A table with known keys; ``extra`` gathers the others instead of refusing them."""

    fields: Mapping[str, "Shape"]
    required: tuple[str, ...] = ()
    extra: bool = False


@frozen
class Named:
    """A table whose keys are names that the user chose."""

    table: Table


@frozen
class Many:
    """A list of tables."""

    table: Table


Shape = Kind | Table | Named | Many


def read(shape: Shape, value: Any, path: Path, problems: list[Problem]) -> Any:
    """The clean value, or MISSING after adding at least one problem.

    A table with problems comes back with the parts that are right.
    """
    if isinstance(shape, Kind):
        return _read_kind(shape, value, path, problems)
    if isinstance(shape, Many):
        return _read_many(shape, value, path, problems)
    if not isinstance(value, Mapping):
        problems.append(Problem(path, f"must be a table, not {shown(value, path)}"))
        return MISSING
    if isinstance(shape, Named):
        return _read_named(shape, value, path, problems)
    return _read_table(shape, value, path, problems)


def dotted(path: Path) -> str:
    """A path as people write it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


def is_secret_name(name: str) -> bool:
    """Whether values under that name are masked wherever they are shown."""
    upper = name.upper()
    return any(word in upper for word in SECRET_WORDS)


def shown(value: Any, path: Path = ()) -> str:
    """A value in an error message: short, and masked under a secret-looking name."""
    names = (part for part in path if isinstance(part, str))
    if not isinstance(value, int | float) and any(map(is_secret_name, names)):
        return "***"
    if isinstance(value, Mapping):
        # Its own keys may be the names of secrets, at any depth.
        return "a table"
    if isinstance(value, list | tuple) and any(isinstance(x, Mapping) for x in value):
        return "a list of tables"
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = MAX_SHOWN
    try:
        return short.repr(value)
    except ValueError:
        # CPython refuses to print whole numbers of more than 4,300 digits.
        return "a huge number"


def leaves(shape: Shape, path: Path = ()) -> Iterator[tuple[Path, Kind]]:
    """All single values that a table can hold under names known beforehand."""
    if isinstance(shape, Kind):
        yield path, shape
    elif isinstance(shape, Table):
        for name, each in shape.fields.items():
            yield from leaves(each, (*path, name))


def _read_kind(kind: Kind, value: Any, path: Path, problems: list[Problem]) -> Any:
    try:
        return kind.read(value)
    except (ValueError, TypeError) as exc:
        given = shown(value, path)
        if kind.presets and isinstance(value, str):
            names = ", ".join(kind.presets)
            predicate = f"names no preset: {given}; there are {names}"
            problems.append(Problem(path, predicate, unknown_preset=True))
        else:
            reason = f" ({exc})" if exc.args else ""
            predicate = f"must be {kind.expected}, not {given}{reason}"
            problems.append(Problem(path, predicate))
        return MISSING


def _read_many(
    shape: Many, value: Any, path: Path, problems: list[Problem]
) -> list[Any]:
    if not isinstance(value, list | tuple):
        given = shown(value, path)
        problems.append(Problem(path, f"must be a list of tables, not {given}"))
        return []
    return [
        read(shape.table, each, (*path, place), problems)
        for place, each in enumerate(value)
    ]


def _read_named(
    shape: Named, value: Mapping[Any, Any], path: Path, problems: list[Problem]
) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for name, each in value.items():
        here = (*path, str(name))
        if not isinstance(name, str) or not is_name(name):
            problems.append(Problem(here, f"is no name; use {NAME_RULE}"))
            continue
        found = read(shape.table, each, here, problems)
        if found is not MISSING:
            clean[name] = found
    return clean


def _read_table(
    shape: Table, value: Mapping[Any, Any], path: Path, problems: list[Problem]
) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, each in value.items():
        known = shape.fields.get(name) if isinstance(name, str) else None
        if known is None:
            if shape.extra and isinstance(name, str):
                extra[name] = each
            else:
                hint = did_you_mean(str(name), shape.fields)
                problems.append(Problem((*path, str(name)), f"is an unknown key{hint}"))
            continue
        found = read(known, each, (*path, name), problems)
        if found is not MISSING:
            clean[name] = found
    missing = [name for name in shape.required if name not in value]
    problems += [Problem(path, f"lacks '{name}'") for name in missing]
    return clean | ({"extra": extra} if extra else {})


def is_name(value: str) -> bool:
    """Whether a text can stand as a name on a command line: see ``NAME_RULE``."""
    return (
        bool(value.strip())
        and not value.startswith("-")
        and len(value) <= MAX_NAME
        and all(character.isprintable() for character in value)
    )


MAX_NAME: Final = 256
NAME_RULE: Final = f"up to {MAX_NAME} printable characters without a leading '-'"
MAX_SHOWN: Final = 60
