"""Silence and stall, judged without a clock of its own."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.health import Health, SilenceWarning
from muster.domain.outcome import Failure, FailureCause
from muster.domain.spawn_policy import EarlyDetectionConfig, TimeoutPolicy

NO_STALL = EarlyDetectionConfig(enabled=False)


def policy(first: float | None, silence: float | None) -> TimeoutPolicy:
    """A policy of which only the silence limits matter here."""
    return TimeoutPolicy(first_output_timeout=first, no_activity_timeout=silence)


def watch(
    health: Health, outputs: list[tuple[float, int]], until: float = 10_000.0
) -> tuple[list[SilenceWarning], Failure | None, float]:
    """Plays outputs to ``health``, looking exactly when it asks to be looked at."""
    warnings: list[SilenceWarning] = []
    while True:
        now = health.next_look
        if now > until:
            return warnings, None, now
        heard = [(at, size) for at, size in outputs if at <= now]
        verdict = health.look(
            now,
            heard_at=heard[-1][0] if heard else None,
            total_bytes=sum(size for _, size in heard),
        )
        if isinstance(verdict, Failure):
            return warnings, verdict, now
        if verdict is not None:
            warnings.append(verdict)


def silent(
    health: Health, now: float, **signs: object
) -> Failure | SilenceWarning | None:
    """Looks at an agent that has never written anything."""
    return health.look(now, heard_at=None, total_bytes=0, **signs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "silence", "stall", "outputs", "cause", "end"),
    [
        (10.0, 5.0, NO_STALL, [], FailureCause.NO_ACTIVITY, 10.0),
        (10.0, 5.0, NO_STALL, [(1.0, 1)], FailureCause.NO_ACTIVITY, 6.0),
        (120.0, 30.0, NO_STALL, [(1.0, 1)], FailureCause.NO_ACTIVITY, 31.0),
        (10.0, 5.0, NO_STALL, [(9.0, 1), (13.0, 1)], FailureCause.NO_ACTIVITY, 18.0),
        (None, None, NO_STALL, [], None, inf),
        (None, None, EarlyDetectionConfig(), [(1, 99)], None, inf),
        (None, None, EarlyDetectionConfig(), [(1, 100)], FailureCause.STALL, 126.0),
        (9.0, 500.0, EarlyDetectionConfig(), [(1, 100)], FailureCause.STALL, 126.0),
        (
            None,
            None,
            EarlyDetectionConfig(stall_threshold=1.0),
            [(1.0, 100), (4.0, 1)],
            FailureCause.STALL,
            12.0,
        ),
    ],
)
def test_when_silence_ends_an_attempt(
    first: float | None,
    silence: float | None,
    stall: EarlyDetectionConfig,
    outputs: list[tuple[float, int]],
    cause: FailureCause | None,
    end: float,
) -> None:
    """Each limit acts at its own moment, and output begins a new silence."""
    health = Health(policy(first, silence), stall, 0.0)

    _, failure, moment = watch(health, outputs, until=1000.0)

    assert (failure.cause if failure else None) == cause
    if cause:
        assert moment == end


def test_stall_names_what_was_seen() -> None:
    """The reason tells the silence and that it was seen twice."""
    health = Health(policy(None, None), EarlyDetectionConfig(), 0.0)

    _, failure, _ = watch(health, [(0.0, 200)])

    assert failure is not None
    assert failure.message == "Stalled: no output for 125 s (2 checks)"


def test_one_warning_in_an_episode() -> None:
    """Half of the limit is said once, and again only after new output."""
    health = Health(policy(10.0, 10.0), NO_STALL, 0.0)

    warnings, _, end = watch(health, [(7.0, 1)])

    assert [warning.silent_for for warning in warnings] == [5.0, 5.0]
    assert end == 17.0


@pytest.mark.parametrize(("rate", "lives"), [(1.0, True), (0.06, True), (0.01, False)])
def test_work_of_the_family_is_life(rate: float, lives: bool) -> None:  # noqa: FBT001
    """A silent compiler is not a stall; a sleeper that wakes now and then is."""
    health = Health(policy(10.0, 10.0), NO_STALL, 0.0)
    failure = None
    for _ in range(8):
        now = health.next_look
        failure = silent(health, now, vitals=lambda now=now: now * rate)
        if isinstance(failure, Failure):
            break

    assert isinstance(failure, Failure) is not lives


@pytest.mark.parametrize(("rate", "lives"), [(0.3, True), (0.1, False)])
def test_what_an_idle_family_uses_is_no_life(rate: float, lives: bool) -> None:  # noqa: FBT001
    """Some tidy up while they wait for a backend that is gone."""
    health = Health(policy(10.0, 10.0), NO_STALL, 0.0, cpu_life=0.15)
    failure = None
    for _ in range(8):
        now = health.next_look
        failure = silent(health, now, vitals=lambda now=now: now * rate)
        if isinstance(failure, Failure):
            break

    assert isinstance(failure, Failure) is not lives


def test_an_open_tool_call_is_life() -> None:
    """While a tool of the agent runs, its silence does not count."""
    health = Health(policy(10.0, 10.0), NO_STALL, 0.0)

    assert silent(health, 10.0, busy=True) is None
    assert isinstance(silent(health, 20.0), Failure)


def test_lag_of_ours_is_forgiven() -> None:
    """Silence that we caused by not listening is left out."""
    health = Health(policy(10.0, 10.0), NO_STALL, 0.0)

    health.forgive(30.0)

    assert not isinstance(silent(health, 39.9), Failure)
    assert isinstance(silent(health, 40.0), Failure)


@given(
    st.floats(0.5, 200),
    st.floats(0.5, 200),
    st.lists(st.tuples(st.floats(0, 500), st.integers(1, 500)), max_size=30).map(
        sorted
    ),
)
def test_never_early_never_much_too_late(
    first: float, silence: float, outputs: list[tuple[float, int]]
) -> None:
    """An attempt ends exactly when a silence reaches its limit, not before or after."""
    health = Health(policy(first, silence), NO_STALL, 0.0)

    _, failure, moment = watch(health, outputs)

    heard = [at for at, _ in outputs if at < moment]
    limit = silence if heard else first
    assert failure is not None
    assert moment - (heard[-1] if heard else 0.0) == pytest.approx(limit)
