"""The host's door to the table of failure texts: it knows what time it is, and where."""

from muster.domain import classification
from muster.domain.outcome import Failure
from muster.domain.reset_time import dated
from muster.domain.stream_outcome import judge_stream
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
    stdout of a run that ended with 0 is an answer and is never searched; the records
    of a known tool's stream are read as those of a running agent are, so that an exit
    code of 0 without their successful end is a failure. ``resets_at`` of "resets 3pm
    (Europe/Rome)" is the next such moment after ``now_epoch``, by default now.
    Never raises.
    """
    clock = SystemClock()
    now = clock.epoch() if now_epoch is None else now_epoch
    if exit_code is not None and '{"' in text:
        # Loaded only for a text that may be a stream.
        from muster.infrastructure.adapters.local_process.stream_formats import (  # noqa: PLC0415
            parser_for,
            recognition,
        )

        output = recognition.recognised(text)
        parser = output and parser_for(output, _unheard, epoch=lambda: now)
        if parser:
            parser.feed(text.encode(errors="replace"))
            judged = judge_stream(parser.finish(), exit_code=exit_code, now_epoch=now)
            return judged and dated(judged, now, clock.zone_offset)
    return classification.classify_error(
        text,
        exit_code=exit_code,
        stream=stream,
        now_epoch=now,
        zone_offset=clock.zone_offset,
    )


def _unheard(_event: object) -> None:
    pass
