"""When an agent is left alone, and when it is asked again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.domain.circuit_breaker import Blocked, CircuitBreaker, Outcome, Permit
from muster.domain.outcome import FailureCategory, FailureCause

AGENT = "planner"
NEUTRAL = sorted(
    {FailureCause.RATE_LIMIT, FailureCause.OVERLOADED, FailureCause.QUOTA}
    | {cause for cause in FailureCause if not cause.is_agent_failure}
)
COUNTED = sorted(set(FailureCause) - set(NEUTRAL))
PERMANENT = [
    cause for cause in FailureCause if cause.category is FailureCategory.PERMANENT
]


def permit_of(
    breaker: CircuitBreaker, now: float, agent: str = AGENT, **kwargs: Any
) -> Permit:
    """A permit, which there must be."""
    answer = breaker.admit(agent, now, **kwargs)
    assert isinstance(answer, Permit)
    return answer


def refusal_of(breaker: CircuitBreaker, now: float, **kwargs: Any) -> Blocked:
    """A refusal, which there must be."""
    answer = breaker.admit(AGENT, now, **kwargs)
    assert isinstance(answer, Blocked)
    return answer


def state_of(breaker: CircuitBreaker, now: float, agent: str = AGENT) -> str:
    """The state by the public report."""
    state = breaker.health_status(agent, now)["state"]
    assert isinstance(state, str)
    return state


def opened(at: float = 0.0, **kwargs: Any) -> CircuitBreaker:
    """A breaker whose circuit was opened at ``at`` by two failures of two tasks."""
    breaker = CircuitBreaker(**kwargs)
    breaker.record_failure(AGENT, at)
    breaker.record_failure(AGENT, at)
    assert state_of(breaker, at) == "open"
    return breaker


def test_defaults_are_those_promised() -> None:
    """Positional order and numbers are part of the promise."""
    breaker = CircuitBreaker(2, 120.0, 300.0, 4, 2, 10.0, 30.0)

    assert repr(breaker) == repr(CircuitBreaker())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failure_threshold", 0),
        ("failure_threshold", -1),
        ("failure_threshold", 1.5),
        ("adhoc_failure_threshold", True),
        ("fast_fail_threshold", "2"),
        ("reset_timeout", -1.0),
        ("reset_timeout", None),
        ("failure_window", float("nan")),
        ("fast_fail_window", float("inf")),
        ("adhoc_fast_fail_window", "10"),
        ("max_agents", 0),
    ],
)
def test_numbers_without_meaning_are_refused(field: str, value: object) -> None:
    """The error names the field."""
    with pytest.raises(ValueError, match=field):
        CircuitBreaker(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("agent", "times", "opens"),
    [
        (AGENT, [0], False),
        (AGENT, [0, 300], True),
        (AGENT, [0, 300.5], False),
        (AGENT, [0, 301, 600], True),
        ("adhoc-1", [0, 1, 2], False),
        ("adhoc-1", [0, 1, 2, 3], True),
        ("adhoc-1", [0, 1, 2, 302], False),
    ],
)
def test_opens_at_the_threshold_within_the_window(
    *, agent: str, times: list[float], opens: bool
) -> None:
    """Two failures within 300 s; four for an ad-hoc agent."""
    breaker = CircuitBreaker()

    for now in times:
        breaker.record_failure(agent, now)

    assert (state_of(breaker, times[-1], agent) == "open") is opens


@pytest.mark.parametrize(
    ("in_flight", "succeeded", "failed", "opens"),
    [
        (0, 0, 2, True),
        (2, 0, 2, True),
        (3, 0, 2, False),
        (0, 2, 2, True),
        (0, 3, 2, False),
        (1, 2, 2, False),
        (70, 0, 9, False),
        (70, 0, 10, True),
        (0, 70, 9, False),
        (0, 70, 10, True),
    ],
)
def test_failures_must_be_half_of_the_last_twenty_admitted(
    *, in_flight: int, succeeded: int, failed: int, opens: bool
) -> None:
    """An attempt in flight counts as not failed."""
    breaker = CircuitBreaker()
    for _ in range(in_flight):
        permit_of(breaker, 0.0)
    for _ in range(succeeded):
        breaker.settle(permit_of(breaker, 0.0), Outcome.SUCCESS, 0.0)
    failing = [permit_of(breaker, 0.0) for _ in range(failed)]

    for permit in failing:
        breaker.settle(permit, FailureCause.CRASH, 1.0)

    assert (state_of(breaker, 1.0) == "open") is opens


def test_72_at_once_survive_that_failures_come_back_first() -> None:
    """A fifth of the fleet fails before anybody has succeeded."""
    breaker = CircuitBreaker()
    permits = [permit_of(breaker, 0.0) for _ in range(72)]

    for permit in permits[::5]:
        breaker.settle(permit, FailureCause.CRASH, 1.0)

    assert state_of(breaker, 1.0) == "closed"


def test_a_failure_outside_the_window_is_no_part_of_the_half() -> None:
    """Old failures of the last twenty do not count against the agent."""
    breaker = CircuitBreaker()
    for _ in range(3):
        breaker.record_success(AGENT, 0.0)
    breaker.record_failure(AGENT, 0.0)
    for now in (1000.0, 1100.0):
        breaker.record_failure(AGENT, now)

    assert state_of(breaker, 1100.0) == "closed"


@pytest.mark.parametrize("gap", [10.0, 10.5])
@pytest.mark.parametrize("cause", COUNTED)
def test_permanent_failures_open_fast(cause: FailureCause, gap: float) -> None:
    """Two within 10 s open whatever else goes on; inference counts like permanent."""
    breaker = CircuitBreaker()
    for _ in range(18):
        permit_of(breaker, 0.0)

    for now in (0.0, gap):
        breaker.settle(permit_of(breaker, now), cause, now)

    is_fast = cause in PERMANENT or cause is FailureCause.INFERENCE
    assert (state_of(breaker, gap) == "open") is (is_fast and gap <= 10)


@pytest.mark.parametrize(
    ("cause", "gap", "opens"),
    [
        (FailureCause.AUTH, 30.0, True),
        (FailureCause.AUTH, 30.5, False),
        (FailureCause.INFERENCE, 0.0, False),
        (FailureCause.CRASH, 0.0, False),
    ],
)
def test_adhoc_agents_have_30_seconds_and_may_infer(
    *, cause: FailureCause, gap: float, opens: bool
) -> None:
    """Inference failures never fast-fail an ad-hoc agent."""
    breaker = CircuitBreaker()

    breaker.record_failure("adhoc-1", 0.0, cause)
    breaker.record_failure("adhoc-1", gap, cause)

    assert (state_of(breaker, gap, "adhoc-1") == "open") is opens


def test_inference_failures_open_an_adhoc_agent_by_number() -> None:
    """Not fast, but four are four."""
    breaker = CircuitBreaker()

    for now in range(4):
        breaker.record_failure("adhoc-1", now, FailureCause.INFERENCE)

    assert state_of(breaker, 3, "adhoc-1") == "open"


@pytest.mark.parametrize("cause", NEUTRAL)
def test_what_is_not_the_agents_fault_never_counts(cause: FailureCause) -> None:
    """It is as if the attempt had not been made, with a permit and without."""
    breaker = CircuitBreaker()
    for now in range(50):
        breaker.record_failure(AGENT, now, cause)
        breaker.settle(permit_of(breaker, now), cause, now)

    assert breaker.health_status(AGENT, 50.0)["failure_count"] == 0
    for now in (50.0, 51.0):
        breaker.record_failure(AGENT, now)
    assert state_of(breaker, 51.0) == "open"


def test_a_neutral_end_of_an_attempt_that_left_the_cohort() -> None:
    """Nothing is there to be withdrawn any more."""
    breaker = CircuitBreaker()
    first = permit_of(breaker, 0.0)
    later = [permit_of(breaker, 0.0) for _ in range(20)]

    breaker.settle(first, Outcome.NEUTRAL, 1.0)
    for permit in later[:10]:
        breaker.settle(permit, FailureCause.CRASH, 1.0)

    assert state_of(breaker, 1.0) == "open"


def test_only_withdrawn_attempts_are_no_ground_to_open() -> None:
    """With no admitted attempt left to judge, older failures decide nothing."""
    breaker = CircuitBreaker()
    old = [permit_of(breaker, 0.0) for _ in range(2)]
    for permit in [permit_of(breaker, 0.0) for _ in range(20)]:
        breaker.settle(permit, Outcome.NEUTRAL, 1.0)

    for permit in old:
        breaker.settle(permit, FailureCause.CRASH, 1.0)

    assert state_of(breaker, 1.0) == "closed"


@pytest.mark.parametrize("late", [Outcome.SUCCESS, *COUNTED, Outcome.NEUTRAL])
@pytest.mark.parametrize("now", [1.0, 119.0, 130.0])
def test_a_permit_from_before_the_opening_changes_nothing(
    late: Outcome | FailureCause, now: float
) -> None:
    """Neither a late success nor a late failure."""
    breaker = CircuitBreaker()
    old = permit_of(breaker, 0.0)
    for permit in [permit_of(breaker, 0.0) for _ in range(2)]:
        breaker.settle(permit, FailureCause.CRASH, 0.0)
    before = breaker.health_status(AGENT, now)
    assert before["state"] != "closed"

    breaker.settle(old, late, now)

    assert breaker.health_status(AGENT, now) == before


def test_a_late_report_without_permit_does_not_close() -> None:
    """It is counted, and the circuit stays open as long as it said."""
    breaker = opened()

    breaker.record_success(AGENT, 5.0)
    breaker.record_failure(AGENT, 30.0)
    breaker.record_failure(AGENT, 30.0, FailureCause.RATE_LIMIT)

    assert refusal_of(breaker, 30.0) == Blocked(
        "Circuit open: 3 failures, retry in 90s", 90.0
    )


def test_the_first_settlement_counts() -> None:
    """Further ones change nothing."""
    breaker = CircuitBreaker()
    permit = permit_of(breaker, 0.0)

    breaker.settle(permit, Outcome.FAILURE, 0.0)
    breaker.settle(permit, FailureCause.AUTH, 0.0)
    breaker.settle(permit, Outcome.SUCCESS, 0.0)

    status = breaker.health_status(AGENT, 0.0)
    assert (status["state"], status["failure_types"]) == ("closed", ["unknown"])


def test_one_failure_is_not_plural() -> None:
    """The refusal is a sentence for people."""
    breaker = CircuitBreaker(failure_threshold=1)
    breaker.record_failure(AGENT, 0.0)

    assert refusal_of(breaker, 0.5).reason == "Circuit open: 1 failure, retry in 120s"


@pytest.mark.parametrize("now", [120.0, 121.0, 10_000.0])
def test_half_open_admits_exactly_one_of_72(now: float) -> None:
    """All others are told that a probe is running."""
    breaker = opened()
    assert state_of(breaker, now) == "half_open"

    answers = [breaker.admit(AGENT, now) for _ in range(72)]

    admitted = [each for each in answers if isinstance(each, Permit)]
    assert [each.is_probe for each in admitted] == [True]
    refused = [each for each in answers if isinstance(each, Blocked)]
    assert {each.reason for each in refused} == {
        "Circuit half-open: 2 failures, one probe is running"
    }
    assert all(0 < each.retry_after <= 120 for each in refused)


def test_should_skip_hands_out_one_probe_to_72() -> None:
    """Hosts without permits get the same promise."""
    breaker = opened()
    assert breaker.should_skip(AGENT, 30.0) == (
        True,
        "Circuit open: 2 failures, retry in 90s",
    )

    answers = [breaker.should_skip(AGENT, 120.0) for _ in range(72)]

    assert answers.count((False, "")) == 1


def test_admit_takes_over_what_should_skip_promised() -> None:
    """To look before one leaps is no second probe."""
    breaker = opened()
    assert breaker.should_skip(AGENT, 120.0) == (False, "")

    assert permit_of(breaker, 120.0).is_probe

    assert isinstance(breaker.admit(AGENT, 120.0), Blocked)
    assert breaker.should_skip(AGENT, 120.0)[0]


@pytest.mark.parametrize("ask", ["admit", "should_skip", None])
@pytest.mark.parametrize("success", [True, False])
def test_reports_without_permit_settle_the_probe(
    *, ask: str | None, success: bool
) -> None:
    """However the probe was asked for, or not at all."""
    breaker = opened()
    if ask is not None:
        getattr(breaker, ask)(AGENT, 120.0)

    if success:
        breaker.record_success(AGENT, 121.0)
    else:
        breaker.record_failure(AGENT, 121.0)

    assert state_of(breaker, 121.0) == ("closed" if success else "open")


def test_a_successful_probe_closes_and_clears() -> None:
    """One failure afterwards is the first."""
    breaker = opened()

    breaker.settle(permit_of(breaker, 120.0), Outcome.SUCCESS, 121.0)
    breaker.record_failure(AGENT, 122.0)

    status = breaker.health_status(AGENT, 122.0)
    assert (status["state"], status["failure_count"]) == ("closed", 1)


def test_a_failed_probe_opens_again_whatever_the_window_holds() -> None:
    """Long after the failures of before have left the window."""
    breaker = opened()

    breaker.settle(permit_of(breaker, 1000.0), FailureCause.CRASH, 1001.0)

    assert refusal_of(breaker, 1002.0) == Blocked(
        "Circuit open: 3 failures, retry in 119s", 119.0
    )
    assert permit_of(breaker, 1121.0).is_probe


@pytest.mark.parametrize("loss", [Outcome.NEUTRAL, *NEUTRAL])
def test_a_lost_probe_frees_the_place(loss: Outcome | FailureCause) -> None:
    """Cancelled or rate limited: the next one may try at once."""
    breaker = opened()

    breaker.settle(permit_of(breaker, 120.0), loss, 121.0)

    assert state_of(breaker, 121.0) == "half_open"
    assert permit_of(breaker, 121.0).is_probe
    assert isinstance(breaker.admit(AGENT, 121.0), Blocked)


def test_a_probe_whose_lease_lapsed_is_replaced() -> None:
    """Its own late end changes nothing; without a successor it still would."""
    breaker = opened()
    lost = permit_of(breaker, 120.0, lease=60.0)
    assert refusal_of(breaker, 179.0).retry_after == 1.0
    assert breaker.health_status(AGENT, 179.0)["can_execute"] is False

    assert breaker.health_status(AGENT, 180.0)["can_execute"] is True
    successor = permit_of(breaker, 180.0)
    breaker.settle(lost, Outcome.SUCCESS, 181.0)

    assert state_of(breaker, 181.0) == "half_open"
    breaker.settle(successor, Outcome.SUCCESS, 182.0)
    assert state_of(breaker, 182.0) == "closed"


def test_a_probe_that_outlasts_its_lease_alone_still_decides() -> None:
    """Nobody else has been asked meanwhile."""
    breaker = opened()
    probe = permit_of(breaker, 120.0, lease=60.0)

    breaker.settle(probe, Outcome.SUCCESS, 500.0)

    assert state_of(breaker, 500.0) == "closed"


def test_a_task_keeps_its_retries_after_failures_of_its_own() -> None:
    """Its second failure opens the circuit, for everybody else."""
    breaker = CircuitBreaker()
    attempt = permit_of(breaker, 0.0)
    for now in (1.0, 2.0, 3.0, 4.0):
        breaker.settle(attempt, FailureCause.CRASH, now)
        attempt = permit_of(breaker, now, chain=attempt)

    assert refusal_of(breaker, 4.0).reason == "Circuit open: 2 failures, retry in 118s"
    breaker.settle(attempt, Outcome.SUCCESS, 5.0)
    assert state_of(breaker, 5.0) == "open"


def test_a_task_loses_its_retries_to_failures_of_others_and_is_told() -> None:
    """The failures of others would have opened the circuit without it."""
    breaker = CircuitBreaker()
    mine = permit_of(breaker, 0.0)
    others = [permit_of(breaker, 0.0) for _ in range(2)]
    for other in others:
        breaker.settle(other, FailureCause.CRASH, 0.0)
    breaker.settle(mine, FailureCause.CRASH, 1.0)

    refusal = refusal_of(breaker, 1.0, chain=mine)

    assert (
        refusal.reason == "Circuit open: 2 failures (2 of other tasks), retry in 119s"
    )


def test_a_task_that_tipped_the_scale_keeps_its_retries() -> None:
    """Without its own failure the circuit would be closed, for each of the two."""
    breaker = CircuitBreaker()
    pair = [permit_of(breaker, 0.0) for _ in range(2)]
    for each in pair:
        breaker.settle(each, FailureCause.CRASH, 0.0)

    assert [permit_of(breaker, 1.0, chain=each).is_probe for each in pair] == [
        False,
        False,
    ]


def test_a_chain_counts_for_its_own_agent_alone() -> None:
    """A permit for another agent is no claim on this one."""
    breaker = opened()

    elsewhere = permit_of(breaker, 0.0, agent="writer")

    assert refusal_of(breaker, 1.0, chain=elsewhere) == refusal_of(breaker, 1.0)
    assert permit_of(breaker, 120.0, chain=elsewhere).chain != elsewhere.chain


def test_a_probe_that_failed_keeps_its_own_retries_and_costs_others_theirs() -> None:
    """The new opening is the probe's doing."""
    breaker = CircuitBreaker()
    mine = permit_of(breaker, 0.0)
    breaker.settle(mine, FailureCause.CRASH, 0.0)
    mine = permit_of(breaker, 0.0, chain=mine)
    breaker.settle(mine, FailureCause.CRASH, 0.0)
    probe = permit_of(breaker, 120.0)
    during = permit_of(breaker, 121.0, chain=mine)
    breaker.settle(probe, FailureCause.CRASH, 122.0)

    assert not during.is_probe
    assert not permit_of(breaker, 123.0, chain=probe).is_probe
    assert "(1 of other tasks)" in refusal_of(breaker, 123.0, chain=mine).reason


