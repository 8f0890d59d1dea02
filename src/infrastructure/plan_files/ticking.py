"""Ticks finished tasks in a Markdown plan, and changes nothing else in the file."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from muster.domain.errors import PlanError
from muster.infrastructure.plan_files import MAX_BYTES, load
from muster.infrastructure.text_file import UnreadableTextError, read_bytes

SUFFIXES: Final = (".md", ".markdown")
_LINE_END: Final = re.compile(rb"(\r\n|\n|\r)")
_BOX: Final = re.compile(rb"^([ \t]*(?:[-*+]|[0-9]{1,9}[.)])[ \t]+\[)[^\]xX]?(\])")


def can_tick(path: Path) -> bool:
    """Whether there are boxes in a file of that name."""
    return path.suffix.lower() in SUFFIXES


def tick(path: Path, task_ids: Collection[str]) -> int:
    """Ticks these tasks, as the file is now; how many. Raises `PlanError`.

    A task that somebody has meanwhile taken out, or ticked, is left alone.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
        plan = load(path, text=data)
    except UnreadableTextError as exc:
        raise PlanError(f"can't be ticked: it {exc}", str(path)) from exc
    pieces = _LINE_END.split(data)
    ticked = 0
    for task in plan.tasks:
        if task.id in task_ids and not task.done and task.line is not None:
            # Between two lines stands what ends the first of them.
            at = 2 * (task.line - 1)
            pieces[at], count = _BOX.subn(rb"\1x\2", pieces[at])
            ticked += count
    if ticked:
        _replace(path, b"".join(pieces))
    return ticked


def _replace(path: Path, data: bytes) -> None:
    target = Path(os.path.realpath(path))
    new = target.with_name(f".{target.name}.ticked")
    try:
        mode = target.stat().st_mode & 0o7777
        new.write_bytes(data)
        new.chmod(mode)
        new.replace(target)
    except OSError as exc:
        new.unlink(missing_ok=True)
        problem = f"can't be ticked: {exc.strerror or exc}"
        raise PlanError(problem, str(path)) from exc
