"""Faults that cost nobody a result, in the host's own logging: one clean line each."""

import logging
from collections.abc import Mapping
from typing import Final

from attrs import define, field

from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.secrets import Redactor

MAX_TEXT: Final = 2_000


@define(eq=False)
class FaultLog:
    """Writes to the logger "muster" and configures nothing.

    An error's text may quote an agent or a variable: secrets of ``environ`` are
    masked, what a terminal would obey is gone, and line breaks are blanks.
    """

    environ: Mapping[str, str] = field(repr=False)
    _redactor: Redactor | None = field(default=None, init=False, repr=False)

    def __call__(self, text: str) -> None:
        """Never raises for what stands in the text."""
        if self._redactor is None:
            # Not before the first fault: to know all secrets costs a millisecond.
            self._redactor = Redactor(self.environ)
        # Cut after masking, or half a secret could be left at the end.
        masked = self._redactor.redact(text[: 8 * MAX_TEXT])
        clean = strip_terminal(masked)[:MAX_TEXT]
        line = " ".join(clean.split())
        logging.getLogger("muster").warning(
            "%s", line.encode(errors="replace").decode()
        )
