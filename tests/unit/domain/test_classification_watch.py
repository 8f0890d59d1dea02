"""Live lines of stderr: suspected, confirmed by silence, dropped when output goes on."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import presets
from muster.domain.classification import LineWatch, judge_line
from muster.domain.errors import ConfigError
from muster.domain.outcome import FailureCause
from muster.domain.spawn_policy import TerminationPolicy
from tests.unit.domain import classification_corpus as corpus

LIMIT = "Error: 429 rate limit exceeded\n"
KEY = "Error: Invalid API key\n"


@pytest.mark.parametrize(
    ("tail", "cause", "confirm_after"),
    [
        (LIMIT, "rate_limit", 0.25),
        (KEY, "auth", 0.10),
        ("quota exceeded", "quota", 0.10),
        ("working\n" + LIMIT, "rate_limit", 0.25),
        (LIMIT + KEY, "auth", 0.10),
        # What belongs to the error does not drop it.
        (LIMIT + "\n\n", "rate_limit", 0.25),
        (
            LIMIT + "    at f (x.js:1:2)\n    at g (y.js:3:4) {\n  status: 429\n}\n",
            "rate_limit",
            0.25,
        ),
        (KEY + "Please run /login\n", "auth", 0.10),
        (KEY + "Error: giving up\n", "auth", 0.10),
        ("Calling:\n   Error: 429 slow down\n", "rate_limit", 0.25),
        ('{"level":"error","msg":"connection refused"}\n', "network", 0.25),
        # A retry of its own gets its time.
        ("got 429, retrying in 1s\n", "rate_limit", 1.25),
        (LIMIT + "Retrying in 5s\n", "rate_limit", 5.25),
        (LIMIT + "Attempt 2/5\n", "rate_limit", 30.25),
        ("Reconnecting... 2/5\n", "network", 30.25),
    ],
)
def test_an_error_at_the_end_is_suspect(
    tail: str, cause: str, confirm_after: float
) -> None:
    """With the silence that it takes to be sure."""
    suspicion = LineWatch().judge(tail, 0.2)

    assert suspicion is not None
    assert suspicion.failure.cause is FailureCause(cause)
    assert suspicion.confirm_after == pytest.approx(confirm_after)
    assert suspicion.is_confirmed is (confirm_after <= 0.2)


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "all is well\n",
        LIMIT + "going on\n",
        KEY + "logged in with another key\n" + "\n",
        "warning: connection refused\n",
        "2026-01-01T00:00:00Z ERROR codex_core::session: Connection refused\n",
        "WARN 429 Too Many Requests, switching to another model\n",
        '{"type":"system","subtype":"api_retry","error":"overloaded"}\n',
        # What an agent's own commands print ends nobody.
        "bash: foo: command not found\n",
        "cat: x: No such file or directory\n",
        "cat: x: Permission denied\n",
        "Segmentation fault\n",
    ],
)
def test_what_goes_on_or_warns_is_no_suspect(tail: str) -> None:
    """However alarming the lines before it."""
    assert LineWatch().judge(tail, 60.0) is None


def test_only_the_tail_is_judged() -> None:
    """What scrolled away can't be the last word, whatever follows it."""
    filler = "}\n" * presets.JUDGED_TAIL_BYTES

    assert LineWatch().judge(LIMIT + filler, 1.0) is None


def test_offsets_count_bytes_of_the_stream() -> None:
    """From its start, with what the host has let go."""
    suspicion = LineWatch().judge("é\n" + LIMIT, 1.0, offset=100)

    assert suspicion is not None
    assert suspicion.failure.evidence is not None
    assert suspicion.failure.evidence.offset == 103
    assert suspicion.failure.message == LIMIT.strip()


def test_one_override_sets_both_waits() -> None:
    """Announced retries come on top."""
    watch = LineWatch(TerminationPolicy(confirm_after=2.0))

    waits = [
        suspicion.confirm_after
        for tail in (LIMIT, KEY, "got 429, retrying in 1s\n")
        if (suspicion := watch.judge(tail, 0.0))
    ]

    assert waits == [2.0, 2.0, 3.0]


