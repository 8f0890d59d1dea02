"""The summary of a run: one screen, with what to type next."""

from pathlib import Path

import pytest

from muster.domain.errors import (
    AgentNotFoundError,
    ConfigError,
    JournalError,
    PlanError,
    SystemHaltedError,
    ToolNotFoundError,
    UnknownPresetError,
)
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.plan import Plan, PlanTask
from muster.domain.run_report import RunReport, RunStatus, summarize
from muster.infrastructure.cli.exit_codes import MEANING, ExitCode, code_of
from muster.infrastructure.cli.preflight import PreflightError
from muster.infrastructure.cli.running import code_of as code_of_report
from muster.infrastructure.cli.summary import Summary, critical_path
from tests.unit.infrastructure.cli import story

FOLDER = Path("/p/.muster/runs/20260101T000000.000000Z-abc123")


def report(
    *results: SpawnResult, status: RunStatus = RunStatus.FAILED, skipped: int = 0
) -> RunReport:
    """A report of these results."""
    summary = summarize(
        results, skipped=skipped, duration=4.0, started_at="", completed_at=""
    )
    return RunReport(
        "r", status, {str(each.task_id): each for each in results}, summary
    )


def lines(it: RunReport, screen: tuple[int, int] = (80, 24)) -> list[str]:
    """The summary of a plan of independent tasks."""
    plan = Plan([PlanTask(task_id, "x") for task_id in it.results])
    return list(Summary(it, plan, FOLDER).lines(screen))


def test_a_good_run_is_short() -> None:
    """Numbers, folder, next command."""
    text = lines(report(story.result(0), story.result(1), status=RunStatus.SUCCEEDED))

    assert text == [
        "",
        "2 of 2 done in 4.0 s (4.0 s of work, longest chain 2.0 s)",
        "",
        f"results  {FOLDER}",
        f"report   {FOLDER}/report.html",
        "next     muster show abc123",
    ]


def test_a_bad_run_explains_itself() -> None:
    """Why, how early it was seen, what recovery did, what was not done."""
    cancelled = Failure(FailureCause.CANCELLED, "not started: interrupted (Ctrl-C)")
    text = "\n".join(
        lines(
            report(
                story.result(0, simulated=True),
                story.result(1, story.LIMIT, agent="ann", retry_count=2, fallback=True),
                story.result(2, cancelled, attempts=()),
                story.result(3, cancelled, attempts=()),
                status=RunStatus.INTERRUPTED,
                skipped=1,
            )
        )
    )

    assert "interrupted: 1 of 4 done, 1 failed, 2 not done, 1 skipped" in text
    assert "2 retries, 1 fallback" in text
    assert "simulated: 1 of 4" in text
    assert "failed   t1 (ann): rate_limit: Error: 429 rate limit exceeded" in text
    assert "seen after 0.25 s; 2.0 s, 1 attempt, the last one a direct call" in text
    assert "not done t2, t3: not started: interrupted (Ctrl-C)" in text
    assert "muster logs abc123 t1" in text


@pytest.mark.parametrize("screen", [(80, 24), (120, 40)], ids=str)
def test_it_fits_one_screen(screen: tuple[int, int]) -> None:
    """Also when 72 tasks fail for 72 reasons."""
    failed = [
        story.result(
            n,
            Failure(FailureCause.CRASH, f"reason {n} " * 30),
            leftovers=1,
            retry_count=1,
        )
        for n in range(60)
    ]
    left_out = [
        story.result(n, Failure(FailureCause.PARKED, f"parked {n}"), attempts=())
        for n in range(60, 72)
    ]

    text = lines(report(*failed, *left_out), screen)

    width, height = screen
    assert sum(max(1, -(-len(line) // width)) for line in text) < height
    assert any("more failed" in line for line in text)
    assert any("and 10 more" in line for line in text)


def test_what_failed_alike_stands_together() -> None:
    """After what failed alone: it is not hidden by seventy that met the same wall."""
    late = Failure(FailureCause.DEADLINE, "Deadline: the run took over 60 s")
    alone = Failure(FailureCause.CRASH, "ended with exit code 3")
    failed = [story.result(n, late) for n in range(70)]

    text = lines(report(*failed, story.result(70, alone), status=RunStatus.DEADLINE))

    found = [line for line in text if line.startswith("failed")]
    assert found == [
        "failed   t70: crash: ended with exit code 3",
        "failed   t0, t1 and 68 more: deadline: Deadline: the run took over 60 s",
    ]
    assert "muster resume abc123 --retry-failed" in text[-1]
    text = lines(report(*failed, status=RunStatus.DEADLINE))
    assert text[-1].strip() == "muster resume abc123"


def test_nothing_to_do() -> None:
    """Is said, with the reason."""
    text = lines(report(status=RunStatus.SUCCEEDED, skipped=2))

    assert text[1] == "nothing to do (2 ticked or not selected)"


def test_words_of_a_plan_are_quoted_and_harmless() -> None:
    """They are typed again, and shown on a terminal."""
    failure = Failure(FailureCause.CRASH, story.EVIL)
    text = "\n".join(lines(report(story.result(0, failure, task_id="a b;c"))))

    assert "muster show abc123 'a b;c'" in text
    assert "\x1b" not in text


def test_the_critical_path_is_the_slowest_chain() -> None:
    """Seconds of each task after the slowest one before it."""
    plan = Plan(
        [
            PlanTask("a", "x"),
            PlanTask("b", "x", depends=("a",)),
            PlanTask("c", "x", depends=("a",)),
        ]
    )
    times = {"a": 1.0, "b": 5.0, "c": 2.0}

    assert critical_path(plan, times) == 6.0
    assert critical_path(Plan([]), {}) == 0.0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ToolNotFoundError("x"), 5),
        (PreflightError(["x"]), 5),
        (ConfigError("x"), 2),
        (UnknownPresetError("x"), 2),
        (PlanError("x"), 2),
        (AgentNotFoundError("x"), 2),
        (SystemHaltedError("x"), 7),
        (JournalError("x"), 1),
    ],
    ids=lambda each: type(each).__name__,
)
def test_each_error_has_its_code(error: Exception, code: int) -> None:
    """In one table."""
    assert code_of(error) == code


@pytest.mark.parametrize("status", RunStatus)
def test_each_status_has_its_code(status: RunStatus) -> None:
    """0 means that all is well, and nothing else does."""
    code = code_of_report(report(story.result(0), status=status))

    assert (code == 0) is (status is RunStatus.SUCCEEDED)


def test_parked_for_a_login_is_a_preflight_failure() -> None:
    """Trying again later would not help."""
    parked = story.result(0, Failure(FailureCause.PARKED, "x"), attempts=())
    refused = story.result(1, Failure(FailureCause.AUTH, "x"))

    assert code_of_report(report(parked, status=RunStatus.PARKED)) == 6
    assert code_of_report(report(parked, refused, status=RunStatus.PARKED)) == 5


def test_every_code_is_explained() -> None:
    """In the order of the numbers."""
    assert list(MEANING) == sorted(ExitCode)
