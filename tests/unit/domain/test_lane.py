"""A lane slows a whole fleet down, parks it, and never fails anything."""

import math

import pytest

from muster.domain import presets
from muster.domain.errors import InvalidTransitionError
from muster.domain.lane import Admitted, Lane, Parked, Wait
from muster.domain.lane_notice import LaneNotice, bounded_wait, time_left
from muster.domain.outcome import Failure, FailureCause

EPOCH = 1_700_000_000.0
LIMITED = Failure(FailureCause.RATE_LIMIT, "429")
BROKEN = Failure(FailureCause.SERVER_ERROR, "500")
LOGIN = Failure(FailureCause.AUTH, "Invalid API key")


def start(lane, count=1, now=0.0):
    """Starts so many, all of which must be admitted."""
    tickets = [lane.admit(now, EPOCH + now) for _ in range(count)]
    assert all(isinstance(ticket, Admitted) for ticket in tickets), tickets
    return tickets


def fail(lane, tickets, failure, now=0.0):
    for ticket in tickets:
        lane.settle(ticket, now, failure, EPOCH + now)


def succeed(lane, tickets, now=0.0):
    fail(lane, tickets, None, now)


def limited(**hints):
    return Failure(FailureCause.RATE_LIMIT, "429", **hints)


def quota(**hints):
    return Failure(FailureCause.QUOTA, "usage limit reached", **hints)


def test_a_healthy_lane_has_no_limit_and_no_pace():
    """Nothing throttles a fleet whose backend never complained."""
    lane = Lane("x")
    succeed(lane, start(lane, 1000), now=1.0)

    assert (lane.limit, lane.rate, lane.in_flight) == (None, None, 0)
    assert lane.notice(1.0, EPOCH) is None


def test_starts_are_spaced_where_a_tool_asks_for_it():
    """From the first one on, however healthy its backend is."""
    lane = Lane("x", spacing=0.5)
    succeed(lane, start(lane), now=0.1)

    wait = lane.admit(0.2)
    assert isinstance(wait, Wait)
    assert wait.seconds == pytest.approx(0.3)
    assert wait.reason == "its starts are spaced"
    start(lane, now=0.5)
    assert isinstance(lane.admit(0.9), Wait)
    start(lane, now=1.0)


def test_a_ticket_is_settled_once():
    """The second settlement is a bug of the caller and says so."""
    lane = Lane("x")
    [ticket] = start(lane)
    succeed(lane, [ticket])

    with pytest.raises(InvalidTransitionError):
        lane.settle(ticket, 1.0)
    assert lane.in_flight == 0


def test_slow_start_doubles_per_round_until_the_first_cut():
    """8, 16, 32; after the cut the limit grows by one per round."""
    lane = Lane("x", limit=presets.LANE_START_LIMIT)
    limits = []
    for _ in range(3):
        succeed(lane, start(lane, int(lane.limit)))
        limits.append(lane.limit)
    assert limits == [16, 32, 64]

    fail(lane, start(lane), LIMITED)
    assert lane.limit == pytest.approx(51.2)
    tickets = [start(lane, now=now)[0] for now in range(1, 52)]
    succeed(lane, tickets, now=60.0)
    assert lane.limit == pytest.approx(52.2, abs=0.1)


def test_a_limit_that_is_not_used_does_not_grow():
    """1,000 lone successes say nothing about 9 at once."""
    lane = Lane("x", limit=8)
    for _ in range(1000):
        succeed(lane, start(lane))

    assert lane.limit == 8


def test_the_concurrency_limit_makes_the_queue_wait_for_a_settlement():
    """Wait(None): no clock helps, only an end does."""
    lane = Lane("x", limit=2)
    first, _ = start(lane, 2)

    assert lane.admit(0.0) == Wait(
        None, "rate limited: the concurrency limit is reached"
    )
    succeed(lane, [first])
    assert isinstance(lane.admit(0.0), Admitted)


def test_one_episode_cuts_once_however_many_report_it():
    """72 agents hit by the same limit are one piece of news."""
    lane = Lane("x")
    tickets = start(lane, 72)
    fail(lane, tickets[:40], LIMITED, now=1.0)
    assert lane.limit == pytest.approx(72 * 0.8)
    assert lane.rate == presets.LANE_FIRST_PACE

    [later] = start(lane, now=100.0)
    fail(lane, tickets[40:], LIMITED, now=101.0)
    assert lane.limit == pytest.approx(72 * 0.8)
    fail(lane, [later], LIMITED, now=102.0)
    assert lane.limit == pytest.approx(72 * 0.64)


