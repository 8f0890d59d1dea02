"""A host's judgement of a text: transcripts of structured tools name no tool."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster import classify_error
from muster.domain.outcome import Failure
from muster.infrastructure.adapters.local_process.stream_formats.recognition import (
    recognised,
)
from tests.unit.infrastructure.stream_formats import recorded

NOW = 1_760_000_000.0
# Killed while others said why it had to end; no stream tells of that.
UNTOLD = {"life-sigterm-kill-tool"}
CODEX_START = '{"type":"thread.started","thread_id":"t-1"}\n{"type":"turn.started"}\n'
CODEX_LIMIT = (
    '{"type":"turn.failed","error":{"message":"You\'ve hit your usage limit. '
    'Try again in 2 hours 10 minutes."}}\n'
)
QUOTED = (
    'The last record was:\n{"type":"turn.failed","error":{"message":"429"}}\nFixed.'
)


def judged(text: str, exit_code: int | None) -> Failure | None:
    """As a host that has the text and the exit code asks."""
    return classify_error(text, exit_code=exit_code, stream="stdout", now_epoch=NOW)


@pytest.mark.parametrize("tool", recorded.OUTPUTS)
def test_transcripts_are_told_apart_and_named(tool: str) -> None:
    """Every recorded stream, by its stdout and exit code alone."""
    wrong, read = [], 0
    for run in recorded.runs(tool):
        text = run.stdout.decode(errors="replace")
        if recognised(text) is None:
            continue
        read += 1
        failure = judged(text, run.meta["exit"])
        is_named = recorded.category(failure) in run.meta["acceptable_categories"]
        is_right = (failure is None) is run.meta["is_success"]
        if not is_right or not (failure is None or is_named or run.name in UNTOLD):
            wrong.append((run.name, failure))

    assert read > 5
    assert wrong == []


@pytest.mark.parametrize("tool", recorded.OUTPUTS)
def test_transcripts_are_recognised_for_what_they_are(tool: str) -> None:
    """Never as another tool's, and every one that ended by itself with a record."""
    for run in recorded.runs(tool):
        found = recognised(run.stdout.decode(errors="replace"))

        assert found in (None, recorded.OUTPUTS[tool]), run.name
        assert found or b'{"' not in run.stdout, run.name


@pytest.mark.parametrize(
    ("text", "exit_code", "cause"),
    [
        (CODEX_START, 0, "inference"),
        (CODEX_START + CODEX_LIMIT, 0, "quota"),
        (CODEX_START + CODEX_LIMIT, 1, "quota"),
        ("WARN: old config\n" + CODEX_START + CODEX_LIMIT, 1, "quota"),
        (CODEX_START, 137, "out_of_memory"),
        (CODEX_START + '{"type":"turn.fai', 0, "inference"),
        (QUOTED, 0, None),
        (CODEX_START.replace("thread.started", "x") + "done", 0, None),
        (json.dumps({"type": "message", "timestamp": 1}), 0, None),
        ("", 0, None),
    ],
)
def test_what_a_stream_came_to(text: str, exit_code: int, cause: str | None) -> None:
    """A good exit without a good end is a failure; a record in an answer is none."""
    failure = judged(text, exit_code)

    assert (failure and failure.cause.value) == cause


def test_a_limit_in_a_stream_is_dated() -> None:
    """From the words of its record."""
    failure = judged(CODEX_START + CODEX_LIMIT, 1)

    assert failure is not None
    assert failure.resets_at == NOW + 2 * 3600 + 10 * 60


@given(st.data())
def test_no_cut_or_mixed_transcript_surprises(data: st.DataObject) -> None:
    """Whatever is missing: an answer or a failure, never an exception."""
    tool = data.draw(st.sampled_from(list(recorded.OUTPUTS)))
    lines = recorded.runs(tool)[0].stdout.decode(errors="replace").splitlines()
    kept = data.draw(st.lists(st.sampled_from(lines or [""]), max_size=8))
    noise = data.draw(st.text(max_size=30))
    cut = data.draw(st.integers(0, 200))
    text = "\n".join([noise, *kept])[cut:]

    classify_error(text, exit_code=data.draw(st.sampled_from([None, 0, 1, -9])))
