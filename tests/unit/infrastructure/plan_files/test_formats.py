"""TOML, YAML and JSON plans: the same fields, the same strictness."""

import json

import pytest

from muster.domain.budget import BudgetLimits
from muster.domain.errors import CyclicPlanError, PlanError
from muster.infrastructure.plan_files import load, parse

TOML = """\
[defaults]
tool = "claude"
policy = "patient"
[tools.lint]
command = ["ruff", "check", "."]
[agents.dana]
description = "designs"
mood = "calm"
[[task]]
id = "design"
prompt = "Design it"
[[task]]
id = "tests"
prompt = "Write the tests for {{task.design.output}}"
agent = "@dana"
depends = ["design"]
timeout = 60
expect = { file = "tests/test_x.py" }
"""
YAML = """\
defaults: {tool: claude, policy: patient}
tools:
  lint:
    command: [ruff, check, .]
agents:
  dana: {description: designs, mood: calm}
tasks:
- id: design
  prompt: Design it
- id: tests
  prompt: "Write the tests for {{task.design.output}}"
  agent: dana
  depends: design
  timeout: 60
  expect:
    file: tests/test_x.py
"""
JSON = json.dumps(
    {
        "defaults": {"tool": "claude", "policy": "patient"},
        "tools": {"lint": {"command": ["ruff", "check", "."]}},
        "agents": {"dana": {"description": "designs", "mood": "calm"}},
        "task": [
            {"id": "design", "prompt": "Design it"},
            {
                "id": "tests",
                "prompt": "Write the tests for {{task.design.output}}",
                "agent": "dana",
                "depends": ["design"],
                "timeout": 60,
                "expect": {"file": "tests/test_x.py"},
            },
        ],
    },
    indent=1,
)
SAMPLES = {"toml": TOML, "yaml": YAML, "json": JSON}


@pytest.mark.parametrize("syntax", SAMPLES)
def test_the_formats_say_the_same(syntax, tmp_path):
    """One plan in three spellings, by suffix and by its look."""
    file = tmp_path / f"plan.{syntax}"
    file.write_text(SAMPLES[syntax])

    plan = load(file)

    assert parse(SAMPLES[syntax]).tasks == plan.tasks
    assert [task.id for task in plan.tasks] == ["design", "tests"]
    tests = plan.tasks[1]
    assert (tests.agent, tests.depends, tests.timeout) == ("dana", ("design",), 60)
    assert tests.expect
    assert tests.expect.file == "tests/test_x.py"
    assert plan.effective(tests).tool == "claude"
    assert plan.tools["lint"].command == ("ruff", "check", ".")
    assert plan.agents["dana"].extra == {"mood": "calm"}
    assert tests.line


