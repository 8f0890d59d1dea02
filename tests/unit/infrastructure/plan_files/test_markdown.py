"""Markdown task lists, as people and agents write them."""

import pytest

from muster.domain.budget import BudgetLimits
from muster.domain.errors import PlanError
from muster.infrastructure.plan_files import parse

SAMPLE = """\
# A change
- [ ] 1. Describe the change
  - Agent: @planner
- [ ] 1.1 Write the tests
  more text of the same task
  - Depends: 1
  - Model: opus
  - Tool: claude
  - Timeout: 300
- [x] 2. Already done: skipped
"""


def only(text):
    """The single task of a text."""
    (task,) = parse(text).tasks
    return task


def test_the_sample_of_the_product_page():
    """Ids, states, fields and text come apart as promised."""
    first, second, third = parse(SAMPLE).tasks

    assert (first.id, first.prompt, first.agent) == (
        "1",
        "Describe the change",
        "planner",
    )
    assert second.prompt == "Write the tests\nmore text of the same task"
    assert (second.depends, second.model, second.tool) == (("1",), "opus", "claude")
    assert (second.timeout, second.done, second.line) == (300.0, False, 4)
    assert (third.id, third.done, third.prompt) == ("2", True, "Already done: skipped")


@pytest.mark.parametrize(
    ("line", "task_id", "prompt", "done"),
    [
        ("- [ ] 1. x", "1", "x", False),
        ("- [ ] 1 x", "1", "x", False),
        ("- [ ] 1) x", "1", "x", False),
        ("* [x] 1.2.3.4.5 x", "1.2.3.4.5", "x", True),
        ("+ [X] 1.2. x", "1.2", "x", True),
        ("      - [ ] 3. x", "3", "x", False),
        ("\t- [~] 3. x", "3", "x", False),
        ("- [-] 3. x", "3", "x", False),
        ("- [] 3. x", "3", "x", False),
        ("- [ ] T001 x", "T001", "x", False),
        ("- [ ] T001: x", "T001", "x", False),
        ("- [ ] **T001** x", "T001", "x", False),
        ("- [ ] **2.** x", "2", "x", False),
        ("7. [ ] x", "7", "x", False),
        ("- [ ] T012 [P] [US1] x in src/a.py", "T012", "[US1] x in src/a.py", False),
        ("- [ ] 4. 3 apples", "4", "3 apples", False),
        ("- [ ] just a to-do", "1", "just a to-do", False),
        ("- [ ] 2024-01-01 is a date", "1", "2024-01-01 is a date", False),
        ("- [ ] 1. ünï 漢字 🎉", "1", "ünï 漢字 🎉", False),
    ],
)
def test_first_lines(line, task_id, prompt, done):
    """Every way to write a task line."""
    task = only(line)

    assert (task.id, task.prompt, task.done) == (task_id, prompt, done)


@pytest.mark.parametrize(
    ("bullet", "field", "value"),
    [
        ("- Agent: planner", "agent", "planner"),
        ("- agent: @planner", "agent", "planner"),
        ("* **Agent**: @planner", "agent", "planner"),
        ("+ **Agent:** `planner`", "agent", "planner"),
        ("- AGENT : @self", "agent", None),
        ("- Agent: @Self", "agent", None),
        ("- Model: openai/gpt-5", "model", "openai/gpt-5"),
        ("- Tool: ./run me.sh", "tool", "./run me.sh"),
        ("- Timeout: 1.5", "timeout", 1.5),
        ("- Timeout: 5m", "timeout", 300.0),
        ("- Limits: budget_usd $0.5", "limits", BudgetLimits(usd=0.5)),
        (
            "- Limits: agents 2, tokens: 900; minutes=1.5",
            "limits",
            BudgetLimits(2, 1.5, 900),
        ),
        ("- Policy: patient", "policy", "patient"),
        ("- Cwd: sub dir/x", "cwd", "sub dir/x"),
        ("- Depends: none", "depends", ()),
        ("- Depends on: 2, 3", "depends", ("2", "3")),
        ("- depends: [2, 3]", "depends", ("2", "3")),
        ("- Depends: #2 and 3.", "depends", ("2", "3")),
    ],
)
def test_fields(bullet, field, value):
    """Names in any case, values with the marks that Markdown puts around them."""
    task = parse(f"- [ ] 1. x\n  {bullet}\n- [ ] 2. y\n- [ ] 3. z").tasks[0]

    assert getattr(task, field) == value
    assert task.prompt == "x"


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("exit_code 3", "exit_code", 3),
        ("Exit_Code: 0", "exit_code", 0),
        ("file = tests/test_x.py", "file", "tests/test_x.py"),
        ('{ file = "a b.txt" }', "file", "a b.txt"),
        ("regex ^ok: \\d+$", "regex", "^ok: \\d+$"),
        ("command pytest -q 'a b'", "command", ("pytest", "-q", "a b")),
    ],
)
def test_expectations(text, field, value):
    """One expectation a bullet."""
    expect = only(f"- [ ] 1. x\n  - Expect: {text}").expect

    assert getattr(expect, field) == value


