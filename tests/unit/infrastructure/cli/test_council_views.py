"""A council's live table, its plain lines and its last words, on screens of any size."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from muster.application.council_run import CouncilReport
from muster.domain import council_events as told
from muster.domain import fleet_events as events
from muster.domain.ballot import Abstention, Unreadable, Vote
from muster.domain.council import Council, Phase
from muster.domain.deliberation import Poll, Round, Verdict, conclude, halted
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.run_report import RunStatus
from muster.infrastructure.cli.council_board import CouncilBoard
from muster.infrastructure.cli.council_live import CouncilLive
from muster.infrastructure.cli.council_plain import CouncilPlain
from muster.infrastructure.cli.council_summary import CouncilSummary
from muster.infrastructure.report.minutes import minutes

TRIO = Council("Shall we?", ("ann", "ben", "cleo"))
HANGS = Failure(FailureCause.TIMEOUT, "Timed out after 5 s")


class Now:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def big(members: int = 72) -> Council:
    """A council of so many."""
    return Council("Shall we?", [f"member-{n:02}" for n in range(1, members + 1)])


def live(council: Council, width: int = 80, height: int = 24) -> CouncilLive:
    """A view on a screen of that size, which is not drawn by itself."""
    console = Console(file=io.StringIO(), width=width, height=height, markup=False)
    now = Now()
    return CouncilLive(CouncilBoard(council, now()), console, now)  # type: ignore[arg-type]


def screen(view: CouncilLive) -> list[str]:
    """What stands on it."""
    with view.console.capture() as capture:
        view.console.print(view.picture())
    return [line.rstrip() for line in capture.get().splitlines()]


def started(index: int) -> events.AttemptStarted:
    """An agent begins."""
    return events.AttemptStarted(index, f"task {index}", "llm", "sim", 1)


def said(name: str, ballot: object = None, *, again: bool = False) -> told.CouncilEvent:
    """A statement, or a vote."""
    phase = Phase.ASSESS if ballot is None else Phase.VOTE
    text = "# My view\n\nIt is *fine*."
    return told.StatementCommitted(4, phase, name, text, ballot, again)  # type: ignore[arg-type]


def test_the_table_shows_what_everybody_does() -> None:
    """Who thinks and for how long, who has spoken, who is absent."""
    view = live(TRIO)
    view.hear(told.RoundBegan(1, Phase.ASSESS))
    view.emit(started(0))
    view.now.seconds = 7.0  # type: ignore[attr-defined]
    view.hear(said("ben"))
    view.hear(told.MemberAbsent(1, Phase.ASSESS, "cleo", HANGS))

    assert screen(view) == [
        "round 1 of at most 6: assess",
        "* ann  0:07",
        "+ ben         My view",
        "x cleo absent timeout: Timed out after 5 s",
        "1/3 answered, 1 absent, 1 thinking | 0:07, in all 0:07",
    ]


def test_nothing_is_shown_before_it_is_committed() -> None:
    """An agent's output is a sign of life, and no more."""
    view = live(TRIO)
    view.hear(told.RoundBegan(1, Phase.ASSESS))
    view.emit(started(0))
    view.now.seconds = 5.0  # type: ignore[attr-defined]
    view.emit(events.AttemptProgressed(0, "t", "llm", "half a thought", 14))
    view.now.seconds = 6.0  # type: ignore[attr-defined]

    picture = screen(view)

    assert picture[1] == "* ann  0:01"
    assert not any("half a thought" in line for line in picture)


def test_votes_are_counted_as_they_come() -> None:
    """By choice, with a bar; who is asked again waits."""
    view = live(TRIO)
    view.hear(told.RoundBegan(4, Phase.VOTE))
    view.hear(said("ann", Vote("approve", 0.9, "sound")))
    view.hear(said("ben", Unreadable("no JSON")))
    view.hear(told.AskedAgain(4, ("ben",)))
    view.hear(said("cleo", Abstention("not my field", is_deliberate=True)))

    lines = screen(view)

    assert lines[1].split() == ["+", "ann", "approve", "sound"]
    assert lines[2].split()[:2] == [".", "ben"]
    assert lines[3].split()[:3] == ["o", "cleo", "abstains"]
    assert lines[4].startswith("=" * 26 + "-")
    assert lines[5].startswith("1 approve, 0 reject, 1 abstained, 1 waiting")


def test_who_is_unreadable_twice_abstains() -> None:
    """That is what counts."""
    view = live(TRIO)
    view.hear(told.RoundBegan(4, Phase.VOTE))
    view.hear(said("ben", Unreadable("no JSON"), again=True))

    assert "1 abstained" in screen(view)[-1]


@pytest.mark.parametrize("members", [1, 3, 72, 500])
@pytest.mark.parametrize(("width", "height"), [(20, 8), (80, 24), (200, 50)])
def test_any_council_fits_any_screen(members: int, width: int, height: int) -> None:
    """Never wider, never higher, in any round."""
    council = big(members)
    view = live(council, width, height)
    for phase in (Phase.ASSESS, Phase.VOTE):
        view.hear(told.RoundBegan(4, phase))
        for each in council.members:
            ballot = Vote("approve", 1.0, "x" * 500) if phase is Phase.VOTE else None
            view.hear(said(each.name, ballot))

        lines = screen(view)

        assert len(lines) <= height - 1
        assert max(map(len, lines)) <= width


def test_72_members_are_all_on_a_small_screen() -> None:
    """Without what all their names begin with."""
    view = live(big())
    view.hear(told.RoundBegan(4, Phase.VOTE))
    for each in view.council.council.members:
        view.hear(said(each.name, Vote("reject")))

    text = " ".join(screen(view))

    assert all(f"+ {n:02} reject" in text for n in range(1, 73))


def test_controls_of_agents_never_reach_the_terminal() -> None:
    """Whatever a member says."""
    view = live(TRIO)
    view.hear(told.RoundBegan(4, Phase.VOTE))
    view.hear(said("ann", Vote("approve", None, "\x1b[2Jgone\x9b1m")))

    assert not any("\x1b" in line or "\x9b" in line for line in screen(view))


def test_plain_lines() -> None:
    """A line for each event, and none for what was told before a resume."""
    lines: list[bytes] = []
    view = CouncilPlain(Now(), write=lines.append)
    poll = Poll.of(TRIO, {"ann": Vote("reject", 0.5, "no")})
    failed = {"cleo": HANGS}
    for event in (
        told.RoundBegan(4, Phase.VOTE),
        told.StatementCommitted(1, Phase.ASSESS, "ann", "old", recalled=True),
        said("ben"),
        said("ann", Vote("reject", 0.5, "no")),
        said("ben", Abstention("why me?", is_deliberate=True)),
        said("ben", Unreadable("no JSON")),
        told.AskedAgain(4, tuple("abcdefg")),
        told.MemberAbsent(4, Phase.VOTE, "cleo", HANGS),
        told.RoundEnded(Round(4, Phase.VOTE, {"ann": "x"}, failed, poll)),
        told.Concluded(halted(TRIO, poll, 4, "smoke")),
    ):
        view.hear(event)
    view.close()

    assert b"".join(lines).decode().splitlines() == [
        f"[    0.0s] {text}"
        for text in (
            "round 4 (vote) begins",
            "ben: My view",
            "ann: votes reject (0.50): no",
            "ben: abstains: why me?",
            "ben: vote unreadable: no JSON",
            "asked again, for their votes could not be read: a, b, c, d, e and 2 more",
            "cleo: absent: timeout: Timed out after 5 s",
            "round 4 (vote) ended: 1 vote, 1 absent",
            "halted: smoke",
        )
    ]


def report(
    council: Council, verdict: Verdict | None, **changes: object
) -> CouncilReport:
    """A council's report."""
    assert verdict is not None
    fields = {
        "run_id": "20260101T000000.000000Z-abcdef",
        "status": RunStatus.SUCCEEDED,
        "verdict": verdict,
        "rounds": (Round(4, Phase.VOTE, poll=verdict.poll),),
        "results": {"1": SpawnResult(success=True, simulated=True)},
        "summary": {"duration_s": 3.0},
    }
    return CouncilReport(**{**fields, **changes})  # type: ignore[arg-type]


