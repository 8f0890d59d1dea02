"""`muster config show`: the settings that hold, and where each of them stands."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from muster.infrastructure.cli.columns import aligned, screen_width
from muster.infrastructure.cli.output import Output, OutputFlags

if TYPE_CHECKING:
    from muster.infrastructure.settings import SettingRow


def show(
    *,
    origin: Annotated[
        bool, Parameter(help="Say where each setting comes from.")
    ] = False,
    flags: OutputFlags | None = None,
) -> None:
    """Print the effective settings; secrets are masked.

    Defaults < your config.toml < the project's file < MUSTER_* < flags.
    """
    from muster.infrastructure.settings import Settings  # noqa: PLC0415

    out = Output.of(flags)
    settings = Settings.load()
    rows = list(settings.rows())
    if out.is_json:
        found = [
            {"key": each.key, "value": each.value, "origin": each.origin}
            for each in rows
        ]
        out.document({"project": str(settings.project), "settings": found})
        return
    for line in screen(rows, settings.project, screen_width(), origin=origin):
        out.line(line)


def screen(
    rows: "Sequence[SettingRow]", project: Path, width: int, *, origin: bool
) -> Iterator[str]:
    """What a person reads: key, value, and perhaps the place."""
    yield f"# project {project}"
    if not origin:
        yield from aligned(
            [(each.key, written(each.value)) for each in rows], width=width
        )
        return
    cells = [
        (each.key, written(each.value), each.origin.removeprefix(f"{project}/"))
        for each in rows
    ]
    yield from aligned(cells, width=width)


def written(value: Any) -> str:
    """A value as it would stand in a settings file; ``-`` where nothing is set."""
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