def test_no_agent_is_exempt() -> None:
    """A thousand failures and every method: never blocked, never counted."""
    breaker = CircuitBreaker()
    for now in range(1000):
        answer = breaker.admit(None, now)
        assert isinstance(answer, Permit)
        breaker.settle(answer, FailureCause.AUTH, now)
        breaker.record_failure(None, now, FailureCause.AUTH)
        breaker.record_success(None, now)
        assert breaker.should_skip(None, now) == (False, "")

    status = breaker.health_status(None, 1000.0)
    assert (status["state"], status["can_execute"]) == ("closed", True)
    assert breaker.tracked_agents == 0


def test_reports_without_permit_settle_the_oldest_attempt_in_flight() -> None:
    """The first to end is taken to be the first to have begun."""
    breaker = CircuitBreaker()
    for _ in range(4):
        permit_of(breaker, 0.0)
    breaker.record_success(AGENT, 1.0)
    breaker.record_success(AGENT, 1.0)
    breaker.record_failure(AGENT, 1.0)
    assert state_of(breaker, 1.0) == "closed"

    breaker.record_failure(AGENT, 1.0)

    assert state_of(breaker, 1.0) == "open"


def test_reports_without_permit_do_not_destroy_a_fleet_either() -> None:
    """Of 72 in flight the first 15 failures belong to the oldest, not to the last 20."""
    breaker = CircuitBreaker()
    for _ in range(72):
        permit_of(breaker, 0.0)

    for _ in range(15):
        breaker.record_failure(AGENT, 1.0)

    assert state_of(breaker, 1.0) == "closed"


