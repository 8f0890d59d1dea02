"""Secrets are masked, what stands around them is kept, and borders hide nothing."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.infrastructure.secrets import MASK, Redactor

PEM = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA1234\nqwertyuiopasdfgh5678\n-----END-----"
ENVIRON = {
    "MY_API_KEY": "hunter2-value",
    "github_token": "tok",
    "DB_PASSWORD": 'p"ss\\wörd',
    "AWS_SECRET": "  spaced-secret  ",
    "SSH_KEY": PEM,
    "OTHER": "not-a-secret",
    "EMPTY_TOKEN": "",
}
REDACTOR = Redactor(ENVIRON)
MASKED = {
    "task-abcdefghijklmnopqrst": b"task-abcdefghijklmnopqrst",
    "hunter2-value": b"***",
    "Bearer abc.def-ghi_123": b"Bearer ***",
    PEM: b"***",
}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("nothing here", "nothing here"),
        ("a hunter2-value b", "a *** b"),
        ("hunter2-valuehunter2-value", "******"),
        ("key=hunter2-value;", "key=***;"),
        ("tok is too short, not-a-secret", "tok is too short, not-a-secret"),
        ('p"ss\\wörd', "***"),
        (r'{"x": "p\"ss\\w\u00f6rd"}', '{"x": "***"}'),
        ("<spaced-secret>", "<***>"),
        (f"a\n{PEM}\nb", "a\n***\nb"),
        ("> MIIEpAIBAAKCAQEA1234", "> ***"),
        ("sk-abcdefghijklmnop1234", "***"),
        ("x sk-ant-api03-abcdefghijklmnop_-1 y", "x *** y"),
        ("task-abcdefghijklmnopqrst", "task-abcdefghijklmnopqrst"),
        ("sk-short", "sk-short"),
        ("ghp_" + "a1" * 18, "***"),
        ("github_pat_" + "a1_" * 12, "***"),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
        ("AKIAABCDEFGHIJKLMNOPQ", "AKIAABCDEFGHIJKLMNOPQ"),
        ("Authorization: Bearer abc.def-ghi_123=", "Authorization: Bearer ***"),
        ("bearer of bad news", "bearer of bad news"),
        ("xoxb-1234567890-abc", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-9", "***"),
        ("AIza" + "x" * 35, "***"),
    ],
)
def test_what_is_masked(text, masked):
    """Values of secret variables and shapes of keys; nothing else."""
    assert REDACTOR.redact(text) == masked
    assert REDACTOR.redact_bytes(text.encode()) == masked.encode()


def test_the_longer_of_two_secrets_wins():
    """One that begins like another leaves no rest behind."""
    redactor = Redactor({"A_KEY": "abcdef", "B_KEY": "abcdefghi", "C_KEY": "abcxyz"})

    assert redactor.redact("abcdefghi abcdefg abcxyz abc") == "*** ***g *** abc"


def test_documents_keep_their_form():
    """Texts at any depth, and nothing but texts."""
    document = {"a": ["hunter2-value", 1, None], "b": {"c": "x hunter2-value"}}

    assert REDACTOR.redact_document(document) == {
        "a": [MASK, 1, None],
        "b": {"c": "x ***"},
    }


def test_secrets_do_not_show_in_its_own_repr():
    """A traceback with locals, say."""
    assert "hunter2" not in repr(REDACTOR)


secret_texts = st.lists(
    st.sampled_from(
        [
            "hunter2-value",
            "hunter2-",
            "value",
            "sk-",
            "abcdefghijklmnop",
            "Bearer ",
            " ",
            "ghp_",
            "é",
            "AKIAABCDEFGHIJKLMNOP",
            "\n",
            "x" * 5_000,
            "p" + "q" * 4_090,
        ]
    )
    | st.text(max_size=3),
    max_size=30,
).map("".join)


@pytest.mark.parametrize("piece", MASKED)
def test_no_place_of_a_border_hides_or_makes_a_secret(piece):
    """Around the end of what is known, and where holding back begins."""
    window = REDACTOR.window
    places = [window + d for d in range(-8, 8)]
    places += [2 * window - d for d in range(len(piece) + 2)]
    for place in places:
        data = b"!" * place + piece.encode() + b"!" * 3 * window
        stream = REDACTOR.stream()

        parts = [stream.feed(data[: 2 * window]), stream.feed(data[2 * window :])]
        masked = b"".join([*parts, stream.finish()])

        assert masked == data.replace(piece.encode(), MASKED[piece]), place


@given(secret_texts, st.lists(st.integers(0, 12_000), max_size=12))
def test_chunks_make_no_difference(text, cuts):
    """Wherever a stream is cut, the same comes out as for the whole."""
    data = text.encode()
    whole = REDACTOR._bytes.sub(lambda match: (match[1] or b"") + MASK.encode(), data)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    stream = REDACTOR.stream()

    parts = [stream.feed(data[a:b]) for a, b in itertools.pairwise(places)]

    assert b"".join([*parts, stream.finish()]) == whole
    assert REDACTOR.redact(text).encode() == whole


letters = st.characters(exclude_characters="<>*\n", exclude_categories=("Cs",))


@given(st.lists(st.text(letters, min_size=6, max_size=20), max_size=30))
def test_no_value_survives(values):
    """Whatever the values look like to a regular expression."""
    values = [each.strip() for each in values if len(each.strip()) >= 6]
    redactor = Redactor({f"KEY_{i}": value for i, value in enumerate(values)})

    masked = redactor.redact("\n".join(f"<{value}>" for value in values))

    assert not [each for each in values if each in masked.replace(MASK, "")]


def test_a_thousand_canaries_and_megabytes_in_small_chunks():
    """Linear in the text, whatever the number of secrets."""
    environ = {f"CANARY_{i}_KEY": f"canary-{i:06}-{i * 7919:09}" for i in range(1_000)}
    redactor = Redactor(environ)
    text = " ".join(environ.values()) + " some text about canaries and keys" * 30_000
    stream = redactor.stream()
    begun = time.process_time()

    masked = redactor.redact(text)
    ones = [stream.feed(b"k") for _ in range(300_000)]

    assert masked.count(MASK) == 1_000
    assert "canary-0" not in masked
    assert len(b"".join([*ones, stream.finish()])) == 300_000
    assert time.process_time() - begun < 20
