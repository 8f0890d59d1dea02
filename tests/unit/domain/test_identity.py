"""Content identity: what changes it, what does not, and that nothing collides."""

import subprocess
import sys
from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain.agent_profile import AgentProfile
from muster.domain.identity import Setting, canonical, identities, identity
from muster.domain.task import Expectation
from muster.domain.tool import ToolSpec

TOOL = ToolSpec("lint", ("ruff", "check"), env={"A": "1", "B": None})
PROFILE = AgentProfile("tester", "tests", ("bash",), "opus", prompt="You test.")
PROMPT = "Write {{task.a.output}}"
SETTING = Setting(
    TOOL,
    "opus",
    "tester",
    PROFILE,
    Expectation(regex="ok"),
    "sub",
    {"X": "1"},
)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None},
        {"agent": None},
        {"tool": "lint"},
        {"tool": None},
        {"tool": attrs.evolve(TOOL, command=("ruff check",))},
        {"tool": attrs.evolve(TOOL, shell=True)},  # noqa: S604 - a field, no call
        {"tool": attrs.evolve(TOOL, env={"A": "1"})},
        {"tool": attrs.evolve(TOOL, permissions="bypass")},
        {"profile": attrs.evolve(PROFILE, prompt="You break.")},
        {"profile": attrs.evolve(PROFILE, extra={"memory": "on"})},
        {"profile": None},
        {"expect": None},
        {"expect": Expectation(regex="ok", exit_code=0)},
        {"cwd": None},
        {"env": {"X": "2"}},
    ],
)
def test_content_is_identity(changes):
    """Whatever changes what the agent is asked to do changes the identity."""
    assert identity(PROMPT, attrs.evolve(SETTING, **changes)) != identity(
        PROMPT, SETTING
    )
    assert identity(f"{PROMPT} ", SETTING) != identity(PROMPT, SETTING)


@pytest.mark.parametrize(
    "changes",
    [
        {"tool": attrs.evolve(TOOL, name="linter", install_hint="pip install ruff")},
        {"tool": attrs.evolve(TOOL, silent_until_done=True, stop_signal="SIGINT")},
        {"tool": attrs.evolve(TOOL, env={"B": None, "A": "1"})},
        {"profile": attrs.evolve(PROFILE, source="elsewhere.md")},
        {"expect": Expectation(regex="ok")},
    ],
)
def test_how_it_is_watched_is_not(changes):
    """Names, hints, places and the order of a mapping leave the identity alone."""
    assert identity(PROMPT, attrs.evolve(SETTING, **changes)) == identity(
        PROMPT, SETTING
    )


def test_dependencies_count_in_their_order():
    """The same prompt after other work, or in another order of it, is another task."""
    found = {
        identity(PROMPT, SETTING, each) for each in [(), "a", ("a", "b"), ("b", "a")]
    }

    assert len(found) == 4


@st.composite
def plans(draw):
    """Contents and dependencies of a small DAG, as two mappings."""
    count = draw(st.integers(1, 12))
    names = [f"t{number}" for number in range(count)]
    prompts = st.sampled_from(["x", "y", "xy", ""])
    depends = {
        name: tuple(draw(st.lists(st.sampled_from(names[:place]), unique=True)))
        if place
        else ()
        for place, name in enumerate(names)
    }
    return {name: (draw(prompts), Setting()) for name in names}, depends


def behind(depends, start):
    """The task and all that depend on it."""
    found = {start}
    for name, needs in depends.items():
        if found & set(needs):
            found.add(name)
    return found


@given(plans(), st.data())
def test_an_edit_reaches_its_dependents_only(plan, data):
    """One edited task changes itself and all its dependents, and nothing else."""
    contents, depends = plan
    edited = data.draw(st.sampled_from(list(contents)))
    before = identities(contents, depends)

    after = identities({**contents, edited: ("new", Setting())}, depends)

    changed = {each for each in contents if before[each] != after[each]}
    assert changed == behind(depends, edited)


@given(plans(), st.integers())
def test_the_order_of_the_file_is_nothing(plan, seed):
    """Shuffled tasks keep their identities; so do renamed ones."""
    contents, depends = plan
    order = list(contents)
    Random(seed).shuffle(order)  # noqa: S311 - a seed that hypothesis can shrink
    shuffled = {each: contents[each] for each in order}
    renamed = {f"new {each}": contents[each] for each in order}
    needs = {f"new {k}": tuple(f"new {v}" for v in vs) for k, vs in depends.items()}

    before = identities(contents, depends)

    assert identities(shuffled, {each: depends[each] for each in order}) == before
    after = identities(renamed, needs)
    assert after == {f"new {each}": value for each, value in before.items()}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def typed(value):
    """The value as something that tells 1, 1.0 and True apart."""
    if isinstance(value, list):
        return ("list", tuple(map(typed, value)))
    if isinstance(value, dict):
        return ("dict", frozenset((key, typed(each)) for key, each in value.items()))
    if isinstance(value, float):
        return ("float", value.hex())
    return (type(value).__name__, value)


@given(VALUES, VALUES)
def test_two_values_never_share_their_bytes(one, other):
    """Equal bytes mean equal values, whatever is nested in what."""
    assert (canonical(one) == canonical(other)) == (typed(one) == typed(other))


@given(st.lists(st.text(alphabet="ab:1sl", max_size=4), max_size=4), st.data())
def test_nothing_runs_into_its_neighbour(words, data):
    """The same letters cut elsewhere are another list."""
    joined = "".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), max_size=3)))
    other = [joined[a:b] for a, b in zip([0, *cuts], [*cuts, len(joined)], strict=True)]

    assert (canonical(words) == canonical(other)) == (words == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "b"], ["asb"]),
        ([["a"], "b"], [["a", "b"]]),
        (["a", ["b"]], ["alsb"]),
        ({"a": "b"}, ["a", "b"]),
        ({"a": "b", "c": "d"}, {"a": "b", "cd": ""}),
        ([None], ["n"]),
        ([1, 2], [12]),
        (["1"], [1]),
        (True, 1),
    ],
)
def test_what_a_careless_encoding_would_mix_up(one, other):
    """Parts say what they are and how long they are."""
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("value", [b"x", {"b", "a"}, object, 1j])
def test_foreign_values_have_bytes(value):
    """What YAML may put into a profile never raises."""
    assert canonical(value) == canonical(value)


def test_the_same_in_every_process():
    """No hash seed, order or address gets into it: journals outlive processes."""
    code = (
        "from muster.domain.identity import *\n"
        "from muster.domain.tool import ToolSpec\n"
        "print(identity('x', Setting(ToolSpec('t', ('a', 'b')), cwd='d'), ['y']))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "lib"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in "12"
    }

    setting = Setting(ToolSpec("t", ("a", "b")), cwd="d")
    assert said == {identity("x", setting, ["y"])}


def test_a_long_chain_needs_no_recursion():
    """Distinct prompts have distinct identities, however long the chain is."""
    names = [str(number) for number in range(20_000)]
    contents = {name: (name, Setting(TOOL)) for name in names}
    chain = {n: (names[i - 1],) if i else () for i, n in enumerate(names)}

    assert len(set(identities(contents, chain).values())) == len(names)
