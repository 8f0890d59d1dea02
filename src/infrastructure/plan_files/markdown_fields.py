"""The fields that sub-bullets of a Markdown task can set, and how their text is read."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

from muster.infrastructure.definitions import LIMITS
from muster.infrastructure.plan_files.fields import EXPECT
from muster.infrastructure.strict_tables import Kind
from muster.infrastructure.value_kinds import LIMIT


def field_value(name: str, text: str) -> Any:
    """A candidate for the field; whether it is right is checked with all others."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "`":
        text = text[1:-1].strip()
    return _PARSERS.get(name, str)(text)


def _depends(text: str) -> list[str]:
    words = re.split(r"[,;&\s\[\]]+", text)
    ids = [word.strip("`#").rstrip(".") for word in words]
    return [each for each in ids if each and each.lower() not in _NO_IDS]


def _seconds(text: str) -> Any:
    found = _DURATION.fullmatch(text)
    if not found:
        return text
    value = LIMIT.parse(found[1])
    return value * _UNITS[found[2].lower()] if isinstance(value, float) else text


def _expect(text: str) -> Any:
    text = text.strip().removeprefix("{").removesuffix("}").strip()
    found = _EXPECTATION.fullmatch(text)
    if not found:
        return text or None
    key, value = found[1].lower(), found[2].strip()
    kind = EXPECT.fields[key]
    if key == "command":
        return {key: _split(value)}
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`":
        value = value[1:-1]
    return {key: kind.parse(value) if isinstance(kind, Kind) else value}


def _limits(text: str) -> Any:
    text = text.strip().removeprefix("{").removesuffix("}")
    found: dict[str, Any] = {}
    for part in re.split(r"[,;]", text):
        words = re.split(r"\s*[:=]\s*|\s+", part.strip(), maxsplit=1)
        if len(words) != _PAIR:
            return text or None
        kind = LIMITS.fields.get(words[0].lower())
        value = words[1].removeprefix("$")
        found[words[0].lower()] = kind.parse(value) if isinstance(kind, Kind) else value
    return found


def _split(command: str) -> Any:
    if len(command) > MAX_COMMAND:
        return None
    try:
        return shlex.split(command.strip("`"))
    except ValueError:
        return None


FIELDS: Final[Mapping[str, str]] = {
    **{
        name: name
        for name in [
            "agent",
            "model",
            "tool",
            "depends",
            "timeout",
            "policy",
            "expect",
            "cwd",
            "limits",
        ]
    },
    "depends on": "depends",
}
_PAIR: Final = 2
MAX_COMMAND: Final = 64 * 1024  # characters; shlex reads one at a time
_NO_IDS: Final = frozenset(("and", "none", "-", "task", "tasks"))
_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"([0-9.]{1,20}) ?(s|min|m|h|)", re.IGNORECASE)
_EXPECTATION: Final = re.compile(
    r"(exit_code|file|regex|command)(?:\s*[:=]\s*|\s+)(.+)", re.IGNORECASE | re.DOTALL
)
_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "depends": _depends,
    "timeout": _seconds,
    "expect": _expect,
    "limits": _limits,
}
