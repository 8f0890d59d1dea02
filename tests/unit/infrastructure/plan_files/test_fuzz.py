"""Whatever the text: a plan or a `PlanError`, and soon."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muster.domain.errors import PlanError
from muster.infrastructure.plan_files import FORMATS, parse
from tests.unit.infrastructure.plan_files.test_formats import SAMPLES
from tests.unit.infrastructure.plan_files.test_markdown import SAMPLE

ALL = {**SAMPLES, "markdown": SAMPLE}
PIECES = (
    "- [ ] ", "[x]", "  ", "\n", "1.1", "T001", "Depends: ", "(depends on ", ")",
    "```", "<!--", "-->", "[[task]]", "id", "=", ":", '"', "'", '"""', "{", "}",
    "[", "]", ",", "&a ", "*a", "!!python/name:os.system", "no", "010", "\t", "\0",
    "\ufeff", "é", "\\", "#", "%", "---", "?", "|", ">", "@self", "prompt", "tasks",
    "9" * 5_000, "1e999", "nan", "-1", ".", "~", "\x85", "\u2028", "\x1b[2J",
)  # fmt: skip


@st.composite
def mutations(draw, text):
    """A valid plan with pieces cut out, doubled and put in."""
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=5))
        doubled = text[start:end] * draw(st.integers(0, 2))
        text = text[:start] + doubled + piece + text[end:]
    return text


def outcome_of(text, syntax):
    """The plan or the error; anything else fails the test."""
    try:
        return parse(text, name="fuzz", syntax=syntax, policies=()), None
    except PlanError as exc:
        return None, exc


def check(text, syntax):
    """Either it is a plan, whose every task can be run, or it is a clear error."""
    plan, error = outcome_of(text, syntax)
    if plan is None:
        assert error
        assert error.problems
        assert str(error).startswith("fuzz")
        return
    assert sum(len(wave) for wave in plan.waves()) == len(plan.tasks)
    for task in plan.tasks:
        plan.effective(task).to_spawn_task()


@pytest.mark.parametrize("syntax", FORMATS)
def test_mutated_plans(syntax):
    """Near misses reach deeper than noise does."""

    @settings(max_examples=500, deadline=2_000, suppress_health_check=list(HealthCheck))
    @given(mutations(ALL[syntax]))
    def run(text):
        check(text, syntax)

    run()


@pytest.mark.parametrize("syntax", [*FORMATS, None])
def test_noise(syntax):
    """Heaps of pieces, and any text at all."""

    @settings(max_examples=200, deadline=2_000, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text())
    def run(text):
        check(text, syntax)

    run()


@pytest.mark.parametrize("syntax", FORMATS)
@pytest.mark.parametrize(
    "piece",
    ["[", "{", "- [ ] ", "(depends on 1)", "a.", '"', "'''", "&a [", "*a ", "? ", "- ",
     "a: ", "\\", "  - Depends: 1\n", "- [ ] 1. x\n", "[[task]]\n", "\t", "[P] ", "**",
     '{"a":', "x = {", "```\n", "<!--", "0x", "1:", "- - "],
)  # fmt: skip
def test_a_megabyte_of_anything_ends_soon(piece, syntax):
    """No construct is quadratic: the time limit of the test run would tell."""
    text = "- [ ] 1. x\n" if syntax == "markdown" else ""
    check(text + piece * (300_000 // len(piece)), syntax)
