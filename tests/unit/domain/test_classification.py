"""Texts, lines and whole runs get the right name, and healthy ones none."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.classification import classify_error, judge_exit, judge_line
from muster.domain.classification_line import folded
from muster.domain.classification_row import expression
from muster.domain.classification_table import TABLE
from muster.domain.outcome import FailureCause
from tests.unit.domain import classification_corpus as corpus

SEEDS = [
    ("Error: rate limit exceeded", "rate_limit"),
    ("rate limit", "rate_limit"),
    ("429 Too Many Requests", "rate_limit"),
    ("Error: 429 rate limit exceeded", "rate_limit"),
    ("[agent] 429: slow down", "rate_limit"),
    ("connection refused", "network"),
    ("curl: (7) Failed to connect to host port 443: Connection refused", "network"),
    ("Connection reset by peer", "network"),
    ("Connection error.", "network"),
    ("Error: read ECONNRESET", "network"),
    ("API error", "server_error"),
    ("API Error: 500 oops", "server_error"),
    ("Authentication failed", "auth"),
    ("ERROR: authentication failed for user", "auth"),
    ("model not available", "invalid_model"),
    ("Error: model gpt-9 is not available", "invalid_model"),
    ("quota exceeded", "quota"),
    ("Invalid API key", "auth"),
    ("Unauthorized", "auth"),
    ("HTTP 401 Unauthorized", "auth"),
    ("forbidden", "forbidden"),
    ("403 Forbidden", "forbidden"),
    ("2026-01-01T00:00:00Z ERROR rate limit exceeded", "rate_limit"),
]
TALK = """\
forbidden import checked: 0 found
forbidden words list loaded
forbidden: []
file.py:429: note
src/api_error.py:12: note
error_429.html
forbidden_words.txt
read 1500 records
400 passed in 3s
401 passed
line 4290
error at line 4290
CAPITAL LETTERS
capital errors
rate limiter initialized
rate limit: 100 requests/min
no rate limit hit
INFO rate limit remaining 4999
429 tests passed
got 429 results
loaded 429 rows
429 files changed
took 429 ms
step 429/500
port 4290
HTTP server listening on port 5000
HTTP 200 OK
connection errors: 0
connection reset counter: 0
handling connection refused gracefully
test connection_refused ... ok
Compiling connection-reset v0.1
0 unauthorized
unauthorized access tests: 12 passed
test_unauthorized.py passed
Unauthorized users: none
authentication failed attempts: 0
invalid API key test: ok
quota: 5 GB of 10 GB
checking quota exceeded handler
tests/test_quota_exceeded.py::test_x PASSED
api errors handled: 3
api error handling module loaded
model not available in cache, downloading
user 401 logged in
warning: connection refused, falling back to cache
I got a 429 earlier but it works now
enough memory tests: 4 passed
array buffer allocation tests passed
wrote docs/proxy-authentication.md
loaded 407 rows from tunnel.csv
syntax error highlighting enabled
checking yaml.scanner module
3: syntax errors: 0
reading premature_close_test.py
the organization has disabled users: none
billing to be enabled later, see docs
free usage exceeded counter: 0
key limit: 100
exited with code 0
took too long to process handling tests: ok
retry policy: exponential
model identifier list loaded
no endpoints found matching tests: 0 failed
Not logged in users are redirected to /login. Please run /login tests
""".splitlines()
NAMED = [
    # Specific before general.
    (
        "API Error: Server is temporarily limiting requests (not your usage limit)",
        "rate_limit",
    ),
    ("API Error (Connection error.) · (SELF_SIGNED_CERT_IN_CHAIN)", "invalid_request"),
    (
        "Error: error sending request: invalid peer certificate: UnknownIssuer",
        "invalid_request",
    ),
    ("429 You exceeded your current quota, please check your plan", "quota"),
    ("You exceeded your current quota. Please retry in 41s.", "rate_limit"),
    ("You have exhausted your daily quota. Please retry in 41s.", "quota"),
    ("429 Rate limit exceeded: free-models-per-day", "quota"),
    ('402 {"error":{"message":"You have no quota"}}', "quota"),
    ("Error: 400 Your credit balance is too low to access the API", "quota"),
    ("API Error: 429 token rejected, unauthorized tier", "rate_limit"),
    ("Error: 429 Too Many Requests: invalid API key for this tier", "rate_limit"),
    ("Error: 402 Payment Required: forbidden, please log in", "quota"),
    ("API Error: Can\u2019t reach the API server", "network"),
    ("You\u2019ve hit your limit · resets 4:50am (Europe/Rome)", "quota"),
    ("You've hit your usage limit. Try again in 3 hours 12 minutes.", "quota"),
    ("API Error: 504 Gateway Time-out", "server_error"),
    ("Error: 502 status code (no body)", "server_error"),
    ("API Error: 529 Overloaded", "overloaded"),
    ("Error: Request timed out.", "timeout"),
    ("prompt is too long: 210344 tokens > 200000 maximum", "context_length"),
    ("Error: Request too large (max 32MB)", "invalid_request"),
    ("Error: response blocked by content_filter", "forbidden"),
    ("Not logged in · Please run /login", "auth"),
    ("Missing environment variable: `MOCK_KEY`.", "invalid_request"),
    (
        "The model `m-1` does not exist or you do not have access to it.",
        "invalid_model",
    ),
    ("Model not found: a/b. Did you mean: a/c?", "invalid_model"),
    ("error: unknown option '--nope'", "invalid_request"),
    ("sh: 1: nosuchcmd: not found", "tool_not_found"),
    ("OSError: [Errno 28] No space left on device", "disk_full"),
    ("FATAL ERROR: JavaScript heap out of memory", "out_of_memory"),
    ("Error: spawn EMFILE", "out_of_memory"),
    ("Error: getaddrinfo ENOTFOUND api.example.com", "network"),
    ("database is locked", "overloaded"),
    ("permission requested: bash (touch x); auto-rejecting", "needs_approval"),
    (
        "Error: stdin input exceeds the maximum length of 1048576 characters",
        "invalid_request",
    ),
]


@pytest.mark.parametrize(("line", "cause"), SEEDS + NAMED)
def test_a_report_gets_its_cause(line: str, cause: str) -> None:
    """By the first row that fits."""
    failure = classify_error(line)

    assert failure is not None
    assert failure.cause is FailureCause(cause)
    assert failure.evidence is not None
    assert failure.evidence.pattern


@pytest.mark.parametrize("line", TALK)
def test_talk_is_no_report(line: str) -> None:
    """Neither as a text nor as a live line."""
    assert classify_error(line) is None
    assert judge_line(line) is None


def test_the_evidence_says_what_and_where() -> None:
    """The matched text, its stream, the byte at which its line begins, the row."""
    failure = classify_error("né\nError: 429 slow down\n", stream="stdout")

    assert failure is not None
    assert failure.evidence is not None
    assert failure.evidence.text == "Error: 429"
    assert failure.evidence.stream == "stdout"
    assert failure.evidence.offset == 4
    assert failure.evidence.pattern == "status_429"


@pytest.mark.parametrize(
    ("text", "retry_after", "resets_at"),
    [
        ("Error: 429, retry-after: 7", 7, None),
        ("Rate limit is exceeded, free in 11 seconds.", 11, None),
        ("Claude AI usage limit reached|1762952400", None, 1762952400),
        (
            "You have exhausted your capacity. Your quota will reset after 2h",
            7200,
            8200,
        ),
        ("Error: request timed out in 30 seconds", None, None),
    ],
)
def test_the_wait_is_kept(
    text: str, retry_after: float | None, resets_at: float | None
) -> None:
    """As the message words it."""
    failure = classify_error(text, now_epoch=1000.0)

    assert failure is not None
    assert (failure.retry_after, failure.resets_at) == (retry_after, resets_at)


def test_a_good_exit_speaks_for_the_output() -> None:
    """Plain stdout is an answer; on stderr only an error that nothing follows counts."""
    error = "Error: 429 Too Many Requests\n"

    assert classify_error(error, exit_code=0, stream="stdout") is None
    assert classify_error(error + "all done\n", exit_code=0) is None
    assert classify_error(error, exit_code=0) is not None
    assert classify_error(error + "Retrying in 1s\n" + "done\n", exit_code=0) is None


def test_a_bad_exit_is_always_a_failure() -> None:
    """Whatever the text says."""
    failure = classify_error("nothing of note", exit_code=3)

    assert failure is not None
    assert failure.cause is FailureCause.CRASH
    assert failure.message == "ended with exit code 3: nothing of note"


@pytest.mark.parametrize(
    "text", corpus.texts("benign.jsonl"), ids=lambda text: text["id"]
)
def test_healthy_answers_raise_no_alarm(text: dict[str, Any]) -> None:
    """However much they talk of errors, and in whichever stream."""
    assert classify_error(text["stdout"], exit_code=0, stream="stdout") is None
    assert classify_error(text["stderr"], exit_code=0) is None
    assert classify_error(text["stdout"]) is None


def test_texts_from_public_issues_get_their_category() -> None:
    """Except for at most one in twenty-five."""
    records = corpus.texts("wild.jsonl")

    wrong = [
        record["text"]
        for record in records
        for found in [classify_error(record["text"], stream=record["stream"])]
        if (found.category.value if found else "unknown") != record["expected_category"]
    ]

    assert len(wrong) <= len(records) // 25, wrong


def test_texts_of_other_origin_get_their_category() -> None:
    """As the final message of a failed run, each; as loose texts all but a few."""
    records = corpus.own_texts()

    final = [judge_exit(1, record["text"], "").category.value for record in records]
    loose = [classify_error(record["text"]) for record in records]

    acceptable = [record["acceptable_categories"] for record in records]
    assert [
        record["text"]
        for record, found in zip(records, final, strict=True)
        if found not in record["acceptable_categories"]
    ] == []
    missed = sum(
        (found.category.value if found else "unknown") not in accepted
        for found, accepted in zip(loose, acceptable, strict=True)
    )
    assert missed <= len(records) // 50


def test_recorded_runs_get_their_category() -> None:
    """At least 98 % of those that failed by themselves."""
    failed = corpus.runs(healthy=False)

    wrong = []
    for name, meta, out, err in failed:
        failure = judge_exit(meta["exit"], err, out, tool=meta["cli"])
        if failure.category.value not in meta["acceptable_categories"]:
            wrong.append(name)

    assert len(wrong) <= len(failed) * 0.02, wrong


def test_healthy_runs_raise_no_alarm() -> None:
    """Stdout and stderr of every recorded success."""
    alarms = [
        name
        for name, _, out, err in corpus.runs(healthy=True)
        if classify_error(out, exit_code=0, stream="stdout")
        or classify_error(err, exit_code=0)
    ]

    assert alarms == []


def test_every_row_is_tried_where_it_fits() -> None:
    """The words that a row needs are in every text that its expression finds."""
    lines = {folded(record["text"]) for record in corpus.texts("wild.jsonl")}
    lines |= {folded(text) for text, _ in SEEDS + NAMED}
    for _, _, out, err in corpus.runs(healthy=False):
        lines |= {folded(line) for line in (out + err).split("\n")}

    missed = {
        (row.name, found[0])
        for row in TABLE
        for line in lines
        for found in [expression(row).search(line)]
        if found and not any(word in line.lower() for word in row.needs)
    }

    assert missed == set()


def test_names_and_needs_of_rows_are_sound() -> None:
    """A name is used once, and needs are written as they are looked for."""
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert all(word == word.lower() for row in TABLE for word in row.needs)


@given(
    st.text(),
    st.text(),
    st.none() | st.integers(-70, 300),
    st.sampled_from(["stdout", "stderr"]),
)
def test_no_text_breaks_the_judges(
    text: str, other: str, code: int | None, stream: str
) -> None:
    """Any text, any exit code."""
    judge_line(text)
    classify_error(text, exit_code=code, stream=stream)
    assert judge_exit(code, text, other).message


@pytest.mark.parametrize(
    "unit",
    ["a", "4", " ", "\n", "'", "`", "{", "[", "a: ", "error 429 ", "quota ", "the rate limit ",
     "exceeded per day ", "hit your ", '{"a":', " x\n", "error\n", "}\n", "```\n", "\x1b[", "\r",
     "retry in 5s ", "2026-01-01 "],
)  # fmt: skip
def test_a_megabyte_of_anything_is_judged_in_bounded_time(unit: str) -> None:
    """Lines are cut and lines are counted before any expression sees them."""
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]

    begin = time.perf_counter()
    judge_line(text)
    classify_error(text)
    classify_error(text, exit_code=0)
    judge_exit(1, text, text)

    assert time.perf_counter() - begin < 5
