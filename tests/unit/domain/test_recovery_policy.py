"""What to do about a failure, and every way to say it wrongly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.errors import ConfigError, UnknownPresetError
from muster.domain.recovery_policy import RecoveryPolicy
from tests.strategies import names, recovery_fields, recovery_policies


def config(**recovery: Any) -> dict[str, Any]:
    """A whole configuration with that section."""
    return {"spawner": {"recovery": recovery, "tool": "x"}, "logging": {"level": 3}}


@pytest.mark.parametrize(
    ("name", "retries", "fallback", "base", "maximum", "factor"),
    [
        ("default", 2, True, 1.0, 30.0, 2.0),
        ("aggressive_retry", 5, False, 0.5, 60.0, 2.0),
        ("fast_fallback", 0, True, None, None, None),
        ("no_recovery", 0, False, None, None, None),
        ("patient", 3, True, 2.0, 120.0, 3.0),
    ],
)
def test_presets(
    *,
    name: str,
    retries: int,
    fallback: bool,
    base: float | None,
    maximum: float | None,
    factor: float | None,
) -> None:
    """By name and by classmethod."""
    policy = RecoveryPolicy.preset(name)

    assert policy == getattr(RecoveryPolicy, name)()
    assert (policy.max_retries, policy.fallback_to_llm) == (retries, fallback)
    assert policy.jitter == "full"
    if base is not None:
        numbers = (policy.base_delay, policy.max_delay, policy.backoff_factor)
        assert numbers == (base, maximum, factor)


def test_without_arguments_it_is_the_default() -> None:
    """One default, not two."""
    assert RecoveryPolicy() == RecoveryPolicy.default()


@pytest.mark.parametrize(
    ("n", "draw", "expected"),
    [(0, 1.0, 2.0), (1, 1.0, 6.0), (1, 0.5, 3.0), (3, 1.0, 54.0), (10**6, 1.0, 120.0)],
)
def test_delay(n: int, draw: float, expected: float) -> None:
    """The patient one: 2 s, times three, up to two minutes, full jitter."""
    assert RecoveryPolicy.patient().delay(n, draw) == expected


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_retries": -1}, "max_retries"),
    ({"max_retries": 1.5}, "max_retries"),
    ({"max_retries": True}, "max_retries"),
    ({"max_retries": None}, "max_retries"),
    ({"max_retries": "3"}, "max_retries"),
    ({"fallback_to_llm": "yes"}, "fallback_to_llm"),
    ({"fallback_to_llm": 1}, "fallback_to_llm"),
    ({"base_delay": -0.1}, "base_delay"),
    ({"base_delay": None}, "base_delay"),
    ({"base_delay": float("nan")}, "base_delay"),
    ({"max_delay": float("inf")}, "max_delay"),
    ({"max_delay": 10**400}, "max_delay"),
    ({"max_delay": "ten"}, "max_delay"),
    ({"backoff_factor": -2}, "backoff_factor"),
    ({"jitter": "some"}, "jitter"),
    ({"jitter": None}, "jitter"),
    ({"jitter": []}, "jitter"),
    ({"fallback_tool": ""}, "fallback_tool"),
    ({"fallback_tool": " "}, "fallback_tool"),
    ({"fallback_tool": "--yolo"}, "fallback_tool"),
    ({"fallback_tool": 3}, "fallback_tool"),
    ({"overrides": []}, "overrides"),
    ({"overrides": None}, "overrides"),
    ({"overrides": {"a": 3}}, r"overrides\.a"),
    ({"overrides": {"": {}}}, "overrides"),
    ({"overrides": {3: {}}}, "overrides"),
    ({"overrides": {"a": {"max_retries": -1}}}, r"overrides\.a: max_retries"),
    ({"overrides": {"a": {"overrides": {}}}}, r"overrides\.a: unknown key 'overrides'"),
    ({"overrides": {"a": {"max_retrys": 1}}}, "did you mean 'max_retries'"),
]


@pytest.mark.parametrize(("fields", "named"), WRONG)
def test_wrong_values_name_the_key_wherever_they_come_from(
    fields: dict[str, Any], named: str
) -> None:
    """By hand, from a document, from a configuration."""
    with pytest.raises(ConfigError, match=named):
        RecoveryPolicy(**fields)
    with pytest.raises(ConfigError, match=named):
        RecoveryPolicy.from_dict(fields)
    with pytest.raises(ConfigError, match=named) as caught:
        RecoveryPolicy.from_config(config(**fields))
    assert str(caught.value).startswith("spawner.recovery")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"max_retires": 1}, "unknown key 'max_retires'; did you mean 'max_retries'?"),
        ({"colour": "red"}, "unknown key 'colour'; there are max_retries"),
        ({3: 1}, "unknown key 3"),
        ([("max_retries", 1)], "must be a table of keys"),
        (None, "must be a table of keys"),
    ],
)
def test_documents_that_are_wrong(document: Any, message: str) -> None:
    """With a suggestion where one is near."""
    with pytest.raises(ConfigError) as caught:
        RecoveryPolicy.from_dict(document)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("patiennt", "did you mean 'patient'"),
        ("xyzzy", "there are default, aggressive_retry, fast_fallback, no_recovery"),
        ("", "unknown recovery policy ''"),
        (None, "unknown recovery policy None"),
        ([], "unknown recovery policy []"),
    ],
)
def test_unknown_presets(name: Any, message: str) -> None:
    """Listed, suggested, and a ValueError; in a configuration with its place."""
    with pytest.raises(UnknownPresetError) as caught:
        RecoveryPolicy.preset(name)
    with pytest.raises(ValueError, match=r"spawner\.recovery\.preset: unknown"):
        RecoveryPolicy.from_config(config(preset=name))

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, RecoveryPolicy.default()),
        ({"spawner": {}}, RecoveryPolicy.default()),
        ({"unrelated": 1}, RecoveryPolicy.default()),
        (config(), RecoveryPolicy.default()),
        (config(preset="no_recovery"), RecoveryPolicy.no_recovery()),
        (config(max_retries=7), RecoveryPolicy(max_retries=7)),
        (
            config(preset="patient", max_retries=4),
            RecoveryPolicy(
                max_retries=4, base_delay=2.0, max_delay=120.0, backoff_factor=3.0
            ),
        ),
        (
            config(overrides={"a": {"max_retries": 0}}),
            RecoveryPolicy(overrides={"a": {"max_retries": 0}}),
        ),
    ],
)
def test_from_config(document: dict[str, Any], expected: RecoveryPolicy) -> None:
    """A preset, changed by the fields beside it."""
    assert RecoveryPolicy.from_config(document) == expected


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (config(presett="patient"), "did you mean 'preset'"),
        ({"spawner": {"recovry": {}}}, "spawner: unknown key 'recovry'; did you mean"),
        ({"spawnr": {}}, "unknown key 'spawnr'; did you mean 'spawner'"),
        ({"spawner": {"recovery": "patient"}}, "spawner.recovery: must be a table"),
        ({"spawner": None}, "spawner: must be a table"),
        ([], "must be a table"),
    ],
)
def test_misspelt_sections(document: Any, message: str) -> None:
    """A typing error is no silent default."""
    with pytest.raises(ConfigError) as caught:
        RecoveryPolicy.from_config(document)

    assert message in str(caught.value)


def test_overrides_add_up_and_leave_the_original_alone() -> None:
    """A new policy each time; the agent's own fields win."""
    plain = RecoveryPolicy.default()

    once = plain.with_override("slow", max_retries=5)
    twice = once.with_override("slow", base_delay=9.0).with_override(
        "bare", fallback_to_llm=False
    )

    assert plain.overrides == {}
    assert once.for_agent("slow").max_retries == 5
    slow = twice.for_agent("slow")
    assert (slow.max_retries, slow.base_delay, slow.overrides) == (5, 9.0, {})
    assert not twice.for_agent("bare").fallback_to_llm
    assert twice.for_agent("other") is twice
    assert twice.for_agent(None) is twice