def test_a_lone_first_refusal_leaves_the_start_limit():
    """One 429 of one call is no reason to run one agent at a time."""
    lane = Lane("x")
    fail(lane, start(lane), LIMITED)

    assert lane.limit == presets.LANE_START_LIMIT


def test_server_errors_stop_growth_and_never_cut():
    """Only attempts that began after the error let the limit grow again."""
    lane = Lane("x", limit=8)
    one, two, three = start(lane, 3)
    fail(lane, [one], BROKEN)
    succeed(lane, [two, three])
    assert lane.limit == 8

    succeed(lane, start(lane, 5))
    assert lane.limit > 8


def test_the_pace_is_nine_tenths_of_what_was_delivered():
    """100 successes in 10 s, then a 429: 9 starts per second, one at a time."""
    lane = Lane("x")
    crowd = start(lane, 30)
    for tick in range(100):
        succeed(lane, start(lane, now=tick / 10), now=tick / 10)
    fail(lane, start(lane, now=10.0), LIMITED, now=10.0)
    fail(lane, crowd, LIMITED, now=10.0)
    assert lane.rate == pytest.approx(9.0, rel=0.05)

    start(lane, now=11.0)
    wait = lane.admit(11.0)
    assert wait.seconds == pytest.approx(1 / lane.rate)
    assert isinstance(lane.admit(11.0 + wait.seconds), Admitted)


def test_each_success_raises_the_pace_a_little():
    """+0.005 starts per second, only for attempts of after the cut."""
    lane = Lane("x")
    old, other = start(lane, 2)
    fail(lane, [old], LIMITED)
    before = lane.rate
    succeed(lane, [other], now=1.0)
    assert lane.rate == before

    succeed(lane, start(lane, now=2.0), now=3.0)
    assert lane.rate == pytest.approx(before + presets.LANE_PACE_GROWTH)


def test_a_pace_that_nothing_refuses_is_lifted():
    """A misjudged pace is gone after minutes, not for the rest of the run."""
    lane = Lane("x")
    fail(lane, start(lane), LIMITED)
    now = 1.0
    while lane.rate is not None:
        now += lane._pacer.spaced_for(now) + 1e-3
        succeed(lane, start(lane, now=now), now=now)

    assert 30 < now < 180


def test_delivery_of_before_a_surge_is_no_measure():
    """A trickle of one call in ten seconds does not pace the 72 that follow."""
    lane = Lane("x")
    start(lane, 6)
    for tick in range(30):
        succeed(lane, start(lane, now=tick * 10.0), now=tick * 10.0)
    fail(lane, start(lane, 72, now=300.0)[:1], LIMITED, now=301.0)

    assert lane.rate == presets.LANE_FIRST_PACE


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        (limited(retry_after=7.0), 7.0),
        (limited(resets_at=EPOCH + 7.0), 7.0),
        (quota(retry_after=7.0), 7.0),
        (quota(resets_at=EPOCH + 7.0), 7.0),
        (Failure(FailureCause.OVERLOADED, "503", retry_after=7.0), 7.0),
    ],
)
def test_a_wait_of_seconds_gates_everybody(failure, wait):
    """Nobody starts before the named time, and then the lane goes on."""
    lane = Lane("x")
    start(lane, 5)
    fail(lane, start(lane), failure)

    assert lane.admit(0.0).seconds == pytest.approx(wait)
    assert lane.admit(wait - 1).seconds == pytest.approx(1.0)
    assert isinstance(lane.admit(wait), Admitted)


