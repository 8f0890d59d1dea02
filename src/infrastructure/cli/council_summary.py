"""What a council came to, on one screen: the verdict, the votes, who differs and why."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from muster.application.council_run import CouncilReport
from muster.domain.council import Council
from muster.domain.deliberation import Outcome
from muster.domain.run_report import RunStatus
from muster.infrastructure.cli.council_words import ended_words, vote_words
from muster.infrastructure.cli.summary import short_id, shown
from muster.infrastructure.cli.words import failure_words, one_line, plural, took
from muster.infrastructure.cost_words import spent, usage_of
from muster.infrastructure.report import minutes

FRAME_LINES: Final = 13  # all but the names, and the prompt
FEWEST: Final = 2  # of each list are told however small the screen is
WIDEST_BAR: Final = 40
WIDEST_LABEL: Final = 24
INDENT: Final = "  "
WON: Final = "  <- decided"


@frozen
class CouncilSummary:
    """The last words about a council. ``folder`` is its run's."""

    report: CouncilReport
    council: Council
    folder: Path

    def lines(self, screen: tuple[int, int] | None = None) -> Iterator[str]:
        """The summary, fitted to a screen of (columns, lines); None: the terminal's."""
        width, height = screen or shutil.get_terminal_size()
        verdict = self.report.verdict
        yield ""
        yield one_line(f"{_head(self.report)}: {verdict.reason}", width)
        yield one_line(self._effort(), width)
        yield from self._stamp()
        yield ""
        yield from self._tally(width) if self._has_voted else self._unvoted(width)
        room = height - FRAME_LINES - len(self.council.choices)
        yield from _lists(self._reasons(), width, room)
        yield ""
        yield f"minutes  {shown(self.folder / minutes.NAME)}"
        yield from self._next()

    def _effort(self) -> str:
        results = list(self.report.results.values())
        summary = self.report.summary
        members = plural(len(self.council.members), "member")
        rounds = plural(self.report.verdict.rounds, "round")
        answers = plural(sum(each.success for each in results), "answer")
        time = took(summary["duration_s"])
        parts = [f"{members}, {rounds}, {answers} in {time}"]
        parts += filter(None, (spent(usage_of(summary.get("usage"))),))
        return "; ".join(parts)

    def _stamp(self) -> Iterator[str]:
        results = list(self.report.results.values())
        simulated = sum(each.simulated for each in results)
        if simulated:
            count = f"{simulated} of {len(results)}"
            yield f"simulated: {count} results are no real answers"

    def _tally(self, width: int) -> Iterator[str]:
        verdict, council = self.report.verdict, self.council
        rows = [*verdict.tally.items()]
        rows.append(("abstained", len(verdict.poll.abstentions)))
        rows.append(("absent", len(verdict.poll.absent)))
        label = min(max(len(name) for name, _ in rows), WIDEST_LABEL)
        most = max(1, *(count for _, count in rows))
        digits = len(str(most))
        bar = max(0, min(WIDEST_BAR, width - label - digits - len(WON) - 4))
        for name, count in rows:
            length = 0 if not count else max(1, round(count * bar / most))
            mark = "." if name in ("abstained", "absent") else "#"
            won = WON if name == verdict.choice else ""
            text = f"{one_line(name, label).ljust(label)}  {count:>{digits}}  "
            yield f"{text}{mark * length}{won}".rstrip()[:width]
        quorum = (
            f"quorum {council.needed} of {len(council.members)}, rule {council.rule}"
        )
        yield one_line(quorum, width)

    @property
    def _has_voted(self) -> bool:
        return any(each.poll is not None for each in self.report.rounds)

    def _unvoted(self, width: int) -> Iterator[str]:
        yield "no vote was held"
        for each in self.report.rounds:
            yield one_line(ended_words(each), width)

    def _reasons(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        verdict = self.report.verdict
        # Without a decision nobody differs from it: the votes themselves are of interest.
        votes = verdict.dissents if verdict.choice else verdict.poll.votes
        title = "dissents" if verdict.choice else "votes"
        found = {
            title: [(name, vote_words(vote)) for name, vote in votes.items()],
            "abstentions": [
                (name, each.reason) for name, each in verdict.poll.abstentions.items()
            ],
            "absent": self._absent(),
        }
        return {title: rows for title, rows in found.items() if rows}

    def _absent(self) -> list[tuple[str, str]]:
        if self._has_voted:
            return list(self.report.verdict.poll.absent.items())
        failed = self.report.rounds[-1].absent if self.report.rounds else {}
        return [(name, failure_words(each)) for name, each in failed.items()]

    def _next(self) -> Iterator[str]:
        run = short_id(self.folder.name)
        yield f"next     muster show {run}"
        if self.report.status in (RunStatus.HALTED, RunStatus.INTERRUPTED):
            yield f"         muster resume {run}"
        elif self.report.verdict.outcome is Outcome.NO_QUORUM:
            yield f"         muster resume {run} --retry-failed"


def _head(report: CouncilReport) -> str:
    verdict = report.verdict
    if report.status is RunStatus.INTERRUPTED:
        return "interrupted"
    if verdict.choice is not None:
        return f"decided: {one_line(verdict.choice)}"
    return verdict.outcome.value.replace("_", " ")


def _lists(
    lists: Mapping[str, Sequence[tuple[str, str]]], width: int, room: int
) -> Iterator[str]:
    """Each with a title; the lines that there is room for are shared out among them."""
    room -= 2 * len(lists)
    shares = _shares([len(rows) for rows in lists.values()], room)
    for (title, rows), share in zip(lists.items(), shares, strict=True):
        yield ""
        yield f"{title} ({len(rows)})"
        shown_ = rows if len(rows) <= share else rows[: max(1, share - 1)]
        names = min(max(len(name) for name, _ in shown_), WIDEST_LABEL)
        for name, why in shown_:
            text = f"{INDENT}{one_line(name, names).ljust(names)}  {one_line(why)}"
            yield _fitted(text, width)
        if len(shown_) < len(rows):
            yield f"{INDENT}and {len(rows) - len(shown_)} more, in the minutes"


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    """Lines for each list: none gets more than it has, none fewer than a few."""
    shares = [min(size, FEWEST) for size in sizes]
    left = room - sum(shares)
    while left > 0 and any(s < size for s, size in zip(shares, sizes, strict=True)):
        for at, size in enumerate(sizes):
            if shares[at] < size and left > 0:
                shares[at] += 1
                left -= 1
    return shares


def _fitted(text: str, width: int) -> str:
    """Cut to the width; blanks that align it stay."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