@pytest.mark.parametrize(
    ("agent", "changes", "named"),
    [
        ("a", {"max_retrys": 1}, "max_retries"),
        ("a", {"max_retries": -1}, "max_retries"),
        ("a", {"overrides": {}}, "overrides"),
        ("-a", {}, "name an agent"),
    ],
)
def test_wrong_overrides(agent: str, changes: dict[str, Any], named: str) -> None:
    """Refused when made, not when used."""
    with pytest.raises(ConfigError, match=named):
        RecoveryPolicy().with_override(agent, **changes)


def test_nobody_changes_a_policy_from_outside() -> None:
    """What was given is copied; policies can be keys of a dict."""
    overrides: dict[str, dict[str, Any]] = {"a": {"max_retries": 1}}
    policy = RecoveryPolicy(overrides=overrides)

    overrides["a"]["max_retries"] = -5
    policy.to_dict()["overrides"]["a"]["max_retries"] = -5

    assert policy.for_agent("a").max_retries == 1
    assert len({policy, RecoveryPolicy()}) in {1, 2}


@given(recovery_policies)
def test_round_trip(policy: RecoveryPolicy) -> None:
    """Through JSON and back."""
    document = json.loads(json.dumps(policy.to_dict()))

    assert RecoveryPolicy.from_dict(document) == policy


@given(recovery_policies, names, recovery_fields)
def test_an_override_changes_what_it_names_and_nothing_else(
    policy: RecoveryPolicy, agent: str, changes: dict[str, Any]
) -> None:
    """For any policy, agent and fields."""
    before = policy.for_agent(agent).to_dict() | {"overrides": {}}

    after = policy.with_override(agent, **changes).for_agent(agent).to_dict()

    assert after == before | changes


@given(recovery_policies, st.integers(0, 10**6), st.floats(0, 1))
def test_delays_stay_within_the_cap(
    policy: RecoveryPolicy, n: int, draw: float
) -> None:
    """Whatever the policy says."""
    assert 0 <= policy.delay(n, draw) <= policy.max_delay
