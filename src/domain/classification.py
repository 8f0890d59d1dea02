"""Seeing and naming failures: the front door to the ordered table.

classify_error   a text, as a host has it            -> Failure or None
judge_exit       a run that is known to have failed  -> Failure
judge_line       one line of a live stderr           -> LineVerdict or None
LineWatch        the last burst of a live stderr     -> Suspicion or None
"""

from typing import Final

from attrs import evolve

from muster.domain.civil_time import ZoneOffset
from muster.domain.classification_exit import judge_exit, judge_records, judge_text
from muster.domain.classification_line import folded, is_warning, match_line
from muster.domain.classification_watch import (
    LineVerdict,
    LineWatch,
    Suspicion,
    judge_line,
)
from muster.domain.final_message import is_continuation, succeeded
from muster.domain.outcome import Failure
from muster.domain.reset_time import dated

__all__ = [
    "LineVerdict",
    "LineWatch",
    "Suspicion",
    "classify_error",
    "judge_exit",
    "judge_line",
]

_MAX_CLOSING_LINES: Final = 200


def classify_error(
    text: str,
    *,
    exit_code: int | None = None,
    stream: str = "stderr",
    now_epoch: float | None = None,
    zone_offset: ZoneOffset | None = None,
) -> Failure | None:
    """The failure that ``text`` reports, or None where it reports none.

    With a non-zero ``exit_code`` there always is one, if only "crash". The plain
    stdout of a run that ended with 0 is an answer and is never searched; in a
    structured stream the last record decides. ``now_epoch`` (seconds) and
    ``zone_offset`` turn "resets in 2h" and "resets 3pm (Europe/Rome)" into points
    in time. Never raises.
    """
    failure = _judged(text, exit_code, stream, now_epoch)
    if failure is None or now_epoch is None or zone_offset is None:
        return failure
    return dated(failure, now_epoch, zone_offset)


def _judged(
    text: str, exit_code: int | None, stream: str, now_epoch: float | None
) -> Failure | None:
    if exit_code:
        out = text if stream == "stdout" else ""
        return judge_exit(exit_code, "" if out else text, out, now_epoch=now_epoch)
    if succeeded(text):
        return None
    if exit_code == 0:
        return _of_a_good_run(text, stream, now_epoch)
    return judge_text(text, stream, now_epoch)


def _of_a_good_run(text: str, stream: str, now_epoch: float | None) -> Failure | None:
    """Only an error that nothing follows speaks against an exit code of 0."""
    if stream == "stdout":
        return judge_records(text, stream, now_epoch)
    begin = _closing_errors(text)
    failure = judge_text(text[begin:], stream, now_epoch, retries=False)
    if failure is None or failure.evidence is None:
        return None
    offset = (failure.evidence.offset or 0) + len(text[:begin].encode(errors="replace"))
    return evolve(failure, evidence=evolve(failure.evidence, offset=offset))


def _closing_errors(text: str) -> int:
    """Where the errors that ``text`` ends with begin."""
    end = len(text.rstrip())
    for _ in range(_MAX_CLOSING_LINES):
        start = text.rfind("\n", 0, end) + 1
        line = text[start:end]
        clean = folded(line)
        if is_warning(clean) or not (is_continuation(line) or match_line(clean)):
            return min(end + 1, len(text))
        if start == 0:
            return 0
        end = start - 1
    return start