@pytest.mark.parametrize("back", [1.0, 3600.0])
def test_a_clock_that_goes_back_keeps_the_promise(back: float) -> None:
    """Blocked for the reset timeout and no longer, though the clock lost an hour."""
    breaker = opened(at=10_000.0)

    now = 10_000.0 - back

    assert refusal_of(breaker, now).retry_after == 120.0
    assert refusal_of(breaker, now + 119.0).retry_after == 1.0
    assert permit_of(breaker, now + 120.0).is_probe


def test_a_clock_that_goes_back_does_not_lengthen_a_lease() -> None:
    """The lost probe is replaced after the lease, by the new clock."""
    breaker = opened(at=0.0)
    permit_of(breaker, 10_000.0, lease=60.0)

    assert refusal_of(breaker, 5_000.0).retry_after == 60.0

    assert permit_of(breaker, 5_060.0).is_probe


def test_failures_from_the_future_are_as_old_as_the_jump() -> None:
    """After a jump they leave the window like all others."""
    breaker = CircuitBreaker(failure_threshold=3)
    breaker.record_success(AGENT, 10_000.0)
    breaker.record_failure(AGENT, 10_000.0)
    breaker.record_failure(AGENT, 0.0)

    breaker.record_failure(AGENT, 301.0)

    assert breaker.health_status(AGENT, 301.0)["recent_failures"] == 1
    assert state_of(breaker, 301.0) == "closed"


