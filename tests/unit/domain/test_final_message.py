"""The error that an output ends with, out of plain text and of JSON records."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import final_message

NODE = """\
starting
node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module './gone.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15)
    at node:internal/main/run_main_module:36:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v22.1.0
"""
PYTHON = """\
Traceback (most recent call last):
  File "agent.py", line 3, in <module>
    client.create()
ConnectionError: [Errno 111] Connection refused
"""
RUST = """\
thread 'main' (17) panicked at /rustc/5/library/std/src/io/stdio.rs:1165:9:
failed printing to stdout: Broken pipe (os error 32)
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (NODE, "Error: Cannot find module './gone.js'"),
        (PYTHON, "ConnectionError: [Errno 111] Connection refused"),
        (RUST, "failed printing to stdout: Broken pipe (os error 32)"),
        ("│ No such option: --nope        │\n╰──────────╯\n", "No such option: --nope"),
        ("\x1b[91mError: \x1b[0mdatabase is locked\n\n", "Error: database is locked"),
        ("working\nall done\n", "all done"),
        ("", ""),
    ],
)
def test_the_line_that_says_it(text: str, last: str) -> None:
    """The error's line, not a frame, a brace or a box."""
    assert final_message.last_line(text) == last


def test_the_head_of_a_report_comes_before_its_remains() -> None:
    """A wrapped message is one text; the object dumped below it comes later."""
    text = "noise\n\nQuotaError: all of it\nis gone for today.\n    at f (x.js:1:2) {\n  status: 429\n}\n"

    messages = [message.text for message in final_message.plain(text)]

    assert messages[0] == "QuotaError: all of it is gone for today. status: 429"
    assert messages[1] == "status: 429"


def test_announced_retries_come_last_and_can_be_left_out() -> None:
    """They say why a program waited."""
    text = "Error: no such model\nRetrying in 5s: 429 Too Many Requests\n"

    assert next(final_message.plain(text)).text == "Error: no such model"
    assert len(list(final_message.plain(text, retries=False))) == 1


def test_fenced_blocks_are_quotations() -> None:
    """What an agent shows did not befall it."""
    text = "```\nError: 401 Unauthorized\n```\nThat is the log.\n"

    assert [message.text for message in final_message.plain(text)] == [
        "That is the log."
    ]


def test_offsets_point_into_the_text() -> None:
    """Also behind a long head that is not looked at."""
    text = "x\n" * 50_000 + "Error: here\n\n\n"

    message = next(final_message.plain(text))

    assert text[message.start :].startswith("Error: here")


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([{"type": "error", "message": "overloaded"}], "overloaded"),
        ([{"type": "turn.failed", "error": {"message": "no room"}}], "no room"),
        (
            [
                {
                    "type": "result",
                    "is_error": True,
                    "subtype": "success",
                    "result": "Invalid key",
                }
            ],
            "Invalid key",
        ),
        ([{"type": "result", "status": "error", "error": {"message": "bad"}}], "bad"),
        (
            [
                {"type": "session.error", "data": {"message": "gone"}},
                {"type": "result", "exitCode": 1},
            ],
            "gone",
        ),
        (
            [{"type": "error", "error": {"name": "E", "data": {"message": "deep"}}}],
            "deep",
        ),
        (
            [{"type": "error", "message": '{"error": {"message": "inside"}}'}],
            "inside ()",
        ),
        (
            [
                {"type": "error", "message": "early"},
                {"type": "result", "is_error": False},
            ],
            None,
        ),
        ([{"type": "error", "message": "early"}, {"type": "turn.completed"}], None),
        ([{"type": "system", "subtype": "api_retry", "error": "overloaded"}], None),
        ([{"type": "error", "message": "Reconnecting... 2/5"}], None),
        (
            [
                {
                    "type": "item.completed",
                    "item": {"type": "error", "message": "no metadata"},
                }
            ],
            None,
        ),
        ([{"type": "tool_result", "status": "error", "output": "429"}], None),
        ([{"level": "error", "msg": "refused"}], "refused"),
    ],
)
def test_records_by_their_common_keys(
    records: list[object], expected: str | None
) -> None:
    """The last record that judges decides; progress and tools' troubles don't."""
    found = final_message.structured(
        "".join(json.dumps(each) + "\n" for each in records)
    )

    assert (found.text if found else None) == expected


def test_a_document_over_several_lines_is_read() -> None:
    """As it stands at the end of a log."""
    text = "log line\n" + json.dumps(
        {"error": {"message": "quota", "code": 429}}, indent=2
    )

    found = final_message.structured(text)

    assert found is not None
    assert (found.text, found.details) == ("quota", "status 429")


def test_a_record_in_an_answer_is_no_stream() -> None:
    """Prose around it makes it a quotation."""
    assert final_message.structured('See:\n{"error": "x"}\nThat is all.\n') is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "error",
                    "message",
                    "status",
                    "is_error",
                    "result",
                    "code",
                    "data",
                    "x",
                ]
            ),
            children,
            max_size=4,
        )
    ),
)


@given(st.lists(JSON, max_size=4))
def test_no_record_breaks_the_reader(values: list[object]) -> None:
    """Any JSON under any of the keys."""
    text = "\n".join(map(json.dumps, values))

    final_message.structured(text)
    final_message.succeeded(text)


def test_deep_nesting_is_no_error() -> None:
    """A parser that gives up means: no record."""
    assert final_message.structured("[" * 60_000 + "{}" + "]" * 60_000) is None
    assert final_message.structured('{"a":' * 10_000 + "1" + "}" * 10_000) is None
