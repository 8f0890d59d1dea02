"""The kinds of single values that settings, plans and profiles are made of."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from muster.infrastructure.strict_tables import NAME_RULE, Kind, is_name

# Ten years: a longer wait is a slip of the keyboard, and 1e300 overflows timers.
MAX_SECONDS: Final = 315_360_000.0
MAX_COUNT: Final = 1_000_000_000
MAX_TEXT: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_PARTS: Final = 10_000
NEVER: Final = "never"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError
    return value.strip()


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _parse_flag(text: str) -> Any:
    return _FLAGS.get(text.strip().lower(), text)


def _parse_number(text: str) -> Any:
    # float() takes "1_0", "infinity" and Arabic digits: none of them is meant.
    return float(text) if _NUMBER.fullmatch(text.strip()) else text


def _parse_whole(text: str) -> Any:
    return int(text) if _WHOLE.fullmatch(text.strip()) else text


def _parse_words(text: str) -> Any:
    return [word for word in re.split(r"[,\s]+", text) if word]


TEXT: Final = Kind("text", _text, {"type": "string", "minLength": 1})
NAME: Final = Kind(NAME_RULE, _name, {"type": "string", "minLength": 1})
FLAG: Final = Kind("true or false", _flag, {"type": "boolean"}, _parse_flag)


def whole(minimum: int, maximum: int = MAX_COUNT) -> Kind:
    """A whole number within the range; ``true`` is none."""

    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError
        if not minimum <= value <= maximum:
            raise ValueError
        return value

    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    expected = f"a whole number from {minimum} to {maximum:,}"
    return Kind(expected, read, schema, _parse_whole)


def number(
    minimum: float = 0.0,
    maximum: float = MAX_SECONDS,
    *,
    above: bool = False,
    unit: str = "a number",
) -> Kind:
    """A finite number within the range; ``above`` leaves the minimum itself out."""

    def read(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise TypeError
        # Comparing refuses NaN and infinity too, and whole numbers no float can hold.
        if not minimum <= value <= maximum or (above and value == minimum):
            raise ValueError
        return value

    bound = "exclusiveMinimum" if above else "minimum"
    schema = {"type": "number", bound: minimum, "maximum": maximum}
    start = f"above {minimum:g}" if above else f"from {minimum:g}"
    return Kind(f"{unit} {start} to {maximum:,.15g}", read, schema, _parse_number)


def or_never(kind: Kind) -> Kind:
    """The kind, or "never" (None from a host's dict), which reads as None."""

    def read(value: Any) -> Any:
        return None if value is None or value == NEVER else kind.read(value)

    schema = {"anyOf": [dict(kind.schema), {"const": NEVER}]}
    return Kind(f'{kind.expected}, or "{NEVER}"', read, schema, kind.parse)


def one_of(*choices: str) -> Kind:
    """One of a few words."""
    return Kind(
        "one of " + ", ".join(f'"{choice}"' for choice in choices),
        _member(choices),
        {"enum": list(choices)},
    )


def preset_of(names: Sequence[str]) -> Kind:
    """The name of a preset; any other name is an unknown preset."""
    names = tuple(names)
    expected = "the name of a preset"
    return Kind(expected, _member(names), {"enum": list(names)}, presets=names)


def _member(choices: Sequence[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return read


def _url(value: Any) -> str:
    url = urlsplit(_text(value))
    # A key in a URL would be shown wherever the URL is.
    if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc:
        raise ValueError
    return str(value).rstrip("/")


def _variable(value: Any) -> str:
    if not _VARIABLE.fullmatch(_text(value)) or value.endswith("*"):
        raise ValueError
    return str(value)


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_text(each) for each in value)


def _words(value: Any) -> tuple[str, ...]:
    return (_text(value),) if isinstance(value, str) else _strings(value)


def _command(value: Any) -> tuple[str, ...]:
    words = _words(value)
    if not words:
        raise ValueError
    return words


def _patterns(value: Any) -> tuple[str, ...]:
    return tuple(_pattern(each) for each in _words(value))


def _pattern(value: Any) -> str:
    try:
        re.compile(_text(value))
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{exc}") from exc
    return str(value)


def _environment(value: Any) -> dict[str, str | None]:
    pairs = value if isinstance(value, Mapping) else dict.fromkeys(_words(value))
    for name, content in pairs.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is no variable's name")
        if content is not None and (not isinstance(content, str) or "\0" in content):
            raise ValueError(f"the value of {name} must be text")
    return dict(pairs)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    # Level by level: whoever writes it out as JSON later must not run out of stack.
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [part for each in level for part in _parts_of(each)]
        if len(level) > MAX_PARTS:
            break
        if not level:
            return dict(value)
    raise ValueError(f"deeper than {MAX_DEPTH} levels or more than {MAX_PARTS} parts")


def _parts_of(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


_STRINGS: Final = {"type": "array", "items": {"type": "string", "minLength": 1}}
_STRING_OR_STRINGS: Final = {"anyOf": [{"type": "string", "minLength": 1}, _STRINGS]}
STRINGS: Final = Kind("a list of texts", _strings, _STRINGS, _parse_words)
WORDS: Final = Kind(
    "a text or a list of texts", _words, _STRING_OR_STRINGS, _parse_words
)
COMMAND: Final = Kind(
    "a program, or a list of a program and its arguments", _command, _STRING_OR_STRINGS
)
PATTERN: Final = Kind(
    "a regular expression", _pattern, {"type": "string", "format": "regex"}
)
PATTERNS: Final = Kind(
    "a regular expression or a list of them", _patterns, _STRING_OR_STRINGS
)
ENVIRONMENT: Final = Kind(
    "a table of texts, or a list of variables' names to pass on",
    _environment,
    {
        "anyOf": [
            {"type": "object", "additionalProperties": {"type": "string"}},
            *_STRING_OR_STRINGS["anyOf"],
        ]
    },
)
URL: Final = Kind(
    "a URL that begins with http:// or https:// and holds no password",
    _url,
    {"type": "string", "pattern": "^https?://"},
)
VARIABLE: Final = Kind(
    "the name of an environment variable", _variable, {"type": "string", "minLength": 1}
)
MAPPING: Final = Kind("a table", _mapping, {"type": "object"})
SECONDS: Final = number(unit="seconds")
LIMIT: Final = number(above=True, unit="seconds")

_FLAGS: Final = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)
_NUMBER: Final = re.compile(
    r"[+-]?([0-9]{1,18}(\.[0-9]{0,30})?|\.[0-9]{1,30})(e[+-]?[0-9]{1,3})?",
    re.IGNORECASE,
)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_VARIABLE: Final = re.compile(r"[^=\0\s]+\*?")