def test_attempts_that_failed_in_the_future_grow_old_as_well() -> None:
    """They leave the half of the last twenty like all others."""
    breaker = CircuitBreaker()
    for _ in range(3):
        breaker.record_success(AGENT, 10_000.0)

    for now in (10_000.0, 0.0, 301.0, 302.0, 303.0):
        breaker.record_failure(AGENT, now)

    assert state_of(breaker, 303.0) == "closed"


@given(
    st.lists(
        st.tuples(
            st.floats(-1e9, 1e9), st.sampled_from(["admit", "fail", "succeed", "skip"])
        ),
        max_size=60,
    )
)
def test_retry_after_is_within_the_reset_timeout_whatever_the_clock_does(
    steps: list[tuple[float, str]],
) -> None:
    """Nor does a jump break anything else."""
    breaker = CircuitBreaker(reset_timeout=7.3)
    for now, step in steps:
        answer = breaker.admit(AGENT, now)
        if isinstance(answer, Blocked):
            assert 0 <= answer.retry_after <= 7.3
        elif step == "succeed":
            breaker.settle(answer, Outcome.SUCCESS, now)
        elif step == "fail":
            breaker.settle(answer, FailureCause.CRASH, now)
        if step == "skip":
            breaker.should_skip(AGENT, now)
        json.dumps(breaker.health_status(AGENT, now), allow_nan=False)


