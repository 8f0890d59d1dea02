"""Whatever happens in whatever order, a lane keeps its promises."""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from muster.domain import presets
from muster.domain.lane import Admitted, Lane, Parked, Wait
from muster.domain.outcome import Failure, FailureCause

EPOCH = 1_700_000_000.0
HINTS = st.one_of(
    st.none(),
    st.floats(0, 300),
    st.floats(),
    st.just(presets.LANE_PARK_AFTER + 1),
)


class LaneMachine(RuleBasedStateMachine):
    """Starts, ends of every kind, notices, and clocks that jump."""

    def __init__(self):
        super().__init__()
        self.lane = Lane("x")
        self.now, self.skew = 1000.0, 0.0
        self.running = []
        self.admissions = self.cut_at = 0

    @property
    def epoch(self):
        return EPOCH + self.now + self.skew

    @rule(count=st.integers(1, 60))
    def start(self, count):
        for _ in range(count):
            parked = self.lane._parked
            limit = self.lane.limit
            answer = self.lane.admit(self.now, self.epoch)
            if not isinstance(answer, Admitted):
                self.check_refusal(answer)
                return
            assert parked is None or self.lane._parked is None
            is_probe = not self.lane._breaker.is_closed
            assert limit is None or is_probe or len(self.running) + 1 <= limit
            self.admissions += 1
            self.running.append((answer, self.admissions))

    def check_refusal(self, answer):
        if isinstance(answer, Wait):
            if answer.seconds is None:
                assert self.running, "nobody is left to end the wait"
            else:
                assert 0 < answer.seconds <= presets.LANE_PARK_AFTER
        else:
            assert isinstance(answer, Parked)
            assert isinstance(self.lane.admit(self.now, self.epoch), Parked)

    def settle_one(self, index, failure):
        ticket, number = self.running.pop(index % len(self.running))
        before = self.lane.limit
        self.lane.settle(ticket, self.now, failure, self.epoch)
        return number, before

    @precondition(lambda self: self.running)
    @rule(index=st.integers(0), count=st.integers(1, 40))
    def succeed(self, index, count):
        for _ in range(min(count, len(self.running))):
            _, before = self.settle_one(index, None)
            assert before is None or self.lane.limit >= before

    @precondition(lambda self: self.running)
    @rule(index=st.integers(0), retry_after=HINTS, resets_in=HINTS)
    def rate_limit(self, index, retry_after, resets_in):
        resets_at = None if resets_in is None else self.epoch + resets_in
        failure = Failure(
            FailureCause.RATE_LIMIT,
            "429",
            retry_after=retry_after,
            resets_at=resets_at,
        )
        number, before = self.settle_one(index, failure)
        if number <= self.cut_at:
            assert self.lane.limit == before, "one cut per episode"
        elif self.lane.limit != before:
            self.cut_at = self.admissions
            least = 1.0 if before is None else before * presets.LANE_CUT
            assert self.lane.limit >= min(least, self.lane.limit + 1e-9)

    @precondition(lambda self: self.running)
    @rule(
        index=st.integers(0),
        count=st.integers(1, 60),
        cause=st.sampled_from(
            [each for each in FailureCause if each is not FailureCause.RATE_LIMIT]
        ),
    )
    def fail(self, index, count, cause):
        for _ in range(min(count, len(self.running))):
            self.settle_one(index, Failure(cause, "no"))

    @rule(seconds=st.floats(0, 500))
    def pass_time(self, seconds):
        self.now += seconds

    @rule(seconds=st.floats(-100_000, 100_000))
    def jump_the_wall_clock(self, seconds):
        self.skew += seconds

    @rule(seconds=st.floats(0, 1000))
    def jump_back(self, seconds):
        self.now -= seconds

    @rule()
    def hear_from_a_twin(self):
        notice = self.lane.notice(self.now, self.epoch)
        if notice is not None:
            twin = Lane("x")
            twin.apply(notice, 5.0, self.epoch)
            assert isinstance(twin.admit(5.0, self.epoch), Admitted | Wait | Parked)
            self.lane.apply(notice, self.now, self.epoch)

    @rule()
    def a_person_acts(self):
        self.lane.reopen()
        assert self.lane._parked is None

    @invariant()
    def counts_agree(self):
        assert self.lane.in_flight == len(self.running)

    @invariant()
    def numbers_are_sane(self):
        assert self.lane.limit is None or 1.0 <= self.lane.limit < 1e6
        rate = self.lane.rate
        assert rate is None or (math.isfinite(rate) and rate >= presets.LANE_PACE_FLOOR)


LaneMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None
)
TestLane = LaneMachine.TestCase
