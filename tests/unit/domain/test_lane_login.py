"""Who finds out whether an account is logged in, and who waits meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.domain.lane import Admitted, Lane, Parked, Wait
from muster.domain.outcome import Failure, FailureCause

EPOCH = 1_700_000_000.0
LOGIN = Failure(FailureCause.AUTH, "401")


def lane_in_doubt() -> Lane:
    """Its account has proved nothing yet."""
    return Lane("x", login_probe=10.0)


def admitted(lane: Lane) -> Admitted:
    """One start, which must be allowed."""
    answer = lane.admit(0.0, EPOCH)
    assert isinstance(answer, Admitted)
    return answer


def waits(lane: Lane) -> bool:
    """Whether a start has to wait for an attempt in flight."""
    answer = lane.admit(0.0, EPOCH)
    if isinstance(answer, Admitted):
        lane.settle(answer, 0.0, Failure(FailureCause.CANCELLED, ""))
    return isinstance(answer, Wait) and answer.seconds is None


def test_a_trusted_login_is_not_probed() -> None:
    """Unless the spec of the tool says so nobody waits."""
    lane = Lane("x")
    first = admitted(lane)

    assert not waits(lane)
    assert lane.login_patience(first) is None
    assert not lane.proved(first)


def test_the_first_agent_goes_alone_until_it_shows_a_sign_of_life() -> None:
    """Then everybody does."""
    lane = lane_in_doubt()
    first = admitted(lane)

    assert lane.login_patience(first) == 10.0
    assert waits(lane)
    assert lane.proved(first)
    assert not lane.proved(first)
    assert not waits(lane)


@pytest.mark.parametrize(
    ("cause", "opens"),
    [
        (None, True),
        (FailureCause.INVALID_MODEL, True),
        (FailureCause.CRASH, True),
        (FailureCause.CANCELLED, False),
        (FailureCause.AUTH, False),
    ],
)
def test_how_the_probe_ends(cause: FailureCause | None, *, opens: bool) -> None:
    """A failure that is not the login's proves as much as a success; a cancellation nothing."""
    lane = lane_in_doubt()
    lane.settle(admitted(lane), 0.0, cause and Failure(cause, "why"), EPOCH)

    second, third = admitted(lane), lane.admit(20.0, EPOCH + 20)

    assert lane.login_patience(second) is None or not opens
    assert isinstance(third, Admitted) is opens


def test_a_refused_login_lets_one_in_at_a_time() -> None:
    """Of all that waited three find out; who is in flight goes on."""
    lane = Lane("x")
    wave = [admitted(lane) for _ in range(3)]
    lane.settle(wave[0], 0.0, LOGIN, EPOCH)

    probe = admitted(lane)
    assert lane.login_patience(probe) == presets.LOGIN_PROBE
    assert waits(lane)
    # Another's sign of life is older than the doubt.
    assert not lane.proved(wave[1])
    lane.settle(probe, 0.0, LOGIN, EPOCH)
    lane.settle(admitted(lane), 0.0, LOGIN, EPOCH)
    assert isinstance(lane.admit(0.0, EPOCH), Parked)

    lane.reopen()
    assert not waits(lane)


def test_a_success_of_anybody_ends_the_doubt() -> None:
    """The refusal was a passing one."""
    lane = Lane("x")
    old, refused = admitted(lane), admitted(lane)
    lane.settle(refused, 0.0, LOGIN, EPOCH)
    admitted(lane)
    assert waits(lane)

    lane.settle(old, 0.0)

    assert not waits(lane)


def test_programs_have_no_login() -> None:
    """What a script says of a 401 is its own matter."""
    lane = Lane("x", breaker=False, login_probe=10.0)
    lane.settle(admitted(lane), 0.0, LOGIN, EPOCH)
    admitted(lane)

    assert not waits(lane)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "prove", "end"]),
            st.integers(0, 5),
            st.sampled_from([None, "auth", "crash", "cancelled", "rate_limit"]),
        ),
        max_size=40,
    ),
    st.sampled_from([0.0, 10.0]),
)
def test_nobody_waits_for_nobody(
    steps: list[tuple[str, int, str | None]], probe: float
) -> None:
    """Whatever happens: who must wait for an attempt has one in flight to wait for."""
    lane = Lane("x", login_probe=probe)
    flying: list[Admitted] = []
    now = 0.0
    for step, which, cause in steps:
        now += 1000.0
        if step == "start":
            answer = lane.admit(now, EPOCH + now)
            if isinstance(answer, Admitted):
                flying.append(answer)
            elif isinstance(answer, Wait) and answer.seconds is None:
                assert flying
        elif flying:
            ticket = flying[which % len(flying)]
            if step == "prove":
                lane.proved(ticket)
            else:
                flying.remove(ticket)
                failure = Failure(cause, "why") if cause else None  # type: ignore[arg-type]
                lane.settle(ticket, now, failure, EPOCH + now)