def test_a_clock_that_goes_back_makes_no_gate_longer():
    """Nobody waits longer than the backend asked for."""
    lane = Lane("x")
    fail(lane, start(lane, now=5000.0), limited(retry_after=60.0), now=5000.0)

    assert lane.admit(10.0).seconds == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("failure", "opens_at", "resets_at"),
    [
        (limited(retry_after=3600.0), 3600.0, EPOCH + 3600.0),
        (limited(resets_at=EPOCH + 3600.0), 3600.0, EPOCH + 3600.0),
        (quota(resets_at=EPOCH + 18_000.0), 18_000.0, EPOCH + 18_000.0),
        (quota(), presets.LANE_UNKNOWN_RESET, None),
        (
            limited(retry_after=1e9),
            presets.LANE_MAX_WAIT,
            EPOCH + presets.LANE_MAX_WAIT,
        ),
        (
            limited(retry_after=math.inf),
            presets.LANE_MAX_WAIT,
            EPOCH + presets.LANE_MAX_WAIT,
        ),
    ],
)
def test_a_long_wait_parks_the_lane(failure, opens_at, resets_at):
    """Hours are not slept through slot by slot: the lane says until when."""
    lane = Lane("x")
    fail(lane, start(lane), failure)

    parked = lane.admit(opens_at - 1, EPOCH + opens_at - 1)
    assert parked == Parked(failure.message, failure.cause, resets_at)
    assert isinstance(lane.admit(opens_at + 1, EPOCH + opens_at + 1), Admitted)
    assert lane.limit <= presets.LANE_START_LIMIT


@pytest.mark.parametrize("hint", [-5.0, math.nan, -math.inf, 0.0])
def test_senseless_hints_neither_park_nor_gate(hint):
    """What can't be a wait is taken as none; the pace alone slows down."""
    lane = Lane("x")
    fail(lane, start(lane), limited(retry_after=hint))

    assert isinstance(lane.admit(0.2), Admitted)


def test_a_machine_that_slept_wakes_the_lane_by_its_epoch():
    """Monotonic time stands still in suspend, resets do not."""
    lane = Lane("x")
    fail(lane, start(lane), quota(resets_at=EPOCH + 3600.0))

    assert isinstance(lane.admit(1.0, EPOCH + 10), Parked)
    assert isinstance(lane.admit(2.0, EPOCH + 3601.0), Admitted)


def test_an_agent_that_survives_its_rate_limit_slows_the_others():
    """Told once or ten times by one agent, it is one episode, and its ticket stays."""
    lane = Lane("x")
    [ticket, *_] = start(lane, 20)
    for _ in range(10):
        lane.note(1.0, EPOCH, ticket=ticket, retry_after=5.0)

    assert lane.limit == pytest.approx(16.0)
    assert lane.admit(1.0).seconds == pytest.approx(5.0)
    assert lane.in_flight == 20
    succeed(lane, [ticket], now=2.0)


@pytest.mark.parametrize("cause", [FailureCause.NETWORK, FailureCause.TIMEOUT])
def test_the_breaker_opens_makes_the_queue_wait_and_probes(cause):
    """20 of 20 failed: 10 s, one probe, 20 s, one probe, 30 s, 30 s."""
    lane, failure = Lane("x"), Failure(cause, "gone")
    fail(lane, start(lane, 20), failure)
    now = 0.0
    for pause in (10.0, 20.0, 30.0, 30.0):
        assert lane.admit(now).seconds == pytest.approx(pause)
        now += pause
        probe = start(lane, now=now)
        assert isinstance(lane.admit(now), Wait)
        fail(lane, probe, failure, now)

    succeed(lane, start(lane, now=now + 30.0), now=now + 31.0)
    start(lane, presets.LANE_START_LIMIT, now + 31.0)
    assert lane.admit(now + 31.0).seconds is None


@pytest.mark.parametrize(
    ("admitted", "failed", "opens"),
    [
        (19, 19, False),
        (20, 20, True),
        (20, 19, True),
        (20, 18, False),
        (50, 47, False),
        (50, 48, True),
    ],
)
def test_the_breaker_wants_95_of_100_among_at_least_20(admitted, failed, opens):
    """An attempt in flight counts as not failed."""
    lane = Lane("x")
    tickets = start(lane, admitted)
    fail(lane, tickets[admitted - failed :], BROKEN)

    assert isinstance(lane.admit(0.0), Wait) is opens


def test_failures_of_a_hang_open_the_breaker_though_younger_attempts_run():
    """In a hang of 72 slots the last 50 admitted are always in flight."""
    lane = Lane("x")
    tickets = start(lane, 72)
    for ticket in tickets[:30]:
        fail(lane, [ticket], Failure(FailureCause.TIMEOUT, "no answer"), now=10.0)

    assert isinstance(lane.admit(10.0), Wait)


