"""Words of questions, and of what they are looked for in."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.infrastructure.knowledge.words import beside, terms

SIGNS = st.text("\"'*-+^:(){}[].,_ \tanorANORNEAR", max_size=60)


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    """Words in FTS5, as the index has them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = 'porter unicode61')"
        )
        yield connection


def finds(index: sqlite3.Connection, text: str, query: str) -> bool:
    """Whether any word of the question is found in the text."""
    index.execute("DELETE FROM words")
    index.execute("INSERT INTO words VALUES (?)", (f"{text} {beside(text)}",))
    sought = " OR ".join(f'"{word}"' for word in terms(query))
    query = "SELECT 1 FROM words WHERE words MATCH ?"
    return bool(sought) and index.execute(query, (sought,)).fetchone() is not None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", []),
        ("What is it, and how?", []),
        ("a 1 ?", []),
        ("Where is the retry budget?", ["retry", "budget"]),
        ("retry the retry", ["retry"]),
        ("parseHTTPHeader", ["parsehttpheader", "parse", "http", "header"]),
        ("parse_header()", ["parse", "header", "parse_header"]),
        ("__init__", ["init"]),
        ("src/lane_gate.py", ["src", "lane", "gate", "py", "lane_gate"]),
        ('NEAR("x* y") -col:budget ^a', ["near", "col", "budget"]),
        ("größe 漢字", ["größe", "漢字"]),
        ("\ud800\0\x1b[31m", ["31m"]),
    ],
)
def test_terms(query: str, found: list[str]) -> None:
    """What is sought for a question."""
    assert terms(query) == found


def test_long_question() -> None:
    """A megabyte is read as far as its bound, and its commonest words are sought."""
    rare = " ".join(f"word{number}" for number in range(100))
    query = f"{rare} {'lane ' * 250_000}"

    assert terms(query)[0] == "lane"
    assert len(terms(query)) == presets.QUERY_TERMS


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("def parseHTTPHeader(self):", "http header", True),
        ("def parseHTTPHeader(self):", "parsehttpheader", True),
        ("def parseHTTPHeader(self):", "parseHTTPHeader", True),
        ("def parse_http_header(self):", "header", True),
        ("def parse_http_header(self):", "parse_http_header", True),
        ("class LaneGate:", "Where is the gate?", True),
        ("two retries", "retry", True),
        ("configured", "configuring", True),
        ("Größe", "grosse grösse größe", True),
        ("fortune", "tune", False),
        ("nothing of the kind", "what is it", False),
    ],
)
def test_found(
    index: sqlite3.Connection, text: str, query: str, *, found: bool
) -> None:
    """A question finds names by their parts and by themselves, and forms of words."""
    assert finds(index, text, query) is found


@given(st.text() | SIGNS)
def test_no_question_means_anything_to_the_search(query: str) -> None:
    """Whatever is asked, the search knows no syntax in it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (body)")
        for word in terms(query):
            sought = (f'"{word}"',)
            connection.execute("SELECT 1 FROM words WHERE words MATCH ?", sought)


@given(st.text() | SIGNS)
def test_terms_are_plain(query: str) -> None:
    """Words are small, of some length, each once, and made of word characters."""
    found = terms(query)

    assert len(found) == len(set(found)) <= presets.QUERY_TERMS
    for word in found:
        assert word.replace("_", "").isalnum()
