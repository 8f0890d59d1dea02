"""Where a run came from: kept beside its results too, should the journal be lost."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from attrs import frozen

from muster.domain.errors import JournalError
from muster.infrastructure.durable_file import sync_folders, write_durably

NAME: Final = "origin.json"


@frozen
class Origin:
    """The plan's file, None for one without, and how the run was asked for."""

    plan_path: str | None
    options: Mapping[str, Any]

    @classmethod
    def of(cls, plan_path: Path | None, options: Mapping[str, Any]) -> Self:
        """As it is kept."""
        path = None if plan_path is None else str(plan_path.absolute())
        return cls(path, dict(options))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """That of a run. Raises `JournalError` for one that was cut off too early."""
        try:
            document = json.loads((folder / NAME).read_text("utf-8"))
            return cls(document["plan_path"], document["options"])
        except (OSError, ValueError, TypeError, KeyError) as exc:
            raise JournalError(
                "this run ended before its first task was started; `muster run` its "
                "plan again, or name another run",
                str(folder),
            ) from exc

    def write(self, folder: Path) -> None:
        """Makes it durable. Raises `JournalError`."""
        document = {"plan_path": self.plan_path, "options": self.options}
        try:
            write_durably(folder / NAME, json.dumps(document).encode())
            sync_folders([folder])
        except OSError as exc:
            problem = f"a run can't be begun here: {exc.strerror}"
            raise JournalError(problem, str(folder)) from exc

    @property
    def columns(self) -> tuple[str | None, str]:
        """As the journal keeps it."""
        return self.plan_path, json.dumps(self.options)
