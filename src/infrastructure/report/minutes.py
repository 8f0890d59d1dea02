"""The minutes of a council as Markdown: the verdict first, then round by round.

What members said stands behind ``>`` on every line: it is quoted and never becomes a
part of the page's own structure.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from muster.domain.ballot import Vote
from muster.domain.council import Council
from muster.domain.deliberation import Round, Verdict
from muster.domain.terminal_text import strip_terminal

NAME: Final = "minutes.md"
MAX_STATEMENT: Final = 20_000  # characters; the run's results have the whole


def minutes(
    council: Council,
    verdict: Verdict,
    rounds: Sequence[Round],
    *,
    run_id: str | None,
    simulated: bool = False,
) -> str:
    """The text; ``simulated`` when an answer is no real one."""
    lines = list(_lines(council, verdict, rounds, run_id))
    if simulated:
        lines[1:1] = ["", "**Simulated: members of this council were no real agents.**"]
    return "\n".join(lines) + "\n"


def _lines(
    council: Council, verdict: Verdict, rounds: Sequence[Round], run_id: str | None
) -> Iterator[str]:
    title = verdict.choice or verdict.outcome.value.replace("_", " ")
    yield f"# {verdict.outcome.value.replace('_', ' ')}: {_inline(title)}"
    yield ""
    yield from _quoted(council.topic)
    yield ""
    yield f"{_inline(verdict.reason)}. Rounds held: {verdict.rounds}."
    yield ""
    yield from _table(council, verdict)
    yield from _votes("Dissents", verdict.dissents)
    abstained = verdict.poll.abstentions
    yield from _reasons("Abstentions", {n: a.reason for n, a in abstained.items()})
    yield from _reasons("Absent", verdict.poll.absent)
    for each in rounds:
        yield from _round(each)
    yield ""
    yield "---"
    yield f"Run {run_id}. Members: {len(council.members)}. Rule: {council.rule}. Quorum: "
    yield f"{council.needed} of {len(council.members)} ({council.quorum})."


def _table(council: Council, verdict: Verdict) -> Iterator[str]:
    poll = verdict.poll
    yield "| choice | votes |"
    yield "|---|---:|"
    for choice, votes in verdict.tally.items():
        yield f"| {_inline(choice)} | {votes} |"
    yield f"| abstained | {len(poll.abstentions)} |"
    yield f"| absent | {len(poll.absent)} |"
    yield f"| **members** | **{len(council.members)}** |"


def _votes(title: str, votes: dict[str, Vote], mark: str = "##") -> Iterator[str]:
    texts = {
        name: f"{vote.choice}{_sure(vote)}: {vote.reason}"
        for name, vote in votes.items()
    }
    yield from _reasons(title, texts, mark)


def _reasons(title: str, reasons: Any, mark: str = "##") -> Iterator[str]:
    if not reasons:
        return
    yield ""
    yield f"{mark} {title}"
    yield ""
    for name, reason in reasons.items():
        yield f"- **{_inline(name)}**: {_inline(reason)}"


def _round(held: Round) -> Iterator[str]:
    yield ""
    yield f"## Round {held.number}: {held.phase.value}"
    if held.poll is not None:
        yield from _votes("Votes", dict(held.poll.votes), "###")
        abstained = held.poll.abstentions
        reasons = {name: each.reason for name, each in abstained.items()}
        yield from _reasons("Abstained", reasons, "###")
    for name, text in held.statements.items() if held.poll is None else ():
        yield ""
        yield f"### {_inline(name)}"
        yield ""
        yield from _quoted(text)
    absent = {n: f"{f.cause.value}: {f.message}" for n, f in held.absent.items()}
    yield from _reasons("Absent", absent, "###")


def _sure(vote: Vote) -> str:
    return "" if vote.confidence is None else f" ({vote.confidence:.2f})"


def _quoted(text: str) -> Iterator[str]:
    text = strip_terminal(text).strip()
    rest = len(text) - MAX_STATEMENT
    for line in text[:MAX_STATEMENT].splitlines() or [""]:
        yield f"> {_harmless(line)}"
    if rest > 0:
        yield f"> [... {rest} characters left out ...]"


def _inline(text: str) -> str:
    line = " ".join(strip_terminal(text).split())
    for mark in ("\\", "`", "*", "_", "[", "]", "|", "#"):
        line = line.replace(mark, f"\\{mark}")
    return _harmless(line)


def _harmless(text: str) -> str:
    # Markdown passes HTML on, and an image is fetched from wherever it says.
    return text.replace("<", "&lt;").replace("![", "!\\[")
