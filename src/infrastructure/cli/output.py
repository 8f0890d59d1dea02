"""Where a command's results and its talk go, and in which dress.

`write_bytes` and `document` take what is to be read by programs. Everything else
passes `strip_terminal`: no agent and no plan can drive a person's terminal.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

from attrs import field, frozen
from cyclopts import Parameter

from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.cli import streams

GAP: Final = "  "


@Parameter(name="*")
@frozen
class OutputFlags:
    """The flags of every command that shows something."""

    json: Annotated[bool, Parameter(help="Print one JSON document on stdout.")] = False
    plain: Annotated[bool, Parameter(help="No colours, no live table.")] = False


@frozen
class Output:
    """Results on stdout, talk on stderr."""

    is_json: bool = False
    is_plain: bool = False
    is_quiet: bool = False
    environ: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)

    @classmethod
    def of(cls, flags: OutputFlags | None = None, *, quiet: bool = False) -> "Output":
        """The output that these flags ask for."""
        flags = flags or OutputFlags()
        return cls(flags.json, flags.plain, quiet)

    @property
    def is_live(self) -> bool:
        """Whether stderr is a terminal on which a live table may be drawn."""
        is_dumb = self.environ.get("TERM", "") in ("", "dumb")
        bare = self.is_plain or self.is_json or self.is_quiet or is_dumb
        return not bare and streams.is_terminal(sys.stderr)

    @property
    def has_colour(self) -> bool:
        """Whether talk may be coloured."""
        return self.is_live and not self.environ.get("NO_COLOR")

    def line(self, text: str = "") -> None:
        """A line of the result. Raises `OutputLostError`, as all that write stdout."""
        streams.write(strip_terminal(text) + "\n")

    def answer(self, text: str) -> None:
        """An agent's answer: exact for a program that reads it, safe for a person."""
        if not streams.is_terminal(sys.stdout):
            streams.write_bytes(text.encode("utf-8", "replace"))
            return
        safe = strip_terminal(text)
        streams.write(safe if safe.endswith("\n") or not safe else safe + "\n")

    def document(self, value: Any) -> None:
        """One JSON document, secrets masked."""
        streams.write(json_text(self.masked(value), indent=1) + "\n")

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns under their headers, as wide as they must be; cells of one line."""
        cells = [[_cell(each) for each in row] for row in (headers, *rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            padded = (
                cell.ljust(width) for cell, width in zip(row, widths, strict=True)
            )
            self.line(GAP.join(padded).rstrip())

    def say(self, text: str) -> None:
        """Talk: progress, hints, warnings. Not with ``--quiet``."""
        if not self.is_quiet:
            streams.talk(text)

    def warn(self, text: str) -> None:
        """Talk that ``--quiet`` does not silence."""
        streams.talk(text)

    def masked(self, value: Any) -> Any:
        """A JSON-ready value or a text without the secrets of this environment."""
        from muster.infrastructure.secrets import Redactor  # noqa: PLC0415

        return Redactor(self.environ).redact_document(value)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON as stdout can take it; on a terminal nothing but ASCII."""
    import json  # noqa: PLC0415

    # Lone surrogates (argv that is no UTF-8) and C1 controls are escaped by ASCII only.
    is_plain = streams.is_terminal(sys.stdout) or not streams.speaks_utf8(sys.stdout)
    return json.dumps(value, ensure_ascii=is_plain, indent=indent, default=str)


def _cell(value: object) -> str:
    return " ".join(strip_terminal("" if value is None else str(value)).split())
