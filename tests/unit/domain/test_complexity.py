"""How hard a question is, by its words alone."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.domain.complexity import Complexity, assess
from tests.strategies import texts
from tests.unit.domain.complexity_queries import HELD_OUT, TUNED

LEVELS = list(Complexity)
queries = texts | st.sampled_from(
    [each for table in (TUNED, HELD_OUT) for level in table.values() for each in level]
)


def off_by(table: Mapping[str, Sequence[str]]) -> list[int]:
    """By how many levels each question of a table is misjudged."""
    return [
        abs(LEVELS.index(assess(query).level) - LEVELS.index(Complexity(level)))
        for level, each in table.items()
        for query in each
    ]


@pytest.mark.parametrize(
    ("level", "query"),
    [(level, query) for level, each in TUNED.items() for query in each],
)
def test_tuned_table(level: str, query: str) -> None:
    """Every question that the weights were tuned on has its level."""
    assert assess(query).level.value == level


def test_held_out_table() -> None:
    """Nine of ten questions that nothing was tuned on, and hardly one is far off."""
    misses = off_by(HELD_OUT)

    assert misses.count(0) >= 0.9 * len(misses)
    assert sum(miss > 1 for miss in misses) <= 1


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("What is a migration?", "Explain how the migration works"),
        ("Fix the reader", "Fix the reader and the writer"),
        ("Fix the reader", "Fix the reader. Then add a test."),
        ("Fix the reader", "Fix every reader across all services"),
        ("Fix the reader", "Fix the reader in production"),
        ("Fix the reader", "Refactor the reader"),
        ("Fix the reader", "Fix `read_all` in reader.py"),
        ("Is the database encrypted?", "Encrypt the database"),
        ("hello", "please frobnicate this thing"),
    ],
)
def test_more_work_scores_higher(less: str, more: str) -> None:
    """What is asked beyond a question raises its score."""
    assert assess(less).score < assess(more).score


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("Fix the reader", "asks for work: fix"),
        ("Refactor it", "asks for work of many parts: refactor"),
        ("Why is it slow?", "asks for an explanation: why"),
        ("Fix it across all modules", "reaches far: across, all, modules"),
        ("Fix it without a restart", "is bound by conditions: without"),
        ("Fix payments", "touches what must not go wrong: payments"),
        ("Fix it, test it, and ship it", "has 4 parts"),
        ("Fix `x`", "names code"),
        ("Where is it?", "no sign of work"),
    ],
)
def test_reasons(query: str, reason: str) -> None:
    """A level comes with the words that led to it."""
    assert reason in assess(query).reasons


@pytest.mark.parametrize(
    "query",
    [
        "What is a security vulnerability?",
        "Is production encrypted?",
        "How does the payment migration work?",
        "Refactor, rewrite, redesign and rebuild every module of the whole system. "
        * 50,
    ],
)
def test_only_work_at_a_risk_is_critical(query: str) -> None:
    """Neither talk of a risk nor any amount of harmless work is critical."""
    assert assess(query).level is not Complexity.CRITICAL


def test_unknown_language_is_doubted() -> None:
    """A text without one known word is no clear case."""
    query = "Wo steht bitte der Standardwert des Zeitlimits in dieser Datei"

    assert assess(query).confidence < 0.5


def test_nothing_is_simple() -> None:
    """An empty question scores nothing."""
    assert (assess("").level, assess("").score) == (Complexity.SIMPLE, 0.0)


def test_a_megabyte_is_judged_by_its_beginning() -> None:
    """What stands beyond the bound changes nothing."""
    filler = "look " * presets.ASSESSED_CHARS

    assert assess(filler) == assess(filler + "Migrate production.")


def test_limits_by_level() -> None:
    """What a level allows."""
    assert [level.max_subgoals for level in LEVELS] == [0, 2, 4, 6]
    assert [level.max_chunks for level in LEVELS] == [5, 10, 15, 20]


@given(queries)
def test_any_text_is_judged(query: str) -> None:
    """Score and confidence are shares, the same each time, and the level follows."""
    found = assess(query)

    assert found == assess(query)
    assert 0.0 <= found.score <= 1.0
    assert 0.0 <= found.confidence <= 1.0
    assert found.reasons


@given(queries, queries)
def test_levels_follow_scores(one: str, other: str) -> None:
    """A higher score is never a lower level."""
    low, high = sorted((assess(one), assess(other)), key=lambda found: found.score)

    assert LEVELS.index(low.level) <= LEVELS.index(high.level)


@given(queries, queries)
def test_a_further_request_never_lowers(query: str, further: str) -> None:
    """Whatever is asked in a sentence of its own only adds."""
    assert assess(f"{query}\n{further}").score >= assess(query).score
