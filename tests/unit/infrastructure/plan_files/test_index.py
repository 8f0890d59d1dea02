"""A part of a plan, had from its index, is what the whole plan would have said of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.errors import PlanError
from muster.domain.plan import Plan
from muster.infrastructure import plan_files
from muster.infrastructure.plan_files.index import NAME, PlanIndex, keep, kept

PLAN = """
[defaults]
tool = "sim"
timeout = 60

[tools.mine]
command = ["echo", "é"]

[[task]]
id = " a "
prompt = "one"
expect = { regex = "x+", json_schema = { type = "object", big = 1e3 } }

[[task]]
id = "b"
prompt = "two {{task.a.output}}"
depends = "a"
limits = { tokens = 9 }
agent = "@self"

[[task]]
id = "c"
prompt = '''three
lines'''
tool = "mine"
done = true

[[task]]
id = "d"
prompt = "four"
depends = ["b", "c"]
policy = "mine"
"""


def indexed(text: str, name: str = "plan.toml") -> tuple[Plan, PlanIndex | None]:
    """The plan, and its index however small it is."""
    document = plan_files.document(name, text=text)
    plan = plan_files.to_plan(document, name)
    return plan, PlanIndex.of(document, plan, name, at_least=1)


def known(text: str = PLAN) -> tuple[Plan, PlanIndex]:
    """The same with an identity for each task."""
    plan, index = indexed(text)
    assert index is not None
    return plan, index.with_identities({task.id: f"i{task.id}" for task in plan.tasks})


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [("", ""), ("a", "a"), ("b", "ab"), ("c", "c"), ("d", "abcd"), ("ca", "ac")],
)
def test_a_part(tmp_path: Path, wanted: str, ids: str) -> None:
    """The tasks with all that they wait for: equal, of the same lines and places."""
    whole, index = known()
    keep(tmp_path, index, PLAN.encode())

    found = kept(tmp_path, "plan.toml", PLAN.encode())
    assert found is not None
    part = found.part(wanted, "plan.toml", ["mine"])

    assert [task.id for task in part.tasks] == list(ids)
    assert list(part.placed()) == [
        each for each in whole.placed() if each[1].id in set(ids)
    ]
    assert [task.line for task in part.tasks] == [
        task.line for task in whole.tasks if task.id in ids
    ]
    rest = (part.defaults, part.tools, part.agents, dict(part.whole))
    assert rest == (whole.defaults, whole.tools, whole.agents, whole.dependencies())
    assert found.identities == index.identities


def test_samples_stand_for_all_that_name_the_same() -> None:
    """One for each agent, tool, model and policy; one that needs no other is best."""
    _, index = known()

    assert index.samples == ["a", "b", "c", "d"]
    tasks = [{"id": "a", "prompt": "x", "depends": ["b"]}]
    tasks += [{"id": each, "prompt": "x"} for each in "bc"]
    _, found = indexed(json.dumps({"tasks": tasks}), "plan.json")
    assert found is not None
    assert found.samples == ["b"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plan.toml", PLAN + "\n"),
        ("plan.md", PLAN),
        ("-", PLAN),
    ],
)
def test_of_another_text(tmp_path: Path, name: str, text: str) -> None:
    """It is that of these bytes alone, read as what their name says."""
    keep(tmp_path, known()[1], PLAN.encode())

    assert kept(tmp_path, name, text.encode()) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:0],
        lambda data: data[:-1],
        lambda data: data.replace(b'"ia"', b'"ib"'),
        lambda data: data.replace(b"index 1 ", b"index 0 "),
        lambda data: data.replace(b"muster ", b"muster 0.0.0-", 1),
        lambda data: data.partition(b"\n")[0],
    ],
    ids=["empty", "torn", "changed", "format", "version", "headless"],
)
def test_spoilt(tmp_path: Path, spoil: Any) -> None:
    """A file that is not what was written, or was written by another muster, is none."""
    keep(tmp_path, known()[1], PLAN.encode())
    path = tmp_path / NAME
    path.write_bytes(spoil(path.read_bytes()))

    assert kept(tmp_path, "plan.toml", PLAN.encode()) is None


def test_there_is_none(tmp_path: Path) -> None:
    """As for every run of before, and for each small plan."""
    document = plan_files.document("plan.toml", text=PLAN)
    plan = plan_files.to_plan(document, "plan.toml")

    assert kept(tmp_path, "plan.toml", PLAN.encode()) is None
    assert PlanIndex.of(document, plan, "plan.toml") is None
    assert indexed("")[1] is None


def test_what_json_can_not_hold() -> None:
    """A date would come back as a text: such a plan is read as a whole."""
    schema = "expect = { json_schema = { since = 2026-01-01 } }"
    plan, index = indexed(f'[[task]]\nid = "a"\nprompt = "x"\n{schema}\n')

    assert len(plan.tasks) == 1
    assert index is None


def test_a_policy_that_is_gone() -> None:
    """The strict reader says so, of a part too."""
    _, index = known()

    with pytest.raises(PlanError, match="mine"):
        index.part(["d"], "plan.toml", [])


@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 20), max_size=3),
            st.sampled_from([None, "x", "@self"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sets(st.integers(0, 11)),
)
def test_any_part(rows: list[Any], chosen: set[int]) -> None:
    """Whatever is asked for, all that it waits for is there, and equal."""
    tasks = [
        {
            "id": f"t{at}",
            "prompt": f"p{at}",
            "depends": [f"t{each}" for each in sorted(needs) if each < at],
            "done": is_done,
            **({} if agent is None else {"agent": agent}),
        }
        for at, (needs, agent, is_done) in enumerate(rows)
    ]
    whole, index = indexed(json.dumps({"tasks": tasks}), "plan.json")
    assert index is not None

    wanted = [f"t{each}" for each in chosen if each < len(rows)]
    part = index.part(wanted, "plan.json", None)

    assert set(wanted) <= {task.id for task in part.tasks}
    assert list(part.placed()) == [
        (at, task) for at, task in whole.placed() if task in part.tasks
    ]
