"""Subgoals out of what a model says: found anywhere, checked strictly, issues by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.json_in_text import Misread
from muster.domain.subgoal_issues import IssueKind, find_issues
from muster.domain.subgoals import MatchQuality, Subgoal, read_subgoals

ONE = {"description": "look", "ideal_agent": "reader", "match_quality": "excellent"}


def said(*subgoals: dict[str, Any]) -> str:
    """As a model should answer."""
    return json.dumps({"subgoals": list(subgoals)})


def goal(text: str = "x", *needs: int, agent: str | None = None) -> Subgoal:
    """One subgoal."""
    quality = MatchQuality.EXCELLENT if agent else MatchQuality.INSUFFICIENT
    return Subgoal(text, "r", "", agent, quality, depends_on=needs)


@pytest.mark.parametrize(
    "answer",
    [
        said(ONE),
        f"Gladly! Here is it:\n```json\n{said(ONE)}\n```\nShall I go on?",
        f"First I thought {said({**ONE, 'description': 'draft'})}, but now: {said(ONE)}",
        json.dumps([ONE]),
        f"A list:\n{json.dumps([{**ONE, 'depends_on': []}])}",
        said({**ONE, "comment": "nobody asked", "id": 7}),
        said({**ONE, "match_quality": " Excellent ", "assigned_agent": "none"}),
        said({**ONE, "assigned_agent": "", "ideal_agent_desc": None}),
    ],
)
def test_found_wherever_they_are(answer: str) -> None:
    """Between sentences, in fences, after a draft, as a bare list."""
    assert read_subgoals(answer) == (
        Subgoal("look", "reader", match_quality="excellent"),
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("I would rather not.", "no complete JSON object"),
        (said(ONE)[:-9], "no complete JSON object"),
        ('{"subgoals": "many"}', '"subgoals" must be a list, not text'),
        ('{"subgoals": ["look"]}', "subgoal 1 must be an object, not text"),
        (said({"ideal_agent": "r", "match_quality": "excellent"}), 'no "description"'),
        (
            said({**ONE, "match_quality": "superb"}),
            "excellent, acceptable, insufficient",
        ),
        (said({**ONE, "description": 7}), '"description" of subgoal 1 must be text'),
        (said({**ONE, "is_critical": "yes"}), "must be true or false"),
        (said({**ONE, "depends_on": "1"}), "must be a list of numbers"),
        (said({**ONE, "depends_on": [True]}), "must hold numbers"),
        (said({**ONE, "depends_on": ["9" * 5000]}), "must hold numbers"),
        (said({**ONE, "assigned_agent": ["a"]}), '"assigned_agent" of subgoal 1'),
        (said(*[{"a": 1}] * 40), "and 112 more"),
        ("{" * 100_000, "no complete JSON object"),
        ("[" * 100_000, "no complete JSON object"),
    ],
)
def test_what_is_wrong_is_said(answer: str, problem: str) -> None:
    """In words for the model, all problems at once and within bounds."""
    found = read_subgoals(answer)

    assert isinstance(found, Misread)
    assert problem in found.problem
    assert len(found.problem) < 1000


def test_dependencies_by_number_or_id() -> None:
    """Each once, as the context of dependents calls them too."""
    [found] = read_subgoals(said({**ONE, "depends_on": [2, "2", "s3"]}))  # type: ignore[misc]

    assert found.depends_on == (2, 3)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing raises."""
    assert isinstance(read_subgoals(text), Misread | tuple)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["description", "depends_on", "match_quality", "a"]), x
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Nothing raises, whatever stands where subgoals should."""
    assert isinstance(read_subgoals(json.dumps({"subgoals": value})), Misread | tuple)


@pytest.mark.parametrize(
    ("subgoals", "kinds"),
    [
        ([goal()], []),
        ([goal("a"), goal("b", 1), goal("c", 1, 2)], []),
        ([], [IssueKind.NO_SUBGOALS]),
        ([goal()] * 40, [IssueKind.TOO_MANY]),
        ([goal("  ")], [IssueKind.EMPTY_DESCRIPTION]),
        ([goal(agent="coder")], []),
        ([goal(agent="codr")], [IssueKind.UNKNOWN_AGENT]),
        ([goal("a", 0)], [IssueKind.UNKNOWN_DEPENDENCY]),
        ([goal("a", 2)], [IssueKind.UNKNOWN_DEPENDENCY]),
        ([goal("a", 1)], [IssueKind.CYCLE]),
        ([goal("a", 2), goal("b", 3), goal("c", 1)], [IssueKind.CYCLE]),
        (
            [goal("", 9, agent="x"), goal("b", 2)],
            [
                IssueKind.EMPTY_DESCRIPTION,
                IssueKind.UNKNOWN_AGENT,
                IssueKind.UNKNOWN_DEPENDENCY,
                IssueKind.CYCLE,
            ],
        ),
    ],
)
def test_issues_by_name(subgoals: list[Subgoal], kinds: list[IssueKind]) -> None:
    """All of them, in the order of the subgoals."""
    found = find_issues(subgoals, limit=6, agents=["coder"])

    assert [each.kind for each in found] == kinds
    survivable = [each.kind for each in found if each.is_survivable]
    assert set(survivable) <= {IssueKind.UNKNOWN_AGENT}


def test_an_issue_says_what_is_meant() -> None:
    """The nearest agent, the path of a cycle, the numbers there are."""
    agent, need = find_issues([goal("a", 4, agent="codr")], limit=2, agents=["coder"])
    [cycle] = find_issues([goal("a", 2), goal("b", 1)], limit=2, agents=[])

    assert "did you mean 'coder'?" in str(agent)
    assert "subgoal 1 depends on 4; there are 1 to 1" in str(need)
    assert "1 -> 2 -> 1" in str(cycle)


def test_an_insufficient_match_needs_nobody() -> None:
    """Whoever is assigned there is not used."""
    subgoal = Subgoal("x", "r", "", "nobody", MatchQuality.INSUFFICIENT)

    assert find_issues([subgoal], limit=2, agents=[]) == ()


def test_as_a_document_and_back() -> None:
    """For the journal."""
    subgoal = Subgoal(
        "x", "r", "d", "a", MatchQuality.ACCEPTABLE, is_critical=True, depends_on=(1, 2)
    )

    assert Subgoal.from_dict(json.loads(json.dumps(subgoal.to_dict()))) == subgoal
