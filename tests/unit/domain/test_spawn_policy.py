"""Policies: the numbers of the presets, and values that contradict each other."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.errors import UnknownPresetError
from muster.domain.spawn_policy import (
    EarlyDetectionConfig,
    RetryPolicy,
    SpawnPolicy,
    TerminationPolicy,
    TimeoutPolicy,
)

PRESETS = {
    # name: limits, extension, first output, silence, attempts, back-off, breaker, detection
    "default": ((120, 300), 10, 120, 30, 3, (1, 60), True, True),
    "production": ((120, 600), 15, 120, None, 3, (2, 120), True, True),
    "fast_fail": (60, None, 15, 15, 1, None, True, True),
    "patient": ((120, 600), 10, 120, 120, 2, (2, 30), True, True),
    "development": (1800, None, None, None, 1, None, False, False),
    "test": (30, None, 10, 10, 1, None, False, True),
}


@pytest.mark.parametrize(("name", "numbers"), PRESETS.items())
def test_presets(name: str, numbers: tuple[Any, ...]) -> None:
    """The table, line by line, by name and by classmethod."""
    limits, extension, first, silence, attempts, backoff, breaker, detection = numbers

    policy = SpawnPolicy.preset(name)

    assert policy == getattr(SpawnPolicy, name)()
    assert policy.name == name
    time, retry = policy.timeout, policy.retry
    if time.mode == "progressive":
        assert (time.initial_timeout, time.max_timeout) == limits
        assert time.extension_threshold == extension
        assert time.hard_limit == limits[1]
    else:
        assert time.timeout == time.hard_limit == limits
    assert (time.first_output_timeout, time.no_activity_timeout) == (first, silence)
    assert (retry.max_attempts, retry.jitter) == (attempts, "full")
    if backoff is None:
        assert retry.delay(0) == retry.delay(9) == 0
    else:
        assert retry.strategy == "exponential"
        assert (retry.delay(0), retry.delay(50)) == backoff
    assert policy.breaker_enabled is breaker
    assert policy.termination.enabled is detection
    assert policy.termination.grace == 2.0


def test_unknown_presets_list_the_known() -> None:
    """A ValueError, too."""
    with pytest.raises(ValueError, match="patiennt") as caught:
        SpawnPolicy.preset("patiennt")

    assert isinstance(caught.value, UnknownPresetError)
    assert all(name in str(caught.value) for name in PRESETS)


def test_stall_detection_has_the_promised_numbers() -> None:
    """Every 5 s, silence of 120 s after 100 bytes."""
    stall = SpawnPolicy.default().termination.stall

    assert stall == EarlyDetectionConfig(
        enabled=True, check_interval=5.0, stall_threshold=120.0, min_output_bytes=100
    )


def test_from_table() -> None:
    """As a settings file says it."""
    policy = SpawnPolicy.from_table(
        "mine",
        {
            "timeout": {"mode": "fixed", "timeout": 5},
            "retry": {"max_attempts": 2, "jitter": "none"},
            "termination": {"patterns": ["boom"], "stall": {"enabled": False}},
            "breaker_enabled": False,
        },
    )

    assert policy.name == "mine"
    assert policy.timeout.hard_limit == 5
    assert policy.retry.delay(1, 0.0) == 2.0
    assert policy.termination.patterns == ("boom",)
    assert not policy.termination.stall.enabled
    assert not policy.breaker_enabled
    assert SpawnPolicy.from_table("empty", {}).timeout == TimeoutPolicy()


BAD_SECONDS = [-1, -0.5, float("nan"), float("inf"), 10**400, "ten", True, [1]]


@pytest.mark.parametrize("value", [*BAD_SECONDS, None])
@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (TimeoutPolicy, "timeout"),
        (TimeoutPolicy, "initial_timeout"),
        (TimeoutPolicy, "max_timeout"),
        (TimeoutPolicy, "extension_threshold"),
        (RetryPolicy, "base_delay"),
        (RetryPolicy, "max_delay"),
        (RetryPolicy, "backoff_factor"),
        (TerminationPolicy, "grace"),
        (EarlyDetectionConfig, "stall_threshold"),
    ],
)
def test_seconds_without_meaning_are_refused(
    policy: Callable[..., object], field: str, value: object
) -> None:
    """The error names the field."""
    with pytest.raises(ValueError, match=field):
        policy(**{field: value})


@pytest.mark.parametrize("value", BAD_SECONDS)
@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (TimeoutPolicy, "first_output_timeout"),
        (TimeoutPolicy, "no_activity_timeout"),
        (TerminationPolicy, "confirm_after"),
    ],
)
def test_limits_that_may_be_none_are_else_as_strict(
    policy: Callable[..., object], field: str, value: object
) -> None:
    """None is never; nonsense is nonsense."""
    policy(**{field: None})

    with pytest.raises(ValueError, match=field):
        policy(**{field: value})


@pytest.mark.parametrize(
    ("policy", "field", "value"),
    [
        (EarlyDetectionConfig, "check_interval", 0),
        (EarlyDetectionConfig, "check_interval", None),
        (EarlyDetectionConfig, "min_output_bytes", -1),
        (EarlyDetectionConfig, "min_output_bytes", 1.5),
        (RetryPolicy, "max_attempts", -1),
        (RetryPolicy, "max_attempts", 2.0),
        (RetryPolicy, "max_attempts", True),
        (TimeoutPolicy, "mode", "sometimes"),
    ],
)
def test_other_values_without_meaning(
    policy: Callable[..., object], field: str, value: object
) -> None:
    """The error names the field."""
    with pytest.raises(ValueError, match=field):
        policy(**{field: value})


def test_an_extension_below_the_beginning_contradicts_itself() -> None:
    """In a progressive policy only."""
    with pytest.raises(ValueError, match="initial_timeout"):
        TimeoutPolicy(initial_timeout=10, max_timeout=5)

    assert TimeoutPolicy("fixed", 3, initial_timeout=10, max_timeout=5).hard_limit == 3


@given(
    st.builds(
        RetryPolicy,
        strategy=st.sampled_from(["exponential", "fixed", "linear", "immediate"]),
        base_delay=st.floats(0, 1e300),
        max_delay=st.floats(0, 1e300),
        backoff_factor=st.floats(0, 1e300),
        jitter=st.sampled_from(["none", "full", "equal"]),
    ),
    st.integers(0, 10**6),
    st.floats(0, 1),
)
def test_delays_stay_within_the_cap(policy: RetryPolicy, n: int, draw: float) -> None:
    """66 s at a cap of 60 are impossible."""
    assert 0 <= policy.delay(n, draw) <= policy.max_delay
