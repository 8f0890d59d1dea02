"""Validators for values that a host passes in: what is wrong, and what is right."""

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from attrs import Attribute

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def must_be(
    what: str, *kinds: type, error: type[Exception] = ValueError, name: str = ""
) -> Validator:
    """The value is None or one of the kinds; ``name`` is what the host calls it."""
    wanted = (*kinds, type(None))

    def check(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if not isinstance(value, wanted):
            problem = f"{name or attribute.name} must be {what}, not {shortly(value)}"
            raise error(problem)

    return check


def must_be_callable(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """None, or something to call. Raises TypeError."""
    if value is not None and not callable(value):
        problem = f"{attribute.name} must be a function, not {shortly(value)}"
        raise TypeError(problem)


def table_of_texts(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """None, or texts by name. Raises ValueError."""
    if value is None:
        return
    is_table = isinstance(value, Mapping)
    if not is_table or any(
        not isinstance(x, str) for pair in value.items() for x in pair
    ):
        # Not its values: they may be secrets.
        told = "but not all of it is" if is_table else f"not a {type(value).__name__}"
        problem = f"{attribute.name} must be a table of texts, {told}"
        raise ValueError(problem)


def is_number(value: object) -> bool:
    """Whether it is a finite number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def shortly(value: object) -> str:
    """The value in an error message, which may be of any size and hold anything."""
    if isinstance(value, str | bytes | int | float):
        return reprlib.repr(value)
    return f"an object of type {type(value).__name__}"