@pytest.mark.parametrize(
    ("syntax", "text", "line", "message"),
    [
        ("toml", "[[task]]\nid=3\nprompt='x'", 2, "id must be text in quotes"),
        ("toml", "[[task]]\nid='a'", 1, "task 'a' lacks 'prompt'"),
        ("toml", "a = 1", 1, "a is an unknown key"),
        ("toml", "[[tusk]]\nid='a'", 1, "did you mean 'task'"),
        ("toml", "[[task]]\nid='a'\nprompt='x'\nmodle='y'", 4, "did you mean 'model'"),
        ("toml", "[[task]]\nid='a'\nprompt='x'\ntimeout=true", 4, "not True"),
        ("toml", "[[task]]\nid='a'\nprompt='x'\ntimeout=inf", 4, "not inf"),
        ("toml", "[[task]]\nid='a'\nprompt='x'\ndepends=[1]", 4, "list of texts"),
        ("toml", "[task]\nid='a'", 1, "must be a list of tables"),
        ("toml", "[tools.x]\ncommand=[]", 2, "a program, or a list"),
        ("toml", "[tools.x]\ncommand='y'\nshell=1", 3, "true or false"),
        ("toml", "[tools.x]\ncommand='y'\nenv={'A B'='x'}", 3, "no variable's name"),
        ("toml", "[tools.x]\ncommand='y'\nenv={A=1}", 3, "value of A must be text"),
        ("toml", "[[task]]\nid='a'\nprompt='x'\ncwd=''", 4, "cwd must be text"),
        ("toml", "[[task]]\nid='a'\nprompt='x'\nexpect.json_schema=1", 4, "a table"),
        ("toml", "x = {" + "a." * 9_999 + "a=1}", 1, "more than 32 parts"),
        ("yaml", "? [a]\n: b", 1, "as a key"),
        ("yaml", "a: &x b\n*x : c", None, "b is an unknown key"),
        ("yaml", "a: &x [b]\n*x : c", None, "no text as a key"),
        ("yaml", "a: [" + "*x, " * 1_001 + "]", 1, "alias *x of nothing"),
        ("yaml", "a: &x 1\nb: [" + "*x, " * 1_001 + "]", 2, "more than 1000 aliases"),
        ("toml", "[tools.x]\nprompt='stdin'", 1, "tools.x lacks 'command'"),
        ("toml", "[tools.-x]\ncommand='y'", 1, "is no name"),
        ("toml", "x = ", 1, "not valid TOML"),
        ("toml", "a" + ".a" * 999 + "=1", 1, "more than 32 parts"),
        ("toml", "x=" + "[" * 9_999, None, "nested too deep"),
        ("yaml", "tasks:\n- id: no\n  prompt: x", 2, 'quote it as "no"'),
        ("yaml", "tasks:\n- id: 010\n  prompt: x", 2, 'quote it as "010"'),
        ("yaml", "tasks:\n- id: 12:30\n  prompt: x", 2, 'quote it as "12:30"'),
        ("yaml", "tasks:\n- id: 2024-01-01\n  prompt: x", 2, "quote it"),
        ("yaml", "tasks:\n- id: a\n  prompt: x\n  depends: [1e3, 1.0]", 4, "texts"),
        ("yaml", "tasks:\n- id: a\n  id: b\n  prompt: x", 3, "twice (first on line 2"),
        ("yaml", "yes: 1", 1, 'quote it: "yes"'),
        ("yaml", "a: !!python/object/apply:os.system [x]", 1, "!!python/object/apply"),
        ("yaml", "a: !mine b", 1, "tag !mine"),
        ("yaml", "a: &a [*a]", 1, "alias *a"),
        ("yaml", "---\na: 1\n---\nb: 1", 3, "second document"),
        ("yaml", "[" * 9_999, 1, "nested more than 32 deep"),
        ("yaml", "a: [", 1, "not valid YAML"),
        ("yaml", "tasks:\n\t- id: a", 2, "with blanks, not with a tab"),
        ("yaml", "just text", None, "a plan is a table"),
        ("json", "[]", None, "a plan is a table"),
        ("json", '{"a": NaN}', None, "NaN is no JSON number"),
        ("json", '{"task":[{\n"id":"a",\n"id":"b","prompt":"x"}]}', 3, "twice"),
        ("json", "{\n\n]", 3, "not valid JSON"),
        ("json", "[" * 99_999, None, "nested too deep"),
        ("json", '{"tasks": [], "task": []}', 1, "are the same"),
        ("json", '{"tasks": [7]}', 1, "task number 1 must be a table, not 7"),
        ("json", '{"a": ' + "1" * 5_000 + "}", None, "not valid JSON"),
        ("latin", "", None, "unknown syntax 'latin'"),
    ],
)
def test_mistakes(syntax, text, line, message):
    """Each is named with its line; nothing is executed, guessed or left hanging."""
    with pytest.raises(PlanError) as caught:
        parse(text, name="plan", syntax=syntax)

    assert message in str(caught.value)
    if line is not None:
        assert caught.value.problems[0].line in (line, line + 1)


def test_all_mistakes_of_a_file_at_once():
    """Sorted by line, bad tasks and bad edges together."""
    text = (
        "[[task]]\nid='a'\nprompt=''\n[[task]]\nid='b'\nprompt='x'\n"
        "depends=['a','aa','desing']\n[[task]]\nid='design'\nprompt='x'\ntimeout=0\n"
    )

    with pytest.raises(PlanError) as caught:
        parse(text, name="p.toml")

    # 'a' is broken but there: waiting for it is no further mistake.
    assert [problem.line for problem in caught.value.problems] == [3, 4, 4, 11]
    assert "p.toml:11: task 'design': timeout must be" in str(caught.value)


def test_a_thousand_mistakes_are_a_short_message():
    """Nobody reads them all."""
    text = "tasks:\n" + "- {}\n" * 1_000

    with pytest.raises(PlanError, match="1,900 more problems") as caught:
        parse(text)

    assert len(caught.value.problems) == 101


@pytest.mark.parametrize("policies", [None, ("mine",)])
def test_policy_names(policies):
    """A preset's name is always right; others are checked against what is known."""
    text = "- [ ] 1. x\n  - Policy: {}"

    assert parse(text.format("patient"), policies=policies).tasks
    assert parse(text.format("mine"), policies=policies).tasks
    if policies is None:
        assert parse(text.format("patiennt")).tasks
        return
    with pytest.raises(PlanError, match=r"did you mean 'patient'.*fast_fail.*mine"):
        parse(text.format("patiennt"), policies=policies)


def test_an_alias_bomb_is_refused():
    """A few hundred bytes that stand for 10^9 nodes."""
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]

    with pytest.raises(PlanError, match="too large"):
        parse("a0: &a0 [x]\n" + "\n".join(levels), syntax="yaml")


