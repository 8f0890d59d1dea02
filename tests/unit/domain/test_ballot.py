"""A vote is found wherever an answer has it, and nothing else is taken for one."""

import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.ballot import Abstention, Unreadable, Vote, read_vote

CHOICES = ("approve", "reject", "Ask again later")
YES = '{"choice": "approve", "confidence": 0.8, "reason": "sound"}'
NO = '{"choice": "reject", "confidence": 0.4, "reason": "too dear"}'
APPROVE = Vote("approve", 0.8, "sound")


@pytest.mark.parametrize(
    "answer",
    [
        YES,
        f"I have weighed it.\n\n{YES}\n",
        f"```json\n{YES}\n```",
        f"```json\n{YES}\n```\nThat is my vote. {{braces}} and more { {1} }",
        f"bob said {NO}, and I disagree:\n{YES}",
        f'{{"thoughts": {{"a": 1}}}}\n{YES}',
        f'{{"vote": {YES}}}',
        f"[{NO}, {YES}]",
        '{"choice": "reject", "confidence": } no wait ' + YES,
        YES.replace('"approve"', '"APPROVE "'),
        YES.replace('"approve"', '" `approve`. "'),
        YES.replace("0.8", '"0.8"'),
        YES.replace("0.8", '"80%"'),
        YES.replace("0.8", "80"),
        YES.replace("sound", "sou\\u006ed"),
        YES.replace("}", ', "against": {"choice": "reject"}}'),
        "x" * 200_000 + YES,
    ],
)
def test_a_vote_is_found(answer: str) -> None:
    """In prose, in fences, behind a quoted vote, in another object."""
    assert read_vote(answer, CHOICES) == APPROVE


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "no JSON object"),
        ("I approve.", "no JSON object"),
        ("choice: approve", "no JSON object"),
        ("{'choice': 'approve'}", "no JSON object"),
        ('{"choice": "approve", "confidence": 0.8,', "no JSON object"),
        ('{"vote": "approve"}', "no JSON object"),
        ('["choice", "approve"]', "no JSON object"),
        ('{"choice": "maybe"}', '"maybe" is none of the choices'),
        ('{"choice": ""}', '"" is none of the choices'),
        ('{"choice": null}', "null is none of the choices"),
        ('{"choice": ["approve"]}', "is none of the choices"),
        (f'{YES} ... no: {{"choice": "perhaps"}}', '"perhaps" is none of the choices'),
        ('{"choice": "approve", "a": ' + "[" * 100_000, "no JSON object"),
    ],
)
def test_no_vote_is_said_to_be_none(answer: str, problem: str) -> None:
    """With what was wrong, in words for the one who gave it."""
    found = read_vote(answer, CHOICES)

    assert isinstance(found, Unreadable)
    assert problem in found.problem


def test_the_choices_are_named_to_whoever_missed_them() -> None:
    """So that the second answer can be right."""
    found = read_vote('{"choice": "yes"}', CHOICES)

    assert isinstance(found, Unreadable)
    assert '"approve", "reject", "Ask again later"' in found.problem


@pytest.mark.parametrize(
    ("said", "confidence"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("1.0", 1.0),
        ("100", 1.0),
        ('"high"', None),
        ("-0.5", None),
        ("101", None),
        ("true", None),
        ("null", None),
        ("NaN", None),
        ("1e999", None),
        ('"nan%"', None),
    ],
)
def test_a_confidence_that_is_none_costs_no_vote(
    said: str, confidence: float | None
) -> None:
    """What isn't between 0 and 1 is unknown, never 0."""
    found = read_vote(f'{{"choice": "reject", "confidence": {said}}}', CHOICES)

    assert found == Vote("reject", confidence)


@pytest.mark.parametrize(
    ("choices", "said", "choice"),
    [
        (("yes", "YES!"), "yes", "yes"),
        (("A", "a"), "a", "a"),
        (("1", "2"), 2, "2"),
        (("true", "false"), True, "true"),
        (("plan b", "plan c"), "  Plan\n B", "plan b"),
        (("abstain", "vote"), "abstain", "abstain"),
    ],
)
def test_a_choice_is_recognised(
    choices: tuple[str, ...], said: object, choice: str
) -> None:
    """Exactly, else in any case and white space; a number or a truth value, too."""
    assert read_vote(json.dumps({"choice": said}), choices) == Vote(choice)


def test_two_choices_that_fit_are_none() -> None:
    """Nobody guesses."""
    assert isinstance(read_vote('{"choice": "YES"}', ("yes", "yes.")), Unreadable)


@pytest.mark.parametrize(
    ("reason", "kept"), [("not my field", "not my field"), ("", "no reason given")]
)
def test_who_abstains_says_so(reason: str, kept: str) -> None:
    """It is no vote, and nobody is asked again."""
    answer = json.dumps({"choice": "Abstain", "reason": reason})

    assert read_vote(answer, CHOICES) == Abstention(kept, is_deliberate=True)


def test_a_reason_is_one_line_and_bounded() -> None:
    """It stands in tables and in everybody's next prompt."""
    answer = '{"choice": "reject", "reason": "one\ntwo ' + "x" * 5000 + '"}'

    found = read_vote(answer, CHOICES)

    assert isinstance(found, Vote)
    assert found.reason.startswith("one two x")
    assert len(found.reason) == 1000


@pytest.mark.parametrize(
    "answer",
    ['{"a":' * 20_000, '{"' * 30_000, "{}" * 30_000, '{"a":1,' * 10_000, "[{" * 30_000],
)
def test_a_hostile_answer_costs_little(answer: str) -> None:
    """However many objects seem to begin in it."""
    began = process_time()

    assert isinstance(read_vote(answer, CHOICES), Unreadable)
    assert process_time() - began < 2.0


@given(
    vote=st.builds(
        Vote,
        st.sampled_from(CHOICES),
        st.none() | st.floats(0, 1),
        st.text(max_size=50).map(lambda text: " ".join(text.split())),
    ),
    before=st.text(max_size=60),
    after=st.text(st.characters(exclude_characters='{"'), max_size=60),
)
def test_every_vote_survives_every_surrounding(
    vote: Vote, before: str, after: str
) -> None:
    """Whatever stands before it, and behind it what begins no object."""
    answer = f"{before}\n{json.dumps(vote.to_dict())}\n{after}"

    assert read_vote(answer, CHOICES) == vote


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_text_breaks_the_reader(text: str) -> None:
    """It answers, whatever it gets."""
    assert isinstance(read_vote(text, CHOICES), Vote | Abstention | Unreadable)
