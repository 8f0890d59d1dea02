"""What hypothesis needs to know about muster's values."""

from hypothesis import strategies as st

from muster.domain.outcome import (
    Attempt,
    Evidence,
    Failure,
    FailureCause,
    SpawnResult,
    Usage,
)
from muster.domain.recovery_policy import RecoveryPolicy

# Everything but lone surrogates, which no JSON file in UTF-8 can hold.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
moments = st.floats(min_value=0, max_value=1e10)
durations = st.floats(min_value=0, max_value=1e6)
maybe_durations = st.none() | durations
names = st.from_regex(r"[a-z][a-z0-9_-]{0,15}", fullmatch=True)
causes = st.sampled_from(FailureCause)

evidences = st.builds(
    Evidence,
    text=texts,
    stream=st.sampled_from(["stdout", "stderr"]),
    offset=st.none() | st.integers(min_value=0),
    pattern=st.none() | texts,
)
failures = st.sampled_from([Failure, Failure.named]).flatmap(
    lambda made: st.builds(
        made,
        cause=causes,
        message=texts,
        evidence=st.none() | evidences,
        detection_time_ms=maybe_durations,
        retry_after=maybe_durations,
        resets_at=st.none() | moments,
    )
)
_tokens = st.none() | st.integers(min_value=0, max_value=10**9)
usages = st.builds(
    Usage,
    input_tokens=_tokens,
    output_tokens=_tokens,
    cached_tokens=_tokens,
    cost_usd=maybe_durations,
)
attempts = st.builds(
    Attempt,
    number=st.integers(min_value=1, max_value=100),
    agent=st.none() | names,
    tool=st.none() | names,
    started_at=moments,
    duration=durations,
    exit_code=st.none() | st.integers(-64, 255),
    failure=st.none() | failures,
    delay_before=durations,
    fallback=st.booleans(),
    session_id=st.none() | texts,
    usage=st.none() | usages,
)


@st.composite
def spawn_results(draw: st.DrawFn) -> SpawnResult:
    """A result that is allowed: a failure if, and only if, it failed."""
    success = draw(st.booleans())
    return draw(
        st.builds(
            SpawnResult,
            success=st.just(success),
            output=texts,
            stderr=texts,
            error=st.none() if success else st.none() | texts,
            exit_code=st.none() | st.integers(-64, 255),
            task_index=st.integers(0, 10**6),
            task_id=st.none() | names,
            agent=st.none() | names,
            tool=st.none() | names,
            fallback=st.booleans(),
            original_agent=st.none() | names,
            retry_count=st.integers(0, 100),
            attempts=st.lists(attempts, max_size=3).map(tuple),
            termination_reason=st.none() | texts,
            timeout_extended=st.booleans(),
            execution_time=durations,
            failure=st.none() if success else st.none() | failures,
            usage=st.none() | usages,
            truncated=st.booleans(),
            output_path=st.none() | texts,
            simulated=st.booleans(),
            leftovers=st.integers(0, 10),
        )
    )


recovery_fields = st.fixed_dictionaries(
    {},
    optional={
        "max_retries": st.integers(0, 100),
        "fallback_to_llm": st.booleans(),
        "base_delay": durations,
        "max_delay": durations,
        "backoff_factor": st.floats(min_value=0, max_value=100),
        "jitter": st.sampled_from(["none", "full", "equal"]),
        "fallback_tool": st.none() | names,
    },
)
recovery_policies = st.builds(
    lambda changes, overrides: RecoveryPolicy(**changes, overrides=overrides),
    recovery_fields,
    st.dictionaries(names, recovery_fields, max_size=3),
)
