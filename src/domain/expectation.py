"""What an answer must be to count: the part that can be judged without the world."""

import re

from muster.domain.task import Expectation


def obstacle(expect: Expectation) -> str | None:
    """Why this can't be expected of anybody, or None."""
    if expect.regex is None:
        return None
    try:
        re.compile(expect.regex)
    except (re.error, RecursionError, OverflowError) as error:
        return f"the expected regex {expect.regex!r} is no regular expression ({error})"
    return None


def complaint(expect: Expectation, *, exit_code: int | None, output: str) -> str | None:
    """What is wrong with an exit code and an output, or None.

    An agent without an exit code counts as one that exits with 0. ``^`` and ``$``
    of the regex match at every line.
    """
    if expect.exit_code is not None and (exit_code or 0) != expect.exit_code:
        return f"the exit code was {exit_code or 0}, not {expect.exit_code}"
    if expect.regex is None or re.search(expect.regex, output, re.MULTILINE):
        return None
    return f"the output does not match the regular expression {expect.regex!r}"


def needs_the_world(expect: Expectation) -> bool:
    """Whether files, schemas or commands are expected, too."""
    parts = (expect.file, expect.json_schema, expect.command)
    return any(part is not None for part in parts)


def with_complaint(prompt: str, complaint: str) -> str:
    """The prompt of the one further attempt after an answer that did not do."""
    return f"{prompt}\n\nThe answer before was not accepted: {complaint}"