def test_several_expectations_add_up():
    """All of them must hold."""
    expect = only("- [ ] 1. x\n  - Expect: exit_code 1\n  - Expect: file f").expect

    assert (expect.exit_code, expect.file) == (1, "f")


@pytest.mark.parametrize(
    ("title", "depends", "prompt"),
    [
        ("T003 Do it (depends on T001, T002)", ("T001", "T002"), "Do it"),
        ("T003 Do (Depends on: T001) it", ("T001",), "Do it"),
        ("T003 Wait (depends on the weather)", (), "Wait (depends on the weather)"),
    ],
)
def test_dependencies_in_the_title(title, depends, prompt):
    """Ids are read, and talk about dependencies is not."""
    task = parse(f"- [ ] T001 a\n- [ ] T002 b\n- [ ] {title}").tasks[-1]

    assert (task.depends, task.prompt) == (depends, prompt)


@pytest.mark.parametrize(
    ("below", "prompt"),
    [
        ("  second line", "x\nsecond line"),
        ("lazy line", "x\nlazy line"),
        ("  - Note: see Agent: bob", "x\n- Note: see Agent: bob"),
        ("  - plain\n    - Tool: hammer", "x\n- plain\n  - Tool: hammer"),
        ("  - [ ] a step", "x\n- [ ] a step"),
        (
            "  ```\n  - [ ] 9. code\n  - Tool: code\n  ```",
            "x\n```\n- [ ] 9. code\n- Tool: code\n```",
        ),
        ("\n  after a gap", "x\n\nafter a gap"),
        ("\nprose after a gap", "x"),
        ("# Heading\n  - Tool: prose", "x"),
        ("- a bullet of its own", "x"),
        ("```\n- [ ] 9. code\n```", "x"),
        ("<!--\n- [ ] 9. gone\n-->", "x"),
        ("  <!-- a remark -->\n  text", "x\ntext"),
    ],
)
def test_what_belongs_to_a_task(below, prompt):
    """Indented text does, code and steps with it; prose and comments do not."""
    task = only(f"- [ ] 1. x\n{below}")

    assert (task.prompt, task.tool, task.agent) == (prompt, None, None)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("\n- [?] 1. x", 2, "unknown state '[?]'"),
        ("- [ ] 1. x\n- [ ] 1. y", 2, "duplicate task id '1' (first on line 1)"),
        ("- [ ] 1. x\n- [ ] y", 2, "has no id"),
        ("- [ ] 1.", 1, "task '1': prompt must be text"),
        ("- [ ] 1. x\n  - Limits: usd 3", 2, "limits.usd is an unknown"),
        ("- [ ] 1. x\n  - Limits: tokens few", 2, "limits.tokens must be a whole"),
        ("- [ ] 1. x\n  - Limits: few", 2, "limits must be a table"),
        ("- [ ] 1. x\n  - Timeout: soon", 2, "timeout must be seconds"),
        ("- [ ] 1. x\n  - Timeout: -1", 2, "timeout must be seconds"),
        ("- [ ] 1. x\n  - Agent: --yolo", 2, "agent must be an agent's name"),
        ("- [ ] 1. x\n  - Agent:", 2, "agent must be an agent's name"),
        ("- [ ] 1. x\n  - Model: a\n  - Model: b", 3, "says model twice"),
        ("- [ ] 1. x\n  - Expect: command 'a", 2, "expect"),
        ("- [ ] 1. x\n  - Expect: command " + "a " * 40_000, 2, "expect.command"),
        ("- [ ] 1. x\n  - Expect: miracles", 2, "expect must be a table"),
        ("- [ ] 1. x\n  - Expect: regex (", 2, "regular expression"),
        ("- [ ] 1. x\n  - Depends: 2", 1, "unknown dependency '2' in task '1'"),
        ("- [ ] 1. x\n- Agent: bob", 2, "indent that line"),
        ("- [ ] 1. x\n  ```\n  code", 2, "never closed"),
        ("- [ ] 1. x\n  - Depends: 1", 1, "depends on itself"),
        ("- [ ] 1. x\n-[ ] 2. y", 2, "looks like a task: write '- [ ] 7. Do this'"),
        ("- [ ] 1. x\n- [ ]2. y", 2, "looks like a task"),
        ("- [ ] 1. x\n3.[x] y", 2, "looks like a task"),
    ],
)
def test_mistakes_are_named_with_their_line(text, line, message):
    """File, line, what is wrong."""
    with pytest.raises(PlanError) as caught:
        parse(text, name="tasks.md")

    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("tasks.md", line)
    assert message in problem.problem


@pytest.mark.parametrize(
    "line", ["- [x](http://y)", "- [x][1]", "- [x]: y", "[ ]2. y", "```\n-[ ] y\n```"]
)
def test_what_only_looks_like_a_task(line):
    """Links, references and code are no mistakes."""
    assert len(parse(f"- [ ] 1. x\n\n{line}\n", name="tasks.md").tasks) == 1


def test_prose_is_an_empty_plan():
    """A file without tasks has nothing to run and nothing wrong."""
    assert parse("# Notes\n\n- a\n- b\n").tasks == ()