def test_memory_is_bounded_and_open_circuits_go_last() -> None:
    """The least used closed circuit is forgotten first, then the oldest open one."""
    breaker = CircuitBreaker(failure_threshold=1, max_agents=3)
    for agent in ("open-1", "open-2"):
        breaker.record_failure(agent, 0.0)
    for n in range(1000):
        permit_of(breaker, 0.0, agent=f"agent-{n}")
        assert breaker.tracked_agents <= 3
    assert state_of(breaker, 0.0, "open-1") == "open"

    breaker.record_failure("agent-999", 0.0)
    permit_of(breaker, 0.0, agent="one more")

    states = [state_of(breaker, 0.0, f"open-{n}") for n in (1, 2)]
    assert states == ["closed", "open"]


def test_a_circuit_that_opened_again_is_younger() -> None:
    """The one that opened longest ago is forgotten first."""
    breaker = CircuitBreaker(failure_threshold=1, max_agents=2)
    breaker.record_failure("flapping", 0.0)
    breaker.record_failure("silent", 1.0)
    breaker.record_failure("flapping", 120.0)

    permit_of(breaker, 120.0, agent="new")

    states = [state_of(breaker, 120.0, agent) for agent in ("flapping", "silent")]
    assert states == ["open", "closed"]


def test_an_agent_in_use_is_not_forgotten() -> None:
    """Asking for it keeps it."""
    breaker = CircuitBreaker(max_agents=2)
    breaker.record_failure("used", 0.0)
    breaker.record_failure("idle", 0.0)
    permit_of(breaker, 0.0, agent="used")

    permit_of(breaker, 0.0, agent="new")

    counts = [breaker.health_status(a, 0.0)["failure_count"] for a in ("used", "idle")]
    assert counts == [1, 0]


