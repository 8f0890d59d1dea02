"""A run that failed is named by record, text or exit code, in that order."""

import json

import pytest

from muster.domain.classification import judge_exit
from muster.domain.outcome import FailureCause

RECORD = json.dumps({"type": "error", "message": "Invalid API key"}) + "\n"


@pytest.mark.parametrize(
    ("code", "cause", "says"),
    [
        (127, "tool_not_found", "not found"),
        (126, "tool_not_found", "can't be executed"),
        (-15, "killed", "SIGTERM from outside"),
        (143, "killed", "SIGTERM from outside inside a shell"),
        (-1, "killed", "SIGHUP"),
        (130, "killed", "SIGINT"),
        (-11, "crash", "SIGSEGV"),
        (139, "crash", "SIGSEGV"),
        (134, "crash", "SIGABRT"),
        (-6, "crash", "SIGABRT"),
        (-64, "crash", "signal 64"),
        (1, "crash", "exit code 1"),
        (173, "crash", "exit code 173"),
        (0, "inference", "without an answer"),
        (None, "unknown", "unknown way"),
    ],
)
def test_exit_codes_have_their_meaning(code: int | None, cause: str, says: str) -> None:
    """Where nothing was said, and with the last words kept."""
    failure = judge_exit(code, "", "")
    with_words = judge_exit(code, "last words here\n", "")

    assert failure.cause is FailureCause(cause)
    assert says in failure.message
    assert with_words.message.endswith(": last words here")


@pytest.mark.parametrize("code", [-9, 137])
@pytest.mark.parametrize(
    ("oom_killed", "cause"),
    [(None, "out_of_memory"), (True, "out_of_memory"), (False, "killed")],
)
def test_a_sigkill_is_the_kernel_s_unless_the_host_knows_better(
    code: int, cause: str, *, oom_killed: bool | None
) -> None:
    """Nobody else sends it unasked."""
    failure = judge_exit(code, "Error: 404 Not Found\n", "", oom_killed=oom_killed)

    assert failure.cause is FailureCause(cause)
    assert "SIGKILL" in failure.message


@pytest.mark.parametrize(
    ("code", "stderr", "stdout", "cause"),
    [
        # A record beats the traces of attempts that failed before.
        (1, "Error: 503 Service Unavailable\n", RECORD, "auth"),
        # Text-mode tools say it on stdout.
        (1, "", "Invalid API key · Fix external API key\n", "auth"),
        (1, "starting up\n", "Error: 429 Too Many Requests\n", "rate_limit"),
        # The last relevant message, not an early one.
        (1, "Error: Connection refused\nok now\nError: 401 Unauthorized\n", "", "auth"),
        (1, "Error: 401 Unauthorized\nChanges +0 -0\nDuration 6s\n", "", "auth"),
        (
            1,
            "warning: Model metadata for `m` not found. Defaulting to fallback\n",
            "",
            "crash",
        ),
        # Retries say why it waited.
        (
            1,
            "Error: model x not found\nRetrying in 5s: 429 Too Many Requests\n",
            "",
            "invalid_model",
        ),
        (1, "Retrying in 5s: 429 Too Many Requests\n", "", "rate_limit"),
        # A signal from outside tells more than what was said before.
        (-15, "Error: 429 Too Many Requests\n", "", "killed"),
        # A wrapper's own words for a missing program.
        (127, "sh: 1: nosuchcmd: not found\n", "", "tool_not_found"),
        (
            1,
            "Traceback (most recent call last):\n  File 'x', line 1\nMemoryError\n",
            "",
            "out_of_memory",
        ),
        (
            134,
            "FATAL ERROR: Reached heap limit Allocation failed\n",
            "",
            "out_of_memory",
        ),
        (1, "cp: error writing 'x': No space left on device\n", "", "disk_full"),
        (1, "--agent 'nope' not found. Available agents: a, b\n", "", "not_found"),
        (-9, "fatal: out of memory\n", "", "out_of_memory"),
    ],
)
def test_what_was_said_names_the_failure(
    code: int, stderr: str, stdout: str, cause: str
) -> None:
    """Structured record, then stderr, then stdout, then the code."""
    assert judge_exit(code, stderr, stdout).cause is FailureCause(cause)


def test_gemini_hides_a_status_in_its_code() -> None:
    """429 & 255, where nothing else was said; other tools mean nothing by it."""
    assert judge_exit(173, "", "", tool="gemini").cause is FailureCause.RATE_LIMIT
    assert judge_exit(173, "", "", tool="make").cause is FailureCause.CRASH
    assert judge_exit(41, "", "", tool="gemini").cause is FailureCause.AUTH


def test_messages_are_short() -> None:
    """A wall of text is cut."""
    assert len(judge_exit(1, "Error: 429 " + "x" * 100_000, "").message) <= 500
