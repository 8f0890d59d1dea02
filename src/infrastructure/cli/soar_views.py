"""Who shows a question while it is worked on: a live table, or plain lines."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define

from muster.domain.soar_events import SoarEvent
from muster.infrastructure.cli.output import Output
from muster.infrastructure.cli.plain import PlainView
from muster.infrastructure.cli.soar_board import SoarBoard
from muster.infrastructure.cli.soar_words import soar_words

if TYPE_CHECKING:
    from collections.abc import Mapping


@define(eq=False)
class SoarPlain(PlainView):
    """See `PlainView`; also hears what the pipeline tells."""

    def hear(self, event: SoarEvent) -> None:
        """Takes an event of the pipeline."""
        words = None if self.is_quiet else soar_words(event)
        if words is not None:
            self._line(f"[{self.now() - self._began:7.1f}s] {words}")


def view_of(
    output: Output,
    board: SoarBoard,
    now: Callable[[], float],
    mask: Callable[[str], str],
) -> Any:
    """The view, which has begun to show; it keeps the board where it is live."""
    if not output.is_live:
        options: Mapping[str, Any] = {
            "mask": mask,
            "is_quiet": output.is_quiet,
            "encoding": sys.stderr.encoding or "utf-8",
        }
        return SoarPlain(now, **options)
    # rich costs as much as everything else together; only a person pays for it.
    from rich.console import Console  # noqa: PLC0415

    from muster.infrastructure.cli.soar_live import SoarLive  # noqa: PLC0415

    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    view = SoarLive(board, console, now, mask)
    view.start()
    return view
