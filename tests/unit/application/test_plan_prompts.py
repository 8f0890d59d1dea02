"""What tasks of a plan are told of each other, and what can't be told or asked."""

from typing import Any

import pytest

from muster.domain.errors import PlanError
from muster.domain.plan import Plan, PlanTask
from muster.domain.run_report import RunStatus
from muster.testing import (
    fails,
    in_virtual_time,
    replies,
)
from tests.unit.application.crew import Crew
from tests.unit.application.plans import DIAMOND, ONCE, fates, plan, prompts, started


@in_virtual_time
async def test_what_a_dependent_is_told() -> None:
    """Outputs of all dependencies, the failed ones named, in the order written."""
    crew = Crew()
    crew.stub.on("b", fails("crash", "no luck"))
    crew.stub.on("c", replies("C's answer"))

    await crew.fleet.run_plan(plan(DIAMOND), on_dependency_failure="continue", **ONCE)

    assert prompts(crew)["d"] == (
        "Previous context (1/2 dependencies):\n"
        "✗ [b]: FAILED - no luck\n"
        "✓ [c]: C's answer\n"
        "WARNING: 1/2 dependencies failed. Proceed with available context.\n"
        "\n"
        "do d"
    )


@pytest.mark.parametrize(
    ("options", "tasks"),
    [
        ({"only": ["b", "c"]}, {}),
        ({}, {"a": {"done": True}}),
    ],
)
@in_virtual_time
async def test_who_is_not_run_has_not_failed(
    options: dict[str, Any], tasks: dict[str, dict[str, Any]]
) -> None:
    """Ticked off or not asked for: no warning, an empty place, no result."""
    crew = Crew()
    place = {"prompt": "see {{task.a.output}}!"}
    made = plan({"a": "", "b": "a", "c": "a"}, c=place, **tasks)

    report = await crew.fleet.run_plan(made, **options)

    assert prompts(crew) == {"b": "do b", "c": "see !"}
    assert fates(report) == {"b": None, "c": None}
    assert (report.summary["skipped"], report.status) == (1, RunStatus.SUCCEEDED)


@pytest.mark.parametrize(
    ("prompt", "depends", "words"),
    [
        ("{{task.a.output}}", "", "does not wait for it"),
        ("{{task.z.output}}", "a", "does not wait for it"),
        ("{{task.b.output}}", "a", "no task 'b'; did you mean"),
        ("{{task.nobody.output}}", "a", "no task 'nobody'"),
    ],
)
@in_virtual_time
async def test_a_place_that_can_have_no_output(
    prompt: str, depends: str, words: str
) -> None:
    """Whether it would be there is no matter of luck: an error before anything starts."""
    crew = Crew()
    made = Plan(
        (
            PlanTask("a", "x"),
            PlanTask("bb", "x"),
            PlanTask("z", prompt, depends=tuple(depends)),
        )
    )

    with pytest.raises(PlanError, match=words):
        await crew.fleet.run_plan(made)

    assert crew.stub.call_count == 0


@in_virtual_time
async def test_a_place_may_look_back_further() -> None:
    """Whoever ended before a dependency did has an output, too."""
    crew = Crew()
    crew.stub.on("a", replies("first"))
    made = plan({"a": "", "b": "a", "c": "b"}, c={"prompt": "{{ task.a.output }}."})

    await crew.fleet.run_plan(made)

    assert prompts(crew)["c"].endswith("\n\nfirst.")


# --- what is wrong from the start ---------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"agent": "-rf"}, "task 'b': agent"), ({"model": "\x1b[2J"}, "task 'b': model")],
)
@in_virtual_time
async def test_a_task_that_can_t_be_asked(wrong: dict[str, Any], words: str) -> None:
    """One error before anything starts, not a task that vanishes in the middle."""
    crew = Crew()

    with pytest.raises(PlanError, match=words):
        await crew.fleet.run_plan(plan({"a": "", "b": "a"}, b=wrong))

    assert crew.stub.call_count == 0


@pytest.mark.parametrize("only", ["c", ["c"], {"a", "c"}])
@in_virtual_time
async def test_an_unknown_choice(only: Any) -> None:
    """A typo runs nothing and says so."""
    crew = Crew()

    with pytest.raises(PlanError, match="no task 'c'"):
        await crew.fleet.run_plan(plan({"a": "", "b": ""}), only=only)


@in_virtual_time
async def test_a_lone_choice_is_no_list_of_letters() -> None:
    """``only="ab"`` is one task."""
    crew = Crew()
    made = Plan((PlanTask("ab", "x", agent="ab"), PlanTask("a", "x", agent="a")))

    report = await crew.fleet.run_plan(made, only="ab")

    assert list(report.results) == started(crew) == ["ab"]


@in_virtual_time
async def test_an_empty_plan_is_done() -> None:
    """It has no results and has succeeded."""
    report = await Crew().fleet.run_plan(Plan(()), waves=True)

    assert (report.results, report.status) == ({}, RunStatus.SUCCEEDED)


@in_virtual_time
async def test_a_literal_prompt_is_left_alone() -> None:
    """It gets no context, and its places are text."""
    crew = Crew()
    literal = {"prompt": "{{task.a.output}}", "literal": True}

    await crew.fleet.run_plan(plan({"a": "", "b": "a"}, b=literal))

    assert prompts(crew)["b"] == "{{task.a.output}}"
