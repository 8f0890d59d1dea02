"""Warnings of the engine, said where a command talks."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def warnings_to(say: Callable[[str], object]) -> Iterator[None]:
    """Warnings of the engine go where the talk goes, not across the live table."""
    handler = _Said(say)
    logger = logging.getLogger("muster")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Said(logging.Handler):
    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