def test_a_lane_felled_on_its_way_back_ramps_more_carefully():
    """Slow start up to a full pool first, then up to half of what was reached."""
    lane, now = Lane("x"), 0.0
    fail(lane, start(lane, 100), BROKEN)
    for reached in (64, 32):
        now += 100.0
        succeed(lane, start(lane, now=now), now=now)
        while lane.limit < reached:
            succeed(lane, start(lane, int(lane.limit), now=now), now=now)
        for _ in range(2):
            fail(lane, start(lane, 25, now=now), BROKEN, now=now)

    now += 100.0
    succeed(lane, start(lane, now=now), now=now)
    rounds = []
    for _ in range(3):
        succeed(lane, start(lane, int(lane.limit), now=now), now=now)
        rounds.append(lane.limit)
    assert rounds == [16, pytest.approx(17, abs=0.2), pytest.approx(18, abs=0.2)]


def test_failures_that_never_open_the_breaker_take_no_memory():
    """Half of 10,000 attempts failed; a bounded number is remembered."""
    lane = Lane("x")
    for _ in range(5000):
        good, bad = start(lane, 2)
        succeed(lane, [good])
        fail(lane, [bad], BROKEN)

    assert len(lane._breaker._failed) <= 4 * presets.LANE_BREAKER_WINDOW


def test_a_probe_does_not_wait_for_attempts_that_hang():
    """72 in flight are above the limit of a lane that begins again."""
    lane = Lane("x")
    tickets = start(lane, 92)
    fail(lane, tickets[:20], BROKEN)
    assert lane.in_flight > lane.limit

    start(lane, now=10.0)


def test_an_older_failure_is_not_charged_with_younger_ones():
    """Half of the younger attempts failed; of its own cohort it is the first."""
    lane = Lane("x")
    tickets = start(lane, 100)
    fail(lane, tickets[21::2], BROKEN)
    fail(lane, tickets[19:20], BROKEN)

    start(lane)


def test_quick_failures_among_slow_successes_do_not_open():
    """30 failures that come first say little about 72 that still work."""
    lane = Lane("x")
    tickets = start(lane, 150)
    fail(lane, tickets[::5], BROKEN)

    assert isinstance(lane.admit(0.0), Admitted)


def test_a_late_success_does_not_close_and_a_lost_probe_frees_its_place():
    """Only what started after the opening proves anything."""
    lane = Lane("x")
    late, *tickets = start(lane, 41)
    fail(lane, tickets, BROKEN)
    succeed(lane, [late], now=1.0)
    assert isinstance(lane.admit(1.0), Wait)

    probe = start(lane, now=10.0)
    fail(lane, probe, Failure(FailureCause.CANCELLED, "cancelled"), now=11.0)
    start(lane, now=11.0)


def test_a_swallowed_probe_is_followed_by_another():
    """A backend that hangs on the probe is asked again when its lease is over."""
    lane = Lane("x")
    fail(lane, start(lane, 20), BROKEN)
    start(lane, now=10.0)

    assert lane.admit(10.0).seconds == pytest.approx(presets.LANE_BREAKER_OPEN_MAX)
    [second] = start(lane, now=40.0)
    succeed(lane, [second], now=41.0)
    start(lane, 2, now=41.0)


def test_what_programs_say_about_their_work_is_no_news_about_the_backend():
    """Forty failing linters do not stop a lane."""
    lane = Lane("x")
    for cause in (
        FailureCause.CRASH,
        FailureCause.UNKNOWN,
        FailureCause.OUTPUT_INVALID,
    ):
        fail(lane, start(lane, 60), Failure(cause, "exit 1"))

    assert isinstance(lane.admit(0.0), Admitted)


def test_a_lane_of_plain_programs_has_no_breaker():
    """Neither time-outs nor the word "unauthorized" stop programs."""
    lane = Lane("x", breaker=False)
    fail(lane, start(lane, 60), Failure(FailureCause.TIMEOUT, "slow"))
    fail(lane, start(lane, 5), LOGIN)

    assert isinstance(lane.admit(0.0), Admitted)


