"""What a run came to: one status, one sum."""

import json
from typing import Any

import pytest

from muster.domain.outcome import Failure, FailureCause, SpawnResult, Usage
from muster.domain.run_report import RunReport, RunStatus, status_of, summarize

TIMES = {"started_at": "s", "completed_at": "c"}


def results(*causes: str | None, **options: Any) -> list[SpawnResult]:
    """One result per cause, None for a success."""
    return [
        SpawnResult(
            cause is None,
            failure=None if cause is None else Failure(FailureCause(cause), "x"),
            task_id=f"t{n}",
            **options,
        )
        for n, cause in enumerate(causes)
    ]


@pytest.mark.parametrize(
    ("causes", "options", "status"),
    [
        ([], {}, "succeeded"),
        ([None, None], {}, "succeeded"),
        ([None], {"skipped": 2}, "partial"),
        ([None, "crash"], {}, "failed"),
        ([None, "deadline"], {}, "failed"),
        (["cancelled", None], {}, "partial"),
        (["cancelled", "crash"], {}, "failed"),
        (["cancelled", "dependency_failed"], {}, "failed"),
        (["crash", "parked"], {}, "parked"),
        (["parked", "budget"], {}, "budget"),
        (["parked", "budget", "halted"], {}, "halted"),
        (["crash", "halted"], {"interrupted": True}, "interrupted"),
        ([None], {"interrupted": True}, "interrupted"),
    ],
)
def test_status(causes: list[str | None], options: dict[str, Any], status: str) -> None:
    """The most urgent trouble names it."""
    assert status_of(results(*causes), **options).value == status


def test_the_sum() -> None:
    """Every result is counted once; what is unknown is not 0."""
    some = [
        *results(None, "crash", "parked", "crash", retry_count=2),
        *results(None, usage=Usage(1, None), fallback=True),
        *results(None, usage=Usage(2, 3)),
    ]

    summary = summarize(iter(some), skipped=3, duration=1.23456789, **TIMES)

    assert summary == {
        "total": 9,
        "succeeded": 3,
        "failed": 2,
        "skipped": 3,
        "parked": 1,
        "duration_s": 1.234568,
        "started_at": "s",
        "completed_at": "c",
        "by_cause": {"crash": 2, "parked": 1},
        "retries": 8,
        "fallbacks": 1,
        "usage": Usage(3, 3).to_dict(),
        "usage_by_agent": {"llm": Usage(3, 3).to_dict()},
    }
    counted = ("succeeded", "failed", "skipped", "parked")
    assert summary["total"] == sum(summary[key] for key in counted)
    assert summarize([], duration=0, **TIMES)["usage"] is None


def test_a_report_is_json() -> None:
    """In the order of the plan."""
    named = {str(each.task_id): each for each in results(None, "crash")}
    report = RunReport("r", RunStatus.FAILED, named, {"total": 2})

    document = json.loads(json.dumps(report.to_dict()))

    assert (document["run_id"], document["status"]) == ("r", "failed")
    assert [each["task_id"] for each in document["results"]] == ["t0", "t1"]
    assert document["summary"] == {"total": 2}
