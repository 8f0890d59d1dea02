"""The live judge of stderr: suspects, and says how long silence must confirm it."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from muster.domain import classification_line as lines
from muster.domain import final_message, presets, retry_notice
from muster.domain.errors import ConfigError
from muster.domain.final_message import is_continuation, is_frame
from muster.domain.outcome import Evidence, Failure, FailureCategory, FailureCause
from muster.domain.spawn_policy import Predicate, TerminationPolicy

_MAX_LINES: Final = 400
_MAX_JUDGED_LINES: Final = 24
_BY_POLICY: Final = "predicate"
# What a backend answers. A program that can't start ends by itself, and what an
# agent's own shell commands print (missing files, no permission) ends nobody.
_LIVE: Final = frozenset(
    (
        FailureCause.RATE_LIMIT,
        FailureCause.OVERLOADED,
        FailureCause.NETWORK,
        FailureCause.SERVER_ERROR,
        FailureCause.QUOTA,
        FailureCause.AUTH,
        FailureCause.FORBIDDEN,
        FailureCause.INVALID_MODEL,
        FailureCause.CONTEXT_LENGTH,
    )
)


@frozen
class LineVerdict:
    """What one stderr line says. Seconds; ``announced_delay`` is the program's own retry.

    ``is_firm``: a permanent cause or a used-up quota, which no patience cures.
    """

    cause: FailureCause
    pattern: str
    text: str
    start: int = 0
    announced_delay: float | None = None
    reason: str | None = None

    @property
    def is_firm(self) -> bool:
        """Whether the shorter confirmation applies."""
        return (
            self.cause.category is FailureCategory.PERMANENT
            or self.cause is FailureCause.QUOTA
        )

    @property
    def confirm_after(self) -> float:
        """Seconds of silence after which the line counts, its own retry left aside."""
        if self.is_firm:
            return presets.CONFIRM_AFTER_PERMANENT
        return presets.CONFIRM_AFTER


@frozen
class Suspicion:
    """A failure that counts once the output has been silent for ``confirm_after`` seconds."""

    failure: Failure
    confirm_after: float
    quiet_for: float = 0.0

    @property
    def is_confirmed(self) -> bool:
        """Whether the silence has lasted long enough."""
        return self.quiet_for >= self.confirm_after


def judge_line(line: str) -> LineVerdict | None:
    """The failure that one stderr line reports, or None; a warning reports none."""
    clean = lines.folded(line)
    if clean.startswith("{"):
        record = final_message.structured(clean)
        found = record and lines.match(f"{record.text} {record.details}")
    elif clean and not lines.is_warning(clean):
        found = lines.match_line(clean)
    else:
        return None
    if not found or not found.row.live or found.row.cause not in _LIVE:
        return None
    return LineVerdict(
        cause=found.row.cause,
        pattern=found.row.name,
        text=clean,
        start=found.start,
        announced_delay=retry_notice.announced_delay(clean),
    )


class LineWatch:
    """Judges the tail of a stderr that has fallen silent. Holds no clock and no text."""

    def __init__(self, policy: TerminationPolicy | None = None) -> None:
        """``ConfigError`` names a pattern of ``policy`` that is no regular expression."""
        policy = policy or TerminationPolicy()
        self._enabled = policy.enabled
        self._confirm_after = policy.confirm_after
        self._patterns = tuple(map(_compiled, policy.patterns))
        self._predicates: tuple[Predicate, ...] = policy.predicates

    def judge(
        self, tail: str, quiet_for: float = 0.0, *, offset: int = 0
    ) -> Suspicion | None:
        """What the end of ``tail`` reports; None once an ordinary line follows the error.

        ``quiet_for``: seconds for which no stream has said anything. ``offset``:
        bytes of the stream before ``tail``.
        """
        if not self._enabled:
            return None
        skipped = max(0, len(tail) - presets.JUDGED_TAIL_BYTES)
        verdict, start = self._newest(tail, skipped)
        if verdict is None:
            return None
        where = offset + len(tail[:start].encode("utf-8", "surrogatepass"))
        return Suspicion(_failure(verdict, where), self._patience(verdict), quiet_for)

    def _newest(self, tail: str, skipped: int) -> tuple[LineVerdict | None, int]:
        delay: float | None = None
        inner: tuple[LineVerdict | None, int] = (None, 0)
        report = (each for each in _backwards(tail, skipped) if not is_frame(each[0]))
        for line, start in islice(report, _MAX_JUDGED_LINES):
            verdict = self._verdict(line)
            announced = retry_notice.announced_delay(lines.folded(line))
            delay = announced if delay is None else delay
            if verdict is not None and not line[:1].isspace():
                return _delayed(verdict, delay), start
            if verdict is not None and inner[0] is None:
                inner = (verdict, start)
            if (verdict or announced) is None and not is_continuation(line):
                break
        verdict, start = inner
        return (_delayed(verdict, delay) if verdict else None), start

    def _verdict(self, line: str) -> LineVerdict | None:
        clean = lines.folded(line)
        if not clean:
            return None
        return self._by_policy(clean) or judge_line(clean)

    def _by_policy(self, clean: str) -> LineVerdict | None:
        for pattern in self._patterns:
            found = pattern.search(clean)
            if found:
                known = lines.match(clean)
                cause = known.row.cause if known else FailureCause.UNKNOWN
                return LineVerdict(cause, pattern.pattern, clean, found.start())
        for predicate in self._predicates:
            reason = _asked(predicate, clean)
            if reason:
                return LineVerdict(
                    FailureCause.UNKNOWN, _BY_POLICY, clean, reason=reason
                )
        return None

    def _patience(self, verdict: LineVerdict) -> float:
        confirm = verdict.confirm_after
        if self._confirm_after is not None:
            confirm = self._confirm_after
        return confirm + (verdict.announced_delay or 0.0)


def _asked(predicate: Predicate, line: str) -> str | None:
    try:
        return predicate(line)
    except Exception:  # noqa: BLE001 -- a host's mistake must not end an agent
        return None


def _backwards(tail: str, skipped: int) -> Iterator[tuple[str, int]]:
    """Lines of ``tail`` with their starts, last first, a bounded number of them."""
    end = len(tail.rstrip())
    for _ in range(_MAX_LINES):
        if end <= skipped:
            return
        start = max(skipped, tail.rfind("\n", 0, end) + 1)
        yield tail[start:end], start
        end = start - 1


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as exc:
        problem = f"termination pattern {pattern!r} is no regular expression ({exc})"
        raise ConfigError(problem) from exc


def _delayed(verdict: LineVerdict, delay: float | None) -> LineVerdict:
    if delay is None or verdict.announced_delay is not None:
        return verdict
    return evolve(verdict, announced_delay=delay)


def _failure(verdict: LineVerdict, offset: int) -> Failure:
    return Failure.named(
        cause=verdict.cause,
        message=verdict.reason or verdict.text,
        evidence=Evidence(verdict.text, "stderr", offset, verdict.pattern),
        retry_after=retry_notice.retry_after(verdict.text),
    )