def test_by_default_ten_thousand_agents_are_remembered() -> None:
    """More ids than that cost no more memory."""
    breaker = CircuitBreaker()

    for n in range(presets.BREAKER_MAX_AGENTS + 100):
        breaker.admit(str(n), 0.0)

    assert breaker.tracked_agents == presets.BREAKER_MAX_AGENTS


@pytest.mark.parametrize("forget", ["reset", "reset_all", "evict"])
def test_permits_from_before_a_reset_are_void(forget: str) -> None:
    """What was forgotten does not come back by the back door."""
    breaker = CircuitBreaker(failure_threshold=1, max_agents=1)
    permit = permit_of(breaker, 0.0)
    if forget == "reset":
        breaker.reset(AGENT)
    elif forget == "reset_all":
        breaker.reset_all()
    else:
        permit_of(breaker, 0.0, agent="somebody else")
    permit_of(breaker, 0.0)

    breaker.settle(permit, FailureCause.CRASH, 0.0)

    assert breaker.health_status(AGENT, 0.0)["failure_count"] == 0


def test_reset_forgets_one_and_reset_all_everybody() -> None:
    """An unknown agent can be reset too."""
    breaker = opened()
    for _ in range(2):
        breaker.record_failure("writer", 0.0)
    breaker.reset(AGENT)
    breaker.reset("never seen")
    assert [state_of(breaker, 0.0, a) for a in (AGENT, "writer")] == ["closed", "open"]

    breaker.reset_all()

    assert breaker.tracked_agents == 0


