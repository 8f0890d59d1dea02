"""What is left of output after everything that a terminal would obey is gone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.terminal_text import strip_terminal


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("plain text\n\tindented", "plain text\n\tindented"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[38;2;1;2;3mx\x1b[m", "x"),
        ("a\x1b[2K\x1b[1Gb", "ab"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]0;title\x1b\\text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;ZXZpbA==\x07safe", "safe"),
        ("\x1bP1;2q#0;data\x1b\\after", "after"),
        ("\x1b_apc\x1b\\after", "after"),
        ("\x1b^pm\x1b\\after", "after"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x90dcs\x9ctext", "text"),
        ("\x1b(Btext\x1b7\x1b8\x1bc", "text"),
        ("\x1b]0;never ends\nnext line", "\nnext line"),
        ("lone \x1b", "lone "),
        ("bell\x07 null\x00 del\x7f", "bell null del"),
        ("N\x08NA\x08AME", "NAME"),
        ("one\r\ntwo\r\r\nthree", "one\ntwo\nthree"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("10%\r50%\r", "50%"),
        ("a\u202eb\u200bc\u2066d\ufeffe\U000e0041", "abcde"),
        ("a\u2028b", "a\nb"),
        ("naïve 日本 🎉", "naïve 日本 🎉"),
        ("", ""),
    ],
)
def test_only_the_visible_stays(raw: str, seen: str) -> None:
    """Sequences, controls and invisible characters go, everything else stays."""
    assert strip_terminal(raw) == seen


@given(
    st.text(
        alphabet=st.characters(codec="utf-8")
        | st.sampled_from("\x1b\x9b[]P\r\n;0m\x07\\")
    )
)
def test_nothing_dangerous_survives(text: str) -> None:
    """No control but newline and tab, and stripping again changes nothing."""
    stripped = strip_terminal(text)

    assert not [
        c for c in stripped if (c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f"
    ]
    assert strip_terminal(stripped) == stripped


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "\x1b",
        "\x1b[",
        "\x1b[0",
        "\x1b]",
        "\x1bP",
        "\x1bPx\n",
        "\r",
        "1%\r",
        "\x9b",
        "\x08",
        "\u200b",
        "\x1b ",
    ],
)
def test_ten_megabytes_take_linear_time(unit: str) -> None:
    """No sequence, finished or not, makes the scan start over."""
    text = unit * (10_000_000 // len(unit))

    begin = time.perf_counter()
    strip_terminal(text)

    assert time.perf_counter() - begin < 20
