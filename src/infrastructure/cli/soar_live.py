"""The live table of a question: its phases, and its subgoals as they are worked on."""

from typing import cast

from attrs import define
from rich.text import Text

from muster.domain.soar_events import SoarEvent, Warned
from muster.infrastructure.cli.live import LiveView
from muster.infrastructure.cli.soar_board import SoarBoard
from muster.infrastructure.cli.soar_words import soar_words


@define(eq=False)
class SoarLive(LiveView):
    """See `LiveView`; also hears what the pipeline tells."""

    def hear(self, event: SoarEvent) -> None:
        """Takes an event of the pipeline; all but warnings is in the table."""
        cast("SoarBoard", self.board).hear(event, self.now())
        if isinstance(event, Warned):
            text = self.mask(soar_words(event) or "")
            self._news.append(Text(text, style="yellow"))
