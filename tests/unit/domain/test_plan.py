"""A plan is checked as a whole when it is built."""

import copy
import pickle

import pytest

from muster.domain.errors import CyclicPlanError, PlanError
from muster.domain.plan import Plan, PlanDefaults, PlanTask
from muster.domain.suggestion import did_you_mean


def task(task_id, *depends, **fields):
    """A task with something to do."""
    return PlanTask(task_id, f"do {task_id}", depends=depends, **fields)


@pytest.mark.parametrize(
    ("tasks", "messages"),
    [
        ([task("a"), task("a", line=9)], ["duplicate task id 'a'"]),
        (
            [task("design"), task("tests", "desing")],
            [
                "unknown dependency 'desing' in task 'tests'; did you mean 'design'?",
            ],
        ),
        ([task("a", "zzz")], ["unknown dependency 'zzz' in task 'a'; there are a"]),
        ([task("a", "a")], ["task 'a' depends on itself"]),
        ([task("a", "b"), task("b", "c"), task("c", "a")], ["a -> b -> c -> a"]),
        (
            [task("a", "x1"), task("a"), task("b", "x2")],
            ["duplicate task id 'a'", "'x1' in task 'a'", "'x2' in task 'b'"],
        ),
    ],
)
def test_all_mistakes_are_one_error(tasks, messages):
    """The error says all of them, one by one and as a whole."""
    with pytest.raises(PlanError) as caught:
        Plan(tasks)

    assert len(caught.value.problems) == len(messages)
    for message, problem in zip(messages, caught.value.problems, strict=True):
        assert message in str(problem)
        assert message in str(caught.value)


def test_a_duplicate_names_both_lines():
    """Somebody has to find them."""
    with pytest.raises(PlanError, match=r"^9: duplicate .*line 4"):
        Plan([task("a", line=4), task("a", line=9)])


@pytest.mark.parametrize(
    ("tasks", "cycle"),
    [
        ([task("a", "a")], ("a", "a")),
        ([task("x", "a"), task("a", "b"), task("b", "a")], ("a", "b", "a")),
    ],
)
def test_a_cycle_is_named_by_its_path(tasks, cycle):
    """`cycle` is whole, survives pickling, and begins where it ends."""
    with pytest.raises(CyclicPlanError) as caught:
        Plan(tasks)

    assert caught.value.cycle == cycle
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (str(again), again.cycle) == (str(caught.value), cycle)
    assert copy.copy(caught.value).problems == caught.value.problems


def test_a_huge_cycle_has_a_short_message():
    """The path is complete in `cycle`, and readable in the text."""
    size = 100_000
    tasks = [task(str(i), str((i + 1) % size)) for i in range(size)]

    with pytest.raises(CyclicPlanError) as caught:
        Plan(tasks)

    assert len(caught.value.cycle) == size + 1
    assert len(str(caught.value)) < 300


def test_thousands_of_mistakes_are_found_in_bounded_time():
    """Suggestions are dear, so that only some get one."""
    tasks = [task(f"task-{i}", f"tusk-{i}") for i in range(3_000)]

    with pytest.raises(PlanError, match="3000 problems"):
        Plan(tasks)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": 3, "prompt": "x"}, "quote it"),
        ({"id": " ", "prompt": "x"}, "must be text"),
        ({"id": "a\nb", "prompt": "x"}, "control character"),
        ({"id": "a", "prompt": None}, "must be text"),
        ({"id": "a", "prompt": "x", "timeout": 0}, "above 0"),
        ({"id": "a", "prompt": "x", "timeout": True}, "above 0"),
        ({"id": "a", "prompt": "x", "timeout": float("nan")}, "above 0"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(fields, message):
    """Hosts get the same error as files."""
    with pytest.raises(PlanError, match=message):
        PlanTask(**fields)


@pytest.mark.parametrize(
    ("written", "agent", "effective"),
    [(None, None, "dana"), ("@self", None, None), ("eve", "eve", "eve")],
)
def test_defaults_fill_what_a_task_leaves_open(written, agent, effective):
    """`@self` is an answer, and no gap to be filled."""
    plan = Plan([task("a", agent=written)], {"agent": "dana", "timeout": 5.0})
    found = plan.effective(plan.task("a"))

    assert plan.tasks[0].agent == agent
    assert (found.agent, found.timeout, found.id) == (effective, 5.0, "a")
    assert plan.effective(found) == found


def test_unknown_defaults_are_an_error():
    """A slip in a host's dict is no silent default."""
    with pytest.raises(PlanError, match="toool"):
        Plan([], {"toool": "x"})
    assert Plan([], None).defaults == PlanDefaults()


def test_a_plan_answers_questions():
    """Waves by id; a single task by id; the same task without a plan."""
    plan = Plan([task("a"), task("b", "a", tool="lint", done=True)])

    assert plan.waves() == [["a"], ["b"]]
    spawn = plan.task("b").to_spawn_task()
    assert (spawn.task_id, spawn.depends, spawn.tool) == ("b", ("a",), "lint")
    assert PlanTask("x", "\nfirst\nsecond").title == "first"
    with pytest.raises(PlanError, match="did you mean 'a'"):
        plan.task("A")


@pytest.mark.parametrize(
    ("word", "known", "tail"),
    [
        ("desing", ["design"], "; did you mean 'design'?"),
        ("TOOL", ["tool"], "; did you mean 'tool'?"),
        ("zzz", ["a", "b"], "; there are a, b"),
        ("zzz", [], ""),
        ("x" * 5_000, ["x" * 5_000], ""),
        ("a", [f"b{i}" for i in range(5_000)], ""),
    ],
)
def test_suggestions_are_near_or_few_or_none(word, known, tail):
    """A huge file must not buy minutes of comparing words."""
    assert did_you_mean(word, known).startswith(tail)
    if not tail:
        assert did_you_mean(word, known) in (
            "",
            f"; there are {known[0]}" if known else "",
        )
