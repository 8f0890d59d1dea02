"""What a fleet knows of its recoveries."""

import json

from muster.domain.outcome import FailureCause
from muster.domain.recovery_metrics import RecoveryMetrics


def test_nothing_yet() -> None:
    """No division by zero."""
    metrics = RecoveryMetrics()

    assert metrics.success_rate() == 0.0
    assert metrics.recovery_rate() == 0.0
    assert metrics.mean_recovery_time() == 0.0


def test_rates_over_a_day_of_a_fleet() -> None:
    """Ten tasks, five of them in need, three of those recovered."""
    metrics = RecoveryMetrics()
    crash, auth = FailureCause.CRASH, FailureCause.AUTH
    for _ in range(4):
        metrics.record(success=True, attempts=1)
    metrics.record(
        success=True, attempts=2, retries=1, cause=crash, recovery_seconds=2.0
    )
    metrics.record(
        success=True,
        attempts=4,
        retries=2,
        used_fallback=True,
        cause=crash,
        recovery_seconds=6.0,
    )
    metrics.record(
        success=True,
        attempts=1,
        used_fallback=True,
        cause=FailureCause.CIRCUIT_OPEN,
        recovery_seconds=1.0,
    )
    metrics.record(success=False, attempts=1, cause=auth, recovery_seconds=99.0)
    metrics.record(success=False, attempts=3, retries=2, cause=crash)
    metrics.record(success=False, attempts=0, cause=FailureCause.CANCELLED)

    assert (metrics.tasks, metrics.attempts) == (10, 16 - 1)
    assert (metrics.retries, metrics.fallbacks) == (5, 2)
    assert metrics.success_rate() == 70.0
    assert metrics.recovery_rate() == 60.0
    assert metrics.mean_recovery_time() == 3.0
    assert metrics.by_cause == {
        crash: 3,
        FailureCause.CIRCUIT_OPEN: 1,
        auth: 1,
        FailureCause.CANCELLED: 1,
    }
    assert json.loads(json.dumps(metrics.to_dict())) == {
        "tasks": 10,
        "successes": 7,
        "attempts": 15,
        "retries": 5,
        "fallbacks": 2,
        "needed_recovery": 5,
        "recovered": 3,
        "success_rate": 70.0,
        "recovery_rate": 60.0,
        "mean_recovery_time": 3.0,
        "by_cause": {"crash": 3, "circuit_open": 1, "auth": 1, "cancelled": 1},
    }


def test_a_task_that_an_open_circuit_stopped_needed_recovery() -> None:
    """It was to be made good and was not."""
    metrics = RecoveryMetrics()

    metrics.record(success=False, attempts=0, cause=FailureCause.CIRCUIT_OPEN)

    assert (metrics.needed_recovery, metrics.recovered) == (1, 0)


def test_two_fleets_share_nothing() -> None:
    """No counter lives in the class."""
    metrics, other = RecoveryMetrics(), RecoveryMetrics()

    metrics.record(success=False, attempts=1, cause=FailureCause.CRASH)

    assert other.tasks == 0
    assert other.by_cause == {}
