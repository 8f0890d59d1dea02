"""The host's door to the table of failure texts: it knows what time it is, and where."""

from muster.domain import classification
from muster.domain.outcome import Failure
from muster.infrastructure.clock import SystemClock


def classify_error(
    text: str,
    *,
    exit_code: int | None = None,
    stream: str = "stderr",
    now_epoch: float | None = None,
) -> Failure | None:
    """The failure that ``text`` reports, or None where it reports none.

    With a non-zero ``exit_code`` there always is one, if only "crash". The plain
    stdout of a run that ended with 0 is an answer and is never searched; in a
    structured stream the last record decides. ``resets_at`` of "resets 3pm
    (Europe/Rome)" is the next such moment after ``now_epoch``, by default now.
    Never raises.
    """
    clock = SystemClock()
    return classification.classify_error(
        text,
        exit_code=exit_code,
        stream=stream,
        now_epoch=clock.epoch() if now_epoch is None else now_epoch,
        zone_offset=clock.zone_offset,
    )
