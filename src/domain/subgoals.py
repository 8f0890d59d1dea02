"""What a question is split into: subgoals, as a model gives them and as we accept them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Self

from attrs import field, frozen

from muster.domain import presets
from muster.domain.json_in_text import Misread, last_list, last_object

KEY: Final = "subgoals"
_ID: Final = re.compile(r"[0-9]{1,5}")
_NOBODY: Final = frozenset(("", "none", "null", "n/a", "-", "self", "adhoc", "ad-hoc"))


class MatchQuality(StrEnum):
    """How well the assigned agent fits what the subgoal needs."""

    EXCELLENT = "excellent"
    ACCEPTABLE = "acceptable"
    INSUFFICIENT = "insufficient"


def _as_tuple(value: Iterable[int]) -> tuple[int, ...]:
    return tuple(value)


@frozen
class Subgoal:
    """One part of a question. ``depends_on`` are numbers of others, counted from 1."""

    description: str
    ideal_agent: str = ""
    ideal_agent_desc: str = ""
    assigned_agent: str | None = None
    match_quality: MatchQuality = field(
        default=MatchQuality.INSUFFICIENT, converter=MatchQuality
    )
    is_critical: bool = False
    depends_on: tuple[int, ...] = field(default=(), converter=_as_tuple)

    def to_dict(self) -> dict[str, Any]:
        """As it stands on the wire."""
        return {
            "description": self.description,
            "ideal_agent": self.ideal_agent,
            "ideal_agent_desc": self.ideal_agent_desc,
            "assigned_agent": self.assigned_agent,
            "match_quality": self.match_quality.value,
            "is_critical": self.is_critical,
            "depends_on": list(self.depends_on),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**document)


def task_id_of(number: int) -> str:
    """What the task of a subgoal is called in its run; numbers count from 1."""
    return f"s{number}"


def read_subgoals(answer: str) -> tuple[Subgoal, ...] | Misread:
    """The subgoals in an answer, checked against the schema.

    They are an object with "subgoals", or the bare list, wherever the answer has it.
    Keys that nobody asked for are passed over; what a key holds must be right.
    """
    found = last_object(answer, KEY)
    listed: object = found[KEY] if found else last_list(answer, "description")
    if listed is None:
        return Misread(f'there is no complete JSON object with "{KEY}" in the answer')
    if not isinstance(listed, list):
        return Misread(f'"{KEY}" must be a list, not {_kind(listed)}')
    problems: list[str] = []
    subgoals = [
        _subgoal(each, f"subgoal {number}", problems)
        for number, each in enumerate(listed, start=1)
    ]
    if problems:
        more = len(problems) - presets.SOAR_PROBLEMS_NAMED
        tail = f"; and {more} more" if more > 0 else ""
        return Misread("; ".join(problems[: presets.SOAR_PROBLEMS_NAMED]) + tail)
    return tuple(each for each in subgoals if each is not None)


def _subgoal(value: object, name: str, problems: list[str]) -> Subgoal | None:
    if not isinstance(value, Mapping):
        problems.append(f"{name} must be an object, not {_kind(value)}")
        return None
    before = len(problems)
    needed = ("description", "ideal_agent", "match_quality")
    problems.extend(f'{name} has no "{each}"' for each in needed if each not in value)
    texts = {
        key: _text(value.get(key), f'"{key}" of {name}', problems)
        for key in ("description", "ideal_agent", "ideal_agent_desc", "assigned_agent")
    }
    quality = _quality(value.get("match_quality"), name, problems)
    is_critical = value.get("is_critical", False)
    if not isinstance(is_critical, bool):
        problems.append(f'"is_critical" of {name} must be true or false')
    depends_on = _numbers(value.get("depends_on"), name, problems)
    if len(problems) > before:
        return None
    agent = texts["assigned_agent"].removeprefix("@")
    return Subgoal(
        texts["description"],
        texts["ideal_agent"].removeprefix("@"),
        texts["ideal_agent_desc"],
        None if agent.casefold() in _NOBODY else agent,
        quality,
        is_critical,
        depends_on,
    )


def _text(value: object, name: str, problems: list[str]) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        problems.append(f"{name} must be text, not {_kind(value)}")
        return ""
    return value.strip()[: presets.SOAR_DESCRIPTION_CHARS]


def _quality(value: object, name: str, problems: list[str]) -> MatchQuality:
    text = value.strip().casefold() if isinstance(value, str) else str(value)
    try:
        return MatchQuality(text if value is not None else MatchQuality.INSUFFICIENT)
    except ValueError:
        known = ", ".join(each.value for each in MatchQuality)
        problems.append(f'"match_quality" of {name} must be one of {known}')
        return MatchQuality.INSUFFICIENT


def _numbers(value: object, name: str, problems: list[str]) -> tuple[int, ...]:
    listed: Sequence[object] = value if isinstance(value, list) else []
    if value is not None and not isinstance(value, list):
        problems.append(f'"depends_on" of {name} must be a list of numbers')
    found: dict[int, None] = {}
    for each in listed:
        number = _number(each)
        if number is None:
            problems.append(f'"depends_on" of {name} must hold numbers of subgoals')
            break
        found[number] = None
    return tuple(found)


def _number(value: object) -> int | None:
    if isinstance(value, str):
        # "2", and "s2" as the context of dependents calls them.
        text = value.strip().removeprefix("s")
        return int(text) if _ID.fullmatch(text) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "nothing"}
    return names.get(type(value), repr(value)[: presets.BALLOT_SHOWN])
