"""Programs with plain text: the exit code, and the rules of tools that misuse it."""

import json
from pathlib import Path
from typing import Any

import pytest

from muster.domain.events import AgentEnded
from muster.domain.outcome import FailureCause
from muster.domain.program_end import judge_program
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.tool_specs import built_in

CORPUS = Path(__file__).parents[2] / "data" / "corpus"
BANNER = "Aider v0.86.2\nModel: m with whole edit format\n\n"
RULES = ToolSpec(
    "t", ("t",), success_pattern="^done$", failure_patterns=("^Oops: .*", "^Exit: bad")
)


def ended(output: str = "", code: int = 0, **fields: Any) -> AgentEnded:
    """An end."""
    return AgentEnded(exit_code=code, output=output, **fields)


def recorded(tool: str) -> list[tuple[str, dict[str, Any], AgentEnded]]:
    """The runs of a tool in text mode that ended by themselves."""
    found = []
    for path in sorted((CORPUS / tool).glob("*.text.meta.json")):
        meta = json.loads(path.read_text())
        if not meta["timed_out"]:
            base = str(path).removesuffix(".meta.json")
            out, err = (
                Path(base + end).read_bytes().decode(errors="replace")
                for end in (".stdout", ".stderr")
            )
            found.append((path.name, meta, ended(out, meta["exit"], stderr=err)))
    return found


@pytest.mark.parametrize("tool", ["aider", "llm", "mini", "amp"])
def test_recorded_runs_are_judged_right(tool: str) -> None:
    """Success or failure, and an acceptable category."""
    spec = built_in(tool)
    wrong = []
    for name, meta, end in recorded(tool):
        failure = judge_program(end, spec)
        category = failure.category.value if failure else "none"
        is_right = (failure is None) == meta["is_success"]
        if not is_right or category not in meta["acceptable_categories"]:
            wrong.append((name, category))

    assert recorded(tool)
    assert wrong == []


@pytest.mark.parametrize(
    "answer",
    [
        "In litellm.RateLimitError the text says: try later.",
        "Fixed: it printed 'Empty response received from LLM'.",
        "- litellm.APIError: handled\n",
        "litellm.RateLimitError: this is how such an error begins",
        "Your model has hit a token limit! That is what the log says.",
    ],
)
def test_an_answer_of_aider_may_talk_of_errors(answer: str) -> None:
    """What stands before the count of its tokens is the answer."""
    output = f"{BANNER}{answer}\nTokens: 1.2k sent, 3.4k cache hit, 40 received.\n"

    assert judge_program(ended(output), built_in("aider")) is None
    assert (
        judge_program(ended(output + "Applied edit to x.py\n"), built_in("aider"))
        is None
    )


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (
            "Tokens: 9 sent, 4 received.\n\nlitellm.RateLimitError: slow down",
            "rate_limit",
        ),
        ("litellm.AuthenticationError: OpenAIException - Incorrect API key", "auth"),
        ("Tokens: 9 sent, 0 received.\n", "inference"),
        ("", "inference"),
    ],
)
def test_an_aider_without_an_answer_has_failed(output: str, cause: str) -> None:
    """Though it exits with 0."""
    failure = judge_program(ended(output), built_in("aider"))

    assert failure is not None
    assert failure.cause is FailureCause(cause)


def test_a_retry_that_helped_is_forgotten() -> None:
    """The answer came later."""
    output = "litellm.APIError: x\nRetrying in 1.0 seconds...\nhi\nTokens: 9 sent, 1 received."

    assert judge_program(ended(output), built_in("aider")) is None


@pytest.mark.parametrize(
    ("output", "failed"),
    [
        ("done", False),
        ("Oops: x\ndone", False),
        ("done\nOops: x\ndone", False),
        ("done\nOops: x", True),
        ("done\nExit: bad", True),
        ("not done", True),
        ("done\n so Oops: x", False),
    ],
)
def test_rules(output: str, failed: bool) -> None:  # noqa: FBT001 -- a row of a table
    """A success is proven, and what stands behind its proof disproves it."""
    assert (judge_program(ended(output), RULES) is not None) is failed


def test_a_complaint_is_named_and_placed() -> None:
    """By the table of failure texts, else by its own line; from the stream's start."""
    known = judge_program(ended("é done?\ndone\nOops: 429 Too Many Requests"), RULES)
    own = judge_program(ended("done\nOops: it rained\nmore"), RULES)

    assert known is not None
    assert known.evidence is not None
    assert (known.cause.value, known.evidence.offset) == ("rate_limit", 14)
    assert own is not None
    assert (own.cause.value, own.message) == ("inference", "Oops: it rained")


def test_a_program_without_rules_succeeds_by_its_exit_code() -> None:
    """Whatever it prints, or doesn't, unless an answer is required."""
    error = "Error: 429 Too Many Requests"

    assert judge_program(ended(error), ToolSpec("t", ("t",))) is None
    assert judge_program(ended(""), None) is None
    assert judge_program(ended(" "), ToolSpec("t", ("t",), requires_output=True))
    assert judge_program(ended(error, 1), None) is not None


@pytest.mark.parametrize(
    ("truncated", "offset"), [(False, 20_001), (True, None)]
)  # fmt: skip
def test_evidence_counts_from_the_start_of_the_stream(
    truncated: bool,  # noqa: FBT001 -- a row of a table
    offset: int | None,
) -> None:
    """Though only its tail is judged; unknown where the middle is gone."""
    stderr = "é" * 10_000 + "\nError: 401 Unauthorized\n"

    failure = judge_program(ended("", 1, stderr=stderr, truncated=truncated), None)

    assert failure is not None
    assert failure.evidence is not None
    assert failure.evidence.offset == offset