def test_three_failed_logins_park_the_lane_until_a_person_acts():
    """Time does not log anybody in."""
    lane = Lane("x")
    fail(lane, start(lane, 2), LOGIN)
    fail(lane, start(lane), Failure(FailureCause.CANCELLED, "cancelled"))
    fail(lane, start(lane), LOGIN)

    parked = lane.admit(1e9, EPOCH + 1e9)
    assert isinstance(parked, Parked)
    assert parked.cause is FailureCause.AUTH
    assert "log in" in parked.reason
    lane.reopen()
    start(lane, now=1e9)


@pytest.mark.parametrize("between", [None, BROKEN])
def test_logins_that_fail_between_other_ends_do_not_park(between):
    """In a row means in a row."""
    lane = Lane("x")
    for _ in range(5):
        fail(lane, start(lane, 2), LOGIN)
        fail(lane, start(lane), between)

    assert isinstance(lane.admit(0.0), Admitted)


def test_a_success_proves_that_somebody_is_logged_in():
    """An attempt that was in flight when the lane was parked opens it."""
    lane = Lane("x")
    working, *tickets = start(lane, 4)
    fail(lane, tickets, LOGIN)
    assert isinstance(lane.admit(0.0), Parked)
    succeed(lane, [working], now=1.0)

    start(lane, now=1.0)


def test_a_notice_carries_waits_to_another_process():
    """Gate, pace and park arrive with what is left of them."""
    mine, other = Lane("x"), Lane("x")
    fail(mine, start(mine, 10), limited(retry_after=30.0))
    other.apply(mine.notice(10.0, EPOCH + 10.0), 500.0, EPOCH + 15.0)
    assert other.admit(500.0).seconds == pytest.approx(15.0)
    assert other.rate == mine.rate

    fail(mine, start(mine, now=40.0), quota(retry_after=3600.0), now=40.0)
    other.apply(mine.notice(40.0, EPOCH + 40.0), 600.0, EPOCH + 40.0)
    parked = other.admit(600.0, EPOCH + 40.0)
    assert parked.resets_at == pytest.approx(EPOCH + 3640.0)


@pytest.mark.parametrize(
    "notice",
    [
        LaneNotice(),
        LaneNotice(gate_until=EPOCH - 1, parked_until=EPOCH - 1),
        LaneNotice(rate=1.0, written_at=EPOCH - presets.LANE_RATE_NEWS - 1),
        LaneNotice(rate=1.0, written_at=EPOCH + 1000),
        LaneNotice(rate=1.0),
        LaneNotice(gate_until=math.nan, rate=math.nan, parked_until=math.nan),
    ],
)
def test_stale_and_senseless_notices_change_nothing(notice):
    """What is over, old, from the future or no number is not applied."""
    lane = Lane("x")
    lane.apply(notice, 0.0, EPOCH)

    start(lane, 100)
    assert lane.rate is None


def test_a_notice_never_shortens_a_wait_nor_replaces_a_learnt_pace():
    """Others know less about this process's attempts than it does."""
    lane = Lane("x")
    fail(lane, start(lane), limited(retry_after=60.0))
    rate = lane.rate
    lane.apply(LaneNotice(EPOCH + 5, rate=0.5, written_at=EPOCH), 0.0, EPOCH)

    assert lane.admit(0.0).seconds == pytest.approx(60.0)
    assert lane.rate == rate


def test_a_failed_login_is_nobody_elses_business():
    """A notice in a file would outlive the login that mends it."""
    lane = Lane("x")
    fail(lane, start(lane, 3), LOGIN)

    assert lane.notice(0.0, EPOCH) is None


def test_version_moves_with_news_only():
    """So that a caller publishes no more often than needed."""
    lane = Lane("x")
    succeed(lane, start(lane, 5))
    assert lane.version == 0
    fail(lane, start(lane), limited(retry_after=1.0))
    assert lane.version > 0


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        (None, None),
        (math.nan, None),
        (-1.0, 0.0),
        (5.0, 5.0),
        (math.inf, 604_800.0),
        (3e8, 604_800.0),
    ],
)
def test_bounded_wait(said, believed):
    """No wait that somebody else names is believed beyond a week."""
    assert bounded_wait(said) == believed


@pytest.mark.parametrize(
    ("until", "now", "longest", "left"),
    [(5, 0, 10, 5), (5, 6, 10, 0), (5, -100, 10, 10), (5, 5 - 1e-9, 10, 0)],
)
def test_time_left(until, now, longest, left):
    """A clock that goes back makes no wait longer than it was."""
    assert time_left(until, now, longest) == left
