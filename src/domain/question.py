"""A question that is put to a fleet."""

from collections.abc import Iterable

from attrs import field, frozen

from muster.domain import presets


def _bounded(instance: object, attribute: object, value: str) -> None:
    if not value.strip():
        problem = "the question is empty"
        raise ValueError(problem)
    limit = presets.SOAR_QUERY_CHARS
    if len(value) > limit:
        problem = (
            f"the question is {len(value):,} characters long and may be {limit:,}; put "
            "what it is about into a file and name that with --context"
        )
        raise ValueError(problem)


def _names(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


@frozen
class Question:
    """What is asked, and the files that were named with it. Not empty, and bounded."""

    text: str = field(validator=_bounded)
    files: tuple[str, ...] = field(default=(), converter=_names)
