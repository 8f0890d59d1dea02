"""YAML without its surprises: plain values only, bounded in depth and aliases, with lines.

The value is built from the parser's events, so nothing here recurses, no tag ever
picks a constructor, and an alias shares its value instead of copying it.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml
from attrs import define, field

from muster.infrastructure.strict_tables import Path, Problem

MAX_DEPTH: Final = 32
MAX_ALIASES: Final = 1_000
MAX_NODES: Final = 2_000_000  # with every alias written out
MAX_NUMBER: Final = 64  # characters; what is longer is text and not a number

_PREFIX: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(
    _PREFIX + name
    for name in ["str", "int", "float", "bool", "null", "timestamp", "seq", "map"]
)
# libyaml is 20 times as fast, where PyYAML was built with it.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlRefusedError(Exception):
    """The text is no YAML, or more of it than is read; ``line`` counts from 1."""

    def __init__(
        self, problem: str, line: int | None = None, *, is_syntax: bool = False
    ) -> None:
        super().__init__(problem, line)
        self.problem = problem
        self.line = line
        self.is_syntax = is_syntax


@define
class YamlDocument:
    """``value``, the line of every path, and unquoted scalars that are no text.

    ``unquoted`` has the text as written: YAML reads 010 as 8 and ``no`` as false.
    """

    value: Any = None
    lines: dict[Path, int] = field(factory=dict)
    unquoted: dict[Path, str] = field(factory=dict)
    problems: list[Problem] = field(factory=list)

    def line_of(self, path: Path) -> int | None:
        """The line of the path, or of what it lies in."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return self.lines.get(())


def load(text: str) -> YamlDocument:
    """The only document in ``text``; None for an empty one.

    Raises `YamlRefusedError` for what can't be read at all. Duplicate keys and keys
    that are no text are among the ``problems``.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        reason = getattr(exc, "problem", None) or str(exc).split("\n", 1)[0]
        line = mark.line + 1 if mark else None
        problem = f"is not valid YAML: {reason}"
        raise YamlRefusedError(problem, line, is_syntax=True) from exc
    except (ValueError, RecursionError) as exc:
        raise YamlRefusedError(f"is not valid YAML: {exc}") from exc
    return builder.document


@define
class _Frame:
    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    weight: int = 1
    key: str | None = None


@define
class _Builder:
    document: YamlDocument = field(factory=YamlDocument)
    frames: list[_Frame] = field(factory=list)
    anchors: dict[str, tuple[Any, int]] = field(factory=dict)
    documents: int = 0
    aliases: int = 0
    weight: int = 0
    line: int = 0

    def take(self, event: Any) -> None:
        self.line = event.start_mark.line + 1
        self._check_tag(event)
        if isinstance(event, yaml.DocumentStartEvent):
            self._start_document()
        elif isinstance(event, yaml.MappingStartEvent):
            self._open({}, event.anchor)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open([], event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor))
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)

    def _start_document(self) -> None:
        self.documents += 1
        if self.documents > 1:
            raise YamlRefusedError("holds a second document ('---')", self.line)

    def _check_tag(self, event: Any) -> None:
        tag = getattr(event, "tag", None)
        if tag is None or tag == "!" or tag in _PLAIN_TAGS:
            return
        shown = "!!" + tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else tag
        raise YamlRefusedError(f"has the tag {shown}; tags are refused", self.line)

    def _open(self, value: dict[str, Any] | list[Any], anchor: str | None) -> None:
        if self._wants_key():
            raise YamlRefusedError("has a list or a table as a key", self.line)
        if len(self.frames) >= MAX_DEPTH:
            problem = f"is nested more than {MAX_DEPTH} deep"
            raise YamlRefusedError(problem, self.line)
        self.frames.append(_Frame(value, self._next_path(), anchor))
        self.document.lines[self.frames[-1].path] = self.line

    def _close(self) -> None:
        frame = self.frames.pop()
        self._remember(frame.anchor, frame.value, frame.weight)
        self._put(frame.value, frame.weight)

    def _alias(self, anchor: str) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise YamlRefusedError(f"has more than {MAX_ALIASES} aliases", self.line)
        if anchor not in self.anchors:
            problem = f"has the alias *{anchor} of nothing before it"
            raise YamlRefusedError(problem, self.line)
        value, weight = self.anchors[anchor]
        if self._wants_key():
            self._key(value, str(value))
            return
        self.document.lines[self._next_path()] = self.line
        self._put(value, weight)

    def _scalar(self, event: Any) -> None:
        # libyaml says "" where PyYAML's own parser says None.
        is_plain = event.implicit[0] and not event.style
        value = _plain_value(event.value) if is_plain else event.value
        self._remember(event.anchor, value, 1)
        if self._wants_key():
            self._key(value, event.value)
            return
        path = self._next_path()
        self.document.lines.setdefault(path, self.line)
        if not isinstance(value, str) and value is not None:
            self.document.unquoted[path] = event.value
        self._put(value, 1)

    def _wants_key(self) -> bool:
        if not self.frames:
            return False
        frame = self.frames[-1]
        return isinstance(frame.value, dict) and frame.key is None

    def _key(self, value: Any, text: str) -> None:
        frame = self.frames[-1]
        path = (*frame.path, text)
        if not isinstance(value, str):
            predicate = f'is no text as a key; quote it: "{text}"'
            self.document.problems.append(Problem(path, predicate))
        elif isinstance(frame.value, dict) and text in frame.value:
            first = self.document.lines.get(path)
            predicate = f"stands here twice (first on line {first})"
            self.document.problems.append(Problem(path, predicate))
        frame.key = text
        self.document.lines[path] = self.line

    def _next_path(self) -> Path:
        if not self.frames:
            return ()
        frame = self.frames[-1]
        if isinstance(frame.value, list):
            return (*frame.path, len(frame.value))
        return (*frame.path, frame.key or "")

    def _put(self, value: Any, weight: int) -> None:
        self.weight += weight
        if self.weight > MAX_NODES:
            raise YamlRefusedError("is too large with its aliases written out")
        if not self.frames:
            self.document.value = value
            return
        frame = self.frames[-1]
        frame.weight += weight
        if isinstance(frame.value, list):
            frame.value.append(value)
        else:
            frame.value[frame.key or ""] = value
            frame.key = None

    def _remember(self, anchor: str | None, value: Any, weight: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, weight)


def _plain_value(text: str) -> Any:
    """What an unquoted scalar means to YAML 1.1; text for what its number can't be."""
    if len(text) > MAX_NUMBER:
        return text
    tag = next(_tags_of(text), "")
    read = _READERS.get(tag)
    if read is None:
        return text
    try:
        return read(_CONSTRUCTOR, yaml.ScalarNode(tag, text))
    except ValueError:
        return text


def _tags_of(text: str) -> Iterator[str]:
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
    return (tag for tag, pattern in resolvers if pattern.match(text))


_CONSTRUCTOR: Final = yaml.constructor.SafeConstructor()
_READERS: Final[dict[str, Any]] = {
    _PREFIX + "int": yaml.constructor.SafeConstructor.construct_yaml_int,
    _PREFIX + "float": yaml.constructor.SafeConstructor.construct_yaml_float,
    _PREFIX + "bool": yaml.constructor.SafeConstructor.construct_yaml_bool,
    _PREFIX + "null": yaml.constructor.SafeConstructor.construct_yaml_null,
    _PREFIX + "timestamp": yaml.constructor.SafeConstructor.construct_yaml_timestamp,
}