def test_the_adhoc_mark_survives_resets() -> None:
    """It says what the agent is, not what it did."""
    breaker = CircuitBreaker()
    breaker.mark_as_adhoc(AGENT)
    breaker.reset(AGENT)
    breaker.reset_all()

    for now in range(3):
        breaker.record_failure(AGENT, now)

    assert breaker.is_adhoc(AGENT)
    assert state_of(breaker, 3.0) == "closed"


def test_marks_are_bounded_too() -> None:
    """The oldest goes; marking again renews."""
    breaker = CircuitBreaker(max_agents=2)
    for agent in ("a", "b", "a", "c"):
        breaker.mark_as_adhoc(agent)

    assert [breaker.is_adhoc(agent) for agent in "abc"] == [True, False, True]


@pytest.mark.parametrize(
    ("agent", "is_spawn", "registered", "expected"),
    [
        (AGENT, False, False, False),
        (AGENT, True, False, True),
        (AGENT, True, True, False),
        ("adhoc-1", False, False, True),
        ("adhoc-1", False, True, False),
        (None, False, False, True),
        (None, False, True, True),
    ],
)
def test_who_is_adhoc(
    *, agent: str | None, is_spawn: bool, registered: bool, expected: bool
) -> None:
    """By flag or name; a registered agent never, no agent at all always."""
    breaker = CircuitBreaker(registered=lambda _: registered)

    assert breaker.is_adhoc(agent, is_spawn) is expected


@pytest.mark.parametrize(
    ("failures", "now", "expected"),
    [
        ([], 0.0, ("closed", 0, 0.0, None, None, "low", True)),
        ([0], 60.0, ("closed", 1, 0.0, 0.0, 60.0, "medium", True)),
        ([0], 301.0, ("closed", 0, 0.0, 0.0, 301.0, "low", True)),
        ([0, 60], 60.0, ("open", 2, 2.0, 60.0, 0.0, "critical", False)),
        ([0, 0], 0.0, ("open", 2, 120.0, 0.0, 0.0, "critical", False)),
        ([0, 60], 180.0, ("half_open", 2, 2 / 3, 60.0, 120.0, "high", True)),
    ],
)
def test_health_status(
    failures: list[float], now: float, expected: tuple[Any, ...]
) -> None:
    """A report that says what `admit` would, without asking for anything."""
    breaker = CircuitBreaker()
    for at in failures:
        breaker.record_failure(AGENT, at, FailureCause.TIMEOUT)

    status = breaker.health_status(AGENT, now)

    assert json.loads(json.dumps(status)) == status
    assert list(status) == [
        "agent_id",
        "state",
        "failure_count",
        "recent_failures",
        "failure_velocity",
        "last_failure_time",
        "time_since_last_failure",
        "risk_level",
        "can_execute",
        "failure_types",
    ]
    assert (status["agent_id"], status["failure_count"]) == (AGENT, len(failures))
    assert status["failure_types"] == ["timeout"] * expected[1]
    state, recent, velocity, last, since, risk, can_execute = expected
    assert status["failure_velocity"] == pytest.approx(velocity)
    assert (status["state"], status["recent_failures"]) == (state, recent)
    assert status["last_failure_time"] == last
    assert status["time_since_last_failure"] == since
    assert (status["risk_level"], status["can_execute"]) == (risk, can_execute)
    assert status["can_execute"] is not breaker.should_skip(AGENT, now)[0]


@pytest.mark.parametrize(("failures", "risk"), [(1, "low"), (2, "low"), (3, "medium")])
def test_risk_knows_the_threshold_of_adhoc_agents(failures: int, risk: str) -> None:
    """One below the threshold is medium."""
    breaker = CircuitBreaker()
    for now in range(failures):
        breaker.record_failure("adhoc-1", now)

    assert breaker.health_status("adhoc-1", 5.0)["risk_level"] == risk


def test_a_threshold_of_one_is_not_medium_from_the_start() -> None:
    """max(1, threshold - 1)."""
    breaker = CircuitBreaker(failure_threshold=1)

    assert breaker.health_status(AGENT, 0.0)["risk_level"] == "low"


def test_kept_failures_are_bounded() -> None:
    """An agent that fails for ever costs no more memory than one that fails often."""
    breaker = CircuitBreaker(failure_threshold=1000, fast_fail_threshold=1000)

    for now in range(5000):
        breaker.record_failure(AGENT, now / 1000)

    assert breaker.health_status(AGENT, 5.0)["recent_failures"] <= 1000