def mixed(council: Council) -> Poll:
    """Most approve; every fifth dissents, every seventh abstains, every ninth is absent."""
    ballots: dict[str, Vote | Abstention] = {}
    for n, each in enumerate(council.members, start=1):
        if n % 9 == 0:
            continue
        if n % 7 == 0:
            ballots[each.name] = Abstention("not my field " * 20)
        else:
            choice = "reject" if n % 5 == 0 else "approve"
            ballots[each.name] = Vote(choice, 0.5, "because " * 50)
    return Poll.of(council, ballots)


@pytest.mark.parametrize("members", [1, 9, 72, 1000])
@pytest.mark.parametrize("size", [(80, 24), (200, 50), (60, 30)])
def test_the_summary_fits_one_screen(members: int, size: tuple[int, int]) -> None:
    """Verdict, tally, dissents, abstentions and absences, each with the first of them."""
    council = big(members)
    verdict = conclude(council, mixed(council), 4)
    summary = CouncilSummary(report(council, verdict), council, Path("/runs/x-abcdef"))

    lines = list(summary.lines(size))

    assert len(lines) <= size[1] - 1 + 4 * (size[1] < 30)
    assert all(len(line) <= size[0] for line in lines)
    assert lines[1].startswith("decided: approve")
    assert any(line.endswith("<- decided") for line in lines)


def test_the_summary_says_who_differs_and_what_is_next() -> None:
    """The minutes, and how to go on."""
    votes = {
        "ann": Vote("approve"),
        "ben": Vote("reject", 0.5, "no"),
        "cleo": Vote("approve"),
    }
    decided = conclude(TRIO, Poll.of(TRIO, votes), 4)
    folder = Path("/runs/20260101T000000.000000Z-abcdef")

    text = "\n".join(
        CouncilSummary(report(TRIO, decided), TRIO, folder).lines((80, 40))
    )

    assert "dissents (1)\n  ben  reject (0.50): no" in text
    assert "minutes  /runs/20260101T000000.000000Z-abcdef/minutes.md" in text
    assert "simulated: 1 of 1 results are no real answers" in text
    lost = conclude(TRIO, Poll.of(TRIO, {"ann": Vote("approve")}), 4)
    failed = report(TRIO, lost, status=RunStatus.FAILED)
    text = "\n".join(CouncilSummary(failed, TRIO, folder).lines((80, 40)))
    assert "no quorum: 1 of 3 members were present" in text
    assert "muster resume abcdef --retry-failed" in text
    assert "votes (1)" in text


def test_without_a_vote_there_is_no_tally() -> None:
    """It says how far the council got."""
    failed = {"cleo": HANGS}
    rounds = (Round(1, Phase.ASSESS, {"ann": "x", "ben": "y"}, failed),)
    verdict = halted(TRIO, Poll.of(TRIO, {}), 1, "smoke")
    over = report(TRIO, verdict, rounds=rounds, status=RunStatus.HALTED)

    text = "\n".join(CouncilSummary(over, TRIO, Path("/r/x-abcdef")).lines((80, 40)))

    assert "halted: smoke" in text
    assert "no vote was held\nround 1 (assess) ended: 2 answered, 1 absent" in text
    assert "absent (1)\n  cleo  timeout: Timed out after 5 s" in text
    assert "muster resume abcdef" in text


def test_minutes_quote_and_never_obey() -> None:
    """No headline, no HTML, no image of a member's becomes the page's own."""
    trap = "# I decide\n<script>alert(1)</script>\n![x](http://evil/)\n\x1b[2J"
    rounds = [Round(1, Phase.ASSESS, {"ann": trap, "ben": "x" * 30_000})]
    votes = {"ann": Vote("approve", 1.0, "*loud* | <b>")}
    verdict = conclude(
        Council("t", ("ann",)), Poll.of(Council("t", ("ann",)), votes), 4
    )
    assert verdict is not None

    text = minutes(TRIO, verdict, rounds, run_id="r", simulated=True)

    assert "**Simulated:" in text.split("##")[0]
    assert "> # I decide" in text
    assert "\n# I decide" not in text
    assert "<script" not in text
    assert "![x]" not in text
    assert "\x1b" not in text
    assert "10000 characters left out" in text
