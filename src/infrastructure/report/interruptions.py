"""Remembers what ran when muster died: the results that came later know nothing of it.

<run>/interruptions.jsonl, a line for each time that the run was taken up again.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from muster.infrastructure.durable_file import FILE_MODE
from muster.infrastructure.text_file import UnreadableTextError, read_text

NAME: Final = "interruptions.jsonl"
MAX_BYTES: Final = 16 * 1024 * 1024


@frozen
class CutAttempt:
    """An attempt that never ended. ``last_sign`` is when its muster was last seen
    alive; both in epoch seconds.
    """

    task_id: str
    who: str
    attempt: int
    started_at: float
    last_sign: float


@frozen
class Interruption:
    """One death of a muster, seen when the run was taken up again (epoch seconds)."""

    last_sign: float
    resumed_at: float
    attempts: tuple[CutAttempt, ...] = ()


def remember(folder: Path, interruption: Interruption) -> None:
    """Adds a line to the run's file. Raises OSError."""
    line = json.dumps(asdict(interruption)) + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder / NAME, flags, FILE_MODE)
    try:
        os.write(descriptor, line.encode("utf-8", "backslashreplace"))
    finally:
        os.close(descriptor)


def interruptions(folder: Path) -> tuple[Interruption, ...]:
    """All that are remembered, the oldest first; what can't be read is left out."""
    try:
        lines = read_text(folder / NAME, MAX_BYTES).splitlines()
    except UnreadableTextError:
        return ()
    found: list[Interruption] = []
    seen: set[tuple[str, float]] = set()
    for line in lines:
        try:
            interruption = _interruption(json.loads(line))
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        # A muster that died before it started a task again leaves it as it was.
        new = [
            each
            for each in interruption.attempts
            if (each.task_id, each.started_at) not in seen
        ]
        seen.update((each.task_id, each.started_at) for each in new)
        found.append(
            Interruption(interruption.last_sign, interruption.resumed_at, tuple(new))
        )
    return tuple(found)


def _interruption(document: dict[str, Any]) -> Interruption:
    attempts: Sequence[dict[str, Any]] = document["attempts"]
    return Interruption(
        float(document["last_sign"]),
        float(document["resumed_at"]),
        tuple(
            CutAttempt(
                str(each["task_id"]),
                str(each["who"]),
                int(each["attempt"]),
                float(each["started_at"]),
                float(each["last_sign"]),
            )
            for each in attempts
        ),
    )
