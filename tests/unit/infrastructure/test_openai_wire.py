"""Chat completions from bytes: cut anywhere, incomplete, and never a false success."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.outcome import FailureCause
from muster.infrastructure import openai_wire as wire
from muster.infrastructure.openai_wire import EventLines, ModelError, Reading


def chunk(text: str | None = None, reason: str | None = None, **more: Any) -> str:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return json.dumps({"choices": [choice], **more})


def read(*events: str) -> Reading:
    """A reading of these events."""
    reading = Reading()
    for each in events:
        wire.take_event(reading, each)
    return reading


@given(st.lists(st.text(min_size=1), max_size=5), st.data())
def test_events_may_be_cut_anywhere(texts: list[str], data: st.DataObject) -> None:
    """Also within a character, with either line end, and with comments between."""
    events = [*(chunk(each) for each in texts), "[DONE]"]
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    stream = "".join(f": ping{end}data: {each}{end}{end}" for each in events).encode()
    lines, found, at = EventLines(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream)))
        found += lines.feed(stream[at : at + size])
        at += size

    assert [*found, *lines.finish()] == events


def test_the_last_line_needs_no_end() -> None:
    """Some servers save it."""
    lines = EventLines()

    assert list(lines.feed(b"data: [DONE]")) == []
    assert list(lines.finish()) == ["[DONE]"]


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([chunk("a"), chunk("b"), chunk(reason="stop"), "[DONE]"], "ab"),
        ([chunk("a"), chunk(reason="stop")], "a"),
        ([chunk("a"), "[DONE]"], "a"),
        (['{"choices": []}', chunk("a", reason="stop")], "a"),
        (
            [
                json.dumps(
                    {"choices": [{"message": {"content": "a"}, "finish_reason": "x"}]}
                )
            ],
            "a",
        ),
    ],
)
def test_what_is_an_answer(events: list[str], text: str) -> None:
    """A text, and an end of it."""
    assert read(*events).completion().text == text


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ([], "network"),
        (["[DONE]"], "network"),
        ([chunk("a")], "network"),
        ([chunk(reason="stop"), "[DONE]"], "inference"),
        ([chunk("  \n", reason="stop")], "inference"),
        ([chunk("a", reason="content_filter")], "inference"),
        ([chunk("a"), '{"error": {"message": "boom"}}'], "server_error"),
        ([chunk("a"), '{"choices": [{"de'], "server_error"),
        (["[1]"], "server_error"),
        (["null"], "server_error"),
        (["<html>"], "network"),
        (["[" * 100_000], "server_error"),
    ],
)
def test_what_is_none(events: list[str], cause: str) -> None:
    """Whatever came before."""
    with pytest.raises(ModelError) as error:
        read(*events).completion()

    assert error.value.failure.cause is FailureCause(cause)


def test_a_cut_answer_says_so() -> None:
    """It is one all the same: somebody wanted it that short."""
    assert read(chunk("a", reason="length")).completion().cut


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "delta",
                        "content",
                        "usage",
                        "error",
                        "model",
                        "finish_reason",
                        "prompt_tokens",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_or_refused(document: Any) -> None:
    """No document breaks the reading."""
    reading = Reading()
    try:
        reading.take(document)
        reading.completion()
    except ModelError as error:
        assert error.failure.message  # noqa: PT017 - or it is an answer


def test_options_are_fields_of_the_request() -> None:
    """They win; usage is asked for in streams alone."""
    streamed = wire.body_of([], "m", {"temperature": 0.5})
    whole = wire.body_of([], "m", {"stream": False, "model": "other"})

    assert streamed["stream_options"] == {"include_usage": True}
    assert streamed["temperature"] == 0.5
    assert whole == {"model": "other", "messages": [], "stream": False}
