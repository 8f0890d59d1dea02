"""An answer with its confidence, its claims and what is missing of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.json_in_text import Misread
from muster.domain.outcome import Attempt, Failure, FailureCause, SpawnResult
from muster.domain.subgoals import Subgoal
from muster.domain.synthesis import (
    Answer,
    Claim,
    Missing,
    Synthesis,
    missing_of,
    read_synthesis,
    tempered,
)

GOOD = {"answer": "It is so.", "confidence": 0.8}


def said(**changes: Any) -> str:
    """As a model should answer."""
    return json.dumps({**GOOD, **changes})


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (said(), Synthesis("It is so.", 0.8)),
        (f"Well:\n```\n{said(confidence='80%')}\n```", Synthesis("It is so.", 0.8)),
        (said(gaps="much"), Synthesis("It is so.", 0.8, gaps=("much",))),
        (said(gaps=["a", 1, " "]), Synthesis("It is so.", 0.8, gaps=("a",))),
        (
            said(claims=[{"claim": "c", "subgoals": [1, "s2", "2"]}]),
            Synthesis("It is so.", 0.8, (Claim("c", (1, 2)),)),
        ),
        (said(claims=[{"claim": "c"}]), Synthesis("It is so.", 0.8, (Claim("c"),))),
    ],
)
def test_it_is_read(answer: str, found: Synthesis) -> None:
    """Wherever it stands."""
    assert read_synthesis(answer, {1, 2}) == found


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("It is so.", "no complete JSON object"),
        (said()[:-1], "no complete JSON object"),
        (said(answer="  "), "not empty"),
        (said(answer=["x"]), "not empty"),
        (said(confidence=None), "a number from 0 to 1"),
        (said(confidence=700), "a number from 0 to 1"),
        (said(claims="c"), '"claims" must be a list'),
        (said(claims=["c"]), 'an object with a "claim"'),
        (
            said(claims=[{"claim": "c", "subgoals": [3]}]),
            "subgoal 3; answered are 1, 2",
        ),
        (said(claims=[{"claim": "c", "subgoals": [{}]}]), "answered are 1, 2"),
        (said(claims=[{"claim": "c", "subgoals": ["9" * 5000]}]), "answered are 1, 2"),
    ],
)
def test_what_is_wrong_is_said(answer: str, problem: str) -> None:
    """A claim that rests on a subgoal without an answer is wrong, too."""
    found = read_synthesis(answer, {1, 2})

    assert isinstance(found, Misread)
    assert problem in found.problem


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x) | st.dictionaries(st.sampled_from(["claim", "subgoals"]), x)
        ),
        max_leaves=8,
    )
)
def test_any_claims_are_read_or_refused(value: Any) -> None:
    """Nothing raises."""
    assert isinstance(read_synthesis(said(claims=value), {1}), Misread | Synthesis)


def test_what_is_missing_and_why() -> None:
    """Failed, and never begun."""
    limited = Failure(FailureCause.RATE_LIMIT, "429")
    results = {
        1: SpawnResult(success=True, output="x"),
        2: SpawnResult(success=False, failure=limited),
    }
    subgoals = [Subgoal("a"), Subgoal("b", is_critical=True), Subgoal("c")]

    second, third = missing_of(subgoals, results)
    late = Failure(FailureCause.DEADLINE, "too late")
    tried = (Attempt(1, None, "t", 0.0, 1.0, failure=limited),)
    results[2] = SpawnResult(success=False, failure=late, attempts=tried)
    after, _ = missing_of(subgoals, results)

    assert str(second) == "critical subgoal 2 (b): rate_limit: 429"
    assert after.reason == "deadline: too late (after rate_limit)"
    assert str(third) == "subgoal 3 (c): nobody has worked on it"


@pytest.mark.parametrize(
    ("missing", "critical", "most"),
    [(0, 0, 0.9), (1, 0, 0.675), (2, 0, 0.45), (1, 1, 0.49)],
)
def test_confidence_is_tempered(missing: int, critical: int, most: float) -> None:
    """By the part that is missing; without a critical one it is not used again."""
    lacking = [Missing(n, "x", "y", is_critical=n < critical) for n in range(missing)]

    assert tempered(0.9, [Subgoal("x")] * 4, lacking) == pytest.approx(most)


def test_as_a_document_and_back() -> None:
    """For the cache."""
    answer = Answer(
        "a",
        0.5,
        (Claim("c", (1,)),),
        (Missing(2, "d", "r", is_critical=True),),
        ("g",),
        ("n",),
        simulated=True,
    )

    assert Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer
