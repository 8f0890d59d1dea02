"""JSON in what a model says: between sentences, in fences, after an example of it.

The last value that has what is looked for is the one that counts. Only the end of a long
text is searched, and as many beginnings as are enough for every honest answer and too few
for a text that was made to keep us busy.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from muster.domain import presets

_OBJECT: Final = re.compile(r"\{\s*[\"}]")
_ARRAY: Final = re.compile(r"\[\s*\{")
_PERCENT: Final = 100
# Newlines within a text are no JSON, and no reason to lose an answer.
_DECODER: Final = json.JSONDecoder(strict=False)


@frozen
class Misread:
    """The answer is not what was asked for; ``problem`` says it to who gave it."""

    problem: str


def last_object(text: str, key: str) -> Mapping[str, Any] | None:
    """The object with that key that ends last; of nested ones, the outer one."""
    found = _last(text, _OBJECT, lambda each: isinstance(each, dict) and key in each)
    return found if isinstance(found, dict) else None


def last_list(text: str, key: str) -> list[Any] | None:
    """The list of objects with that key that ends last."""
    found = _last(text, _ARRAY, lambda each: _is_list_of(each, key))
    return found if isinstance(found, list) else None


def share_of(said: object) -> float | None:
    """A number from 0 to 1, also said in percent; None for anything else."""
    if isinstance(said, str):
        text = said.strip()
        is_percent = text.endswith("%")
        try:
            said = float(text.rstrip("% "))
        except ValueError:
            return None
        said = said / _PERCENT if is_percent else said
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    if 1 < said <= _PERCENT:
        said = said / _PERCENT
    return float(said) if math.isfinite(said) and 0 <= said <= 1 else None


def _is_list_of(value: Any, key: str) -> bool:
    # Not an empty one: those stand within the objects of the list that is meant.
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and key in each for each in value)
    )


def _last(
    text: str, opening: re.Pattern[str], fits: Callable[[Any], bool]
) -> Any | None:
    best: tuple[int, int, Any] | None = None
    for start, end, value in _values(text[-presets.BALLOT_CHARS :], opening):
        if not fits(value):
            continue
        if best is not None and not (start < best[0] and end >= best[1]):
            # From here on everything ends before it.
            break
        best = (start, end, value)
    return None if best is None else best[2]


def _values(text: str, opening: re.Pattern[str]) -> Iterator[tuple[int, int, Any]]:
    """JSON values by where they begin, the last one first."""
    starts = [match.start() for match in opening.finditer(text)]
    for start in reversed(starts[-presets.BALLOT_TRIES :]):
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        yield start, end, value
