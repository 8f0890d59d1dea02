"""Plan files of every format, behind one door: `load`."""

import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from muster.domain.errors import PlanError
from muster.domain.plan import Plan, one_error
from muster.infrastructure.plan_files import json, markdown, toml, yaml
from muster.infrastructure.plan_files.document import PlanDocument
from muster.infrastructure.plan_files.reading import to_plan
from muster.infrastructure.text_file import UnreadableTextError, decode, read_bytes

__all__ = ["FORMATS", "MAX_BYTES", "document", "load", "parse", "to_plan"]

MAX_BYTES: Final = 16 * 1024 * 1024


def load(
    path: str | os.PathLike[str],
    *,
    text: str | bytes | None = None,
    syntax: str | None = None,
    policies: Collection[str] | None = None,
) -> Plan:
    """The plan in a file, or in ``text`` (from stdin, say) that ``path`` only names.

    The syntax is that of the file's suffix, else what the text looks like. Raises
    one `PlanError` (or `CyclicPlanError`) that lists all problems of the file, each
    with its line; nothing else, and in bounded time. ``policies`` are the names of
    policies known besides the presets; with None, names are not checked.
    """
    name = os.fspath(path)
    return to_plan(document(path, text=text, syntax=syntax), name, policies)


def document(
    path: str | os.PathLike[str],
    *,
    text: str | bytes | None = None,
    syntax: str | None = None,
) -> PlanDocument:
    """What `load` makes its plan of. Raises `PlanError` where there is no such file,
    or nothing of its syntax in it.
    """
    name = os.fspath(path)
    try:
        data = read_bytes(path, MAX_BYTES) if text is None else text
        whole = decode(data) if isinstance(data, bytes) else _clean(data)
    except UnreadableTextError as exc:
        raise one_error([PlanError(f"the plan {exc}", name)]) from exc
    return _document(whole, name, syntax)


def parse(
    text: str,
    *,
    name: str = "-",
    syntax: str | None = None,
    policies: Collection[str] | None = None,
) -> Plan:
    """The plan in a text; see `load`."""
    return to_plan(_document(text, name, syntax), name, policies)


def _document(text: str, name: str, syntax: str | None) -> PlanDocument:
    reader = FORMATS.get(syntax or _syntax_of(name, text))
    if reader is None:
        known = ", ".join(FORMATS)
        raise one_error([PlanError(f"unknown syntax '{syntax}'; there are {known}")])
    try:
        return reader(text)
    except PlanError as exc:
        raise one_error([PlanError(exc.problem, name, exc.line)]) from exc


def _clean(text: str) -> str:
    if len(text) > MAX_BYTES:
        raise UnreadableTextError(f"is larger than {MAX_BYTES:,} characters; split it")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _syntax_of(name: str, text: str) -> str:
    suffix = Path(name).suffix.lower()
    return _SUFFIXES.get(suffix) or _look(text)


def _look(text: str) -> str:
    if text.lstrip()[:1] == "{":
        return "json"
    found = _FIRST_SIGN.search(text)
    return found.lastgroup or "markdown" if found else "markdown"


FORMATS: Final[Mapping[str, Callable[[str], PlanDocument]]] = {
    "markdown": markdown.parse,
    "toml": toml.parse,
    "yaml": yaml.parse,
    "json": json.parse,
}
_SUFFIXES: Final = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
}
_FIRST_SIGN: Final = re.compile(
    r"^(?:[ \t]*(?P<markdown>(?:[-*+]|\d+[.)])[ \t]+\[.?\][ \t])"
    r"|(?P<toml>\[\[?[ \t]*(?:task|defaults|tools|agents)\b)"
    r"|(?P<yaml>(?:tasks?|defaults|tools|agents)[ \t]*:))",
    re.MULTILINE,
)