def test_a_policy_brings_patterns_and_predicates() -> None:
    """Beside the table, and named in the evidence."""
    policy = TerminationPolicy(
        patterns=[r"flux \w+ lost"],
        predicates=[lambda line: "no fuel" if "empty" in line else None],
    )
    watch = LineWatch(policy)

    by_pattern = watch.judge("the FLUX capacitor lost\n", 1.0)
    by_predicate = watch.judge("tank is empty\n", 1.0)

    assert by_pattern is not None
    assert by_pattern.failure.evidence is not None
    assert by_pattern.failure.evidence.pattern == r"flux \w+ lost"
    assert by_predicate is not None
    assert by_predicate.failure.message == "no fuel"
    assert watch.judge("all is well\n", 1.0) is None


def test_a_predicate_that_raises_is_no_verdict() -> None:
    """A host's mistake kills no agent, and the table goes on."""

    def broken(line: str) -> str | None:
        raise RuntimeError(line)

    watch = LineWatch(TerminationPolicy(predicates=[broken]))

    assert watch.judge("fine\n", 1.0) is None
    assert watch.judge(LIMIT, 1.0) is not None


def test_a_bad_pattern_is_named_at_once() -> None:
    """When the watch is built, not when the line comes."""
    with pytest.raises(ConfigError, match=r"\(unclosed"):
        LineWatch(TerminationPolicy(patterns=["(unclosed"]))


def test_detection_can_be_switched_off() -> None:
    """Then nothing is suspect."""
    assert LineWatch(TerminationPolicy(enabled=False)).judge(LIMIT, 9.0) is None


def test_healthy_streams_confirm_nothing() -> None:
    """Recorded successes, and healthy answers as if they stood on stderr."""
    watch = LineWatch()
    streams = [err for _, _, _, err in corpus.runs(healthy=True)]
    streams += [
        text[key]
        for text in corpus.texts("benign.jsonl")
        for key in ("stdout", "stderr")
    ]

    confirmed = [
        stream
        for stream in streams
        if (suspicion := watch.judge(stream, 1.0)) and suspicion.is_confirmed
    ]

    assert confirmed == []


def test_eight_kilobytes_are_judged_quickly() -> None:
    """The median of many looks; the bound is ten times what is needed."""
    watch = LineWatch()
    tail = ("step done, reading another file of the repository\n" * 200)[:8000] + LIMIT
    watch.judge(tail, 1.0)

    spans = []
    for _ in range(50):
        begin = time.perf_counter()
        watch.judge(tail, 1.0)
        spans.append(time.perf_counter() - begin)

    assert sorted(spans)[25] < 0.010


@given(st.text(max_size=400), st.floats(0, 100))
def test_no_tail_breaks_the_watch(tail: str, quiet_for: float) -> None:
    """Whatever a program writes."""
    LineWatch().judge(tail, quiet_for)


@given(st.lists(st.sampled_from([LIMIT, KEY, "\n", "  at x (y)\n", "}\n"]), max_size=6))
def test_an_ordinary_line_always_clears(lines: list[str]) -> None:
    """No order of errors outlives a sign of life."""
    assert LineWatch().judge("".join(lines) + "reading file two\n", 9.0) is None


def test_a_verdict_knows_its_kind() -> None:
    """Firm for what no patience cures."""
    key, limit = judge_line(KEY), judge_line(LIMIT)

    assert key is not None
    assert limit is not None
    assert (key.is_firm, limit.is_firm) == (True, False)
    assert (key.confirm_after, limit.confirm_after) == (0.10, 0.25)


@pytest.mark.parametrize(
    ("line", "belongs"),
    [
        ("See https://example.com/errors", True),
        ("Please run /login", True),
        ("Check your plan and billing details", True),
        ("Try again later", True),
        ("Checking the key", False),
        ("Reading src/main.py", False),
        ("Read src/main.py", False),
        ("Run 3 of 5", False),
        ("Trying the other key", False),
        ("Seeing no change", False),
    ],
)
def test_advice_belongs_to_the_error_and_deeds_do_not(
    line: str, *, belongs: bool
) -> None:
    """A program that does something lives."""
    assert (LineWatch().judge(f"{KEY}{line}\n", 1.0) is not None) is belongs
