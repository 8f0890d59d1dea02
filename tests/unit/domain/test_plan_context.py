"""What a dependent task is told, within bounds."""

from typing import Any

import pytest

from muster.domain import presets
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.domain.plan_context import bounded, placed, prompt_with_context

LIMIT = presets.CONTEXT_BYTES


def good(output: str, **options: Any) -> SpawnResult:
    """A success."""
    return SpawnResult(success=True, output=output, **options)


def bad(message: str, output: str = "") -> SpawnResult:
    """A failure."""
    return SpawnResult(
        success=False, output=output, failure=Failure(FailureCause.CRASH, message)
    )


@pytest.mark.parametrize(
    ("prompt", "depends", "results", "expected"),
    [
        ("go", "", {}, "go"),
        ("go", "a", {}, "go"),
        ("go", "", {"a": good("x")}, "go"),
        (
            "go",
            "a",
            {"a": good("x")},
            "Previous context (1/1 dependencies):\n✓ [a]: x\n\ngo",
        ),
        (
            "go",
            "aab",
            {"a": good("x"), "b": good("y"), "c": good("z")},
            "Previous context (2/2 dependencies):\n✓ [a]: x\n✓ [b]: y\n\ngo",
        ),
        (
            "go",
            "ba",
            {"a": good("x"), "b": bad("boom", "half")},
            (
                "Previous context (1/2 dependencies):\n"
                "✗ [b]: FAILED - boom\n✓ [a]: x\n"
                "WARNING: 1/2 dependencies failed. Proceed with available context.\n\ngo"
            ),
        ),
        ("see {{task.a.output}}!", "a", {"a": good("x")}, "see x!"),
        ("see {{ task.a.output }}!", "ab", {"a": good("x")}, "see x!"),
        ("{{task.a.output}}{{task.a.output}}", "a", {"a": good("x")}, "xx"),
        ("{{task.a.output}}", "a", {}, ""),
        (
            "{{task.a.output}}.",
            "a",
            {"a": bad("boom", "half")},
            (
                "Previous context (0/1 dependencies):\n✗ [a]: FAILED - boom\n"
                "WARNING: 1/1 dependencies failed. Proceed with available context.\n\n"
                "half."
            ),
        ),
        (
            "{{task.a.output}}",
            "a",
            {"a": good("{{task.b.output}}"), "b": good("y")},
            "{{task.b.output}}",
        ),
        ("{{task.a.error}} {task.a.output}", "", {"a": good("x")}, None),
    ],
)
def test_prompts(
    prompt: str, depends: str, results: dict[str, SpawnResult], expected: str | None
) -> None:
    """Context before the prompt, places filled once, outputs never read as places."""
    made = prompt_with_context(prompt, tuple(depends), results)

    assert made == (prompt if expected is None else expected)


@pytest.mark.parametrize(
    ("prompt", "ids"),
    [
        ("", set()),
        ("{{task.a.output}} {{task.b.output}}", {"a", "b"}),
        ("{{ task.with space.and.dots.output }}", {"with space.and.dots"}),
        ("{{task..output}} {{task.a}} {{a.output}}", set()),
        ("{{task.a\n.output}}", set()),
    ],
)
def test_places(prompt: str, ids: set[str]) -> None:
    """What stands in a prompt as a place."""
    assert placed(prompt) == ids


@pytest.mark.parametrize("letter", ["x", "é", "漢", "\U0001f680", "\ud800"])
@pytest.mark.parametrize("size", [LIMIT // 4, LIMIT, 3 * LIMIT])
def test_bounds(letter: str, size: int) -> None:
    """Head and tail within the limit and a line, on whole characters, with the path."""
    text = letter * size
    told = bounded(text, "/run/output/a.out")

    if len(text.encode("utf-8", "surrogatepass")) <= LIMIT:
        assert told == text
    else:
        head, note, tail = told.split("\n")
        assert len((head + tail).encode("utf-8", "surrogatepass")) <= LIMIT
        assert set(head + tail) <= {letter}
        assert "the whole is in /run/output/a.out" in note
        assert "the whole" not in bounded(text)


def test_a_big_output_says_where_the_whole_is() -> None:
    """In the context and at its place; a long error is cut as well."""
    results = {
        "a": good("x" * 3 * LIMIT, output_path="/out"),
        "b": bad("y" * 3 * LIMIT),
    }

    assert "the whole is in /out" in prompt_with_context("go", ("a",), results)
    assert "/out" in prompt_with_context("{{task.a.output}}", (), results)
    assert len(prompt_with_context("go", ("b",), results)) < 2 * LIMIT