def test_a_schema_that_is_too_deep_is_refused():
    """Whoever writes it out later would run out of stack."""
    schema = "{" + '"a":{' * 500 + "}" * 501
    text = '{"task":[{"id":"a","prompt":"x","expect":{"json_schema":%s}}]}'

    with pytest.raises(PlanError, match="deeper than"):
        parse(text % schema)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("- [ ] 1. x".encode("utf-16"), "UTF-16"),
        (b"- [ ] 1. \xff", "not UTF-8 (byte 9, line 1)"),
        (b"- [ ] 1. a\0", "NUL"),
        (b" " * (16 * 1024 * 1024 + 1), "larger than"),
    ],
)
def test_files_that_are_no_text(tmp_path, content, message):
    """A missing file is an error and never a prompt."""
    file = tmp_path / "plan.md"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(PlanError) as caught:
        load(file)

    assert message in str(caught.value)
    assert caught.value.file == str(file)


def test_a_folder_is_no_plan(tmp_path):
    """It says so."""
    with pytest.raises(PlanError, match="is a directory"):
        load(tmp_path)


def test_text_instead_of_a_file():
    """Standard input has no name, a byte order mark and Windows lines at times."""
    plan = load("-", text="\ufeff- [ ] 1. a\r\n- [ ] 2. b\r\n".encode())

    assert [task.prompt for task in plan.tasks] == ["a", "b"]
    assert load("-", text="\ufeff- [ ] 1. a\r\n").tasks[0].prompt == "a"
    with pytest.raises(CyclicPlanError, match=r"^-:1: "):
        load("-", text="- [ ] 1. a\n  - Depends: 1")
    with pytest.raises(PlanError, match="larger"):
        load("-", text=" " * (16 * 1024 * 1024 + 1))


def test_the_place_of_every_toml_key_is_found():
    """Brackets in strings are no tables, and arrays may span lines."""
    text = (
        "[tools.'my lint']\ncommand = [ # [x]\n 'a',\n]\n"
        '[[task]]\nid = "a"\nprompt = """\n[nope]\nx = 1 \\""" y\n"""\n'
        "depends = []\n[[task]]\nid = 'b'\nprompt = '''x''''\ntimeout = 'x'\n"
    )

    with pytest.raises(PlanError) as caught:
        parse(text, syntax="toml")

    assert caught.value.line == 15


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "toml",
            (
                "defaults.limits.tokens=9\n[[task]]\nid='a'\nprompt='x'\n"
                "limits={budget_usd=1, minutes=2}"
            ),
        ),
        (
            "yaml",
            (
                "defaults: {limits: {tokens: 9}}\n"
                "tasks:\n- id: a\n  prompt: x\n  limits: {budget_usd: 1, minutes: 2}"
            ),
        ),
    ],
)
def test_limits_of_tasks(kind: str, text: str) -> None:
    """The names of the settings, for one task and for all of them."""
    plan = load(f"p.{kind}", text=text.encode())

    assert plan.tasks[0].limits == BudgetLimits(minutes=2, usd=1)
    assert plan.defaults.limits == BudgetLimits(tokens=9)


def test_a_task_with_a_mistake_is_still_one_of_the_plan():
    """Its id and its dependencies are checked with the others; the first comes first."""
    text = (
        "- [ ] 1. a\n  - Timeout: soon\n  - Depends: 7\n"
        "- [ ] 1. b\n- [ ] 2. c\n  - Policy: nah\n"
    )

    with pytest.raises(PlanError) as caught:
        parse(text, name="p.md", policies=())

    said = str(caught.value)
    for part in (
        "p.md:1: unknown dependency '7'",
        "p.md:2: task '1': timeout",
        "p.md:4: duplicate task id '1' (first on line 1)",
        "p.md:6: task '2': policy",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (
            "{{task.b.output}}",
            "p.toml:1: task 'a' places the output of 'b' but does not",
        ),
        ("{{task.bb.output}}", "an unknown task 'bb'; did you mean 'b'?"),
        ("{{task.a.output}}", "does not wait for it"),
    ],
)
def test_places_of_outputs_that_are_not_there(prompt, said):
    """Are found before anything is started, all of them at once."""
    text = f'[[task]]\nid="a"\nprompt="{prompt}"\n[[task]]\nid="b"\nprompt="{prompt}"\n'

    with pytest.raises(PlanError) as caught:
        parse(text, name="p.toml")

    assert said in str(caught.value)


def test_an_output_of_anybody_before_can_be_placed():
    """Also of one that is waited for through others."""
    text = (
        "- [ ] 1. a\n- [ ] 2. b\n  - Depends: 1\n"
        "- [ ] 3. {{task.1.output}}\n  - Depends: 2\n"
    )

    assert len(parse(text, name="p.md").tasks) == 3
