"""Waves, cycles and priorities of small graphs, and of one that is deep and one wide."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.domain import graph

DIAMOND = {"A": (), "B": ("A",), "C": ("A",), "D": ("B", "C")}


@pytest.mark.parametrize(
    ("dependencies", "expected"),
    [
        ({}, []),
        ({"a": (), "b": (), "c": ()}, [["a", "b", "c"]]),
        ({"a": (), "b": ("a",), "c": ("b",)}, [["a"], ["b"], ["c"]]),
        ({"c": ("b",), "b": ("a",), "a": ()}, [["a"], ["b"], ["c"]]),
        (DIAMOND, [["A"], ["B", "C"], ["D"]]),
        ({"A": (), "B": ("A",), "C": (), "D": ("C",)}, [["A", "C"], ["B", "D"]]),
        ({"a": (), "b": ("a", "a")}, [["a"], ["b"]]),
        ({"a": ("a",), "b": ("a",), "c": ()}, [["c"]]),
    ],
)
def test_waves(dependencies, expected):
    """Each node is in the first wave after all that it waits for."""
    assert graph.waves(dependencies) == expected


@pytest.mark.parametrize(
    ("dependencies", "cycle"),
    [
        ({}, None),
        (DIAMOND, None),
        ({"a": ("a",)}, ("a", "a")),
        ({"a": ("b",), "b": ("a",)}, ("a", "b", "a")),
        ({"x": ("a",), "a": ("b",), "b": ("a",)}, ("a", "b", "a")),
        ({"z": (), "x": ("z", "a"), "a": ("b", "z"), "b": ("a",)}, ("a", "b", "a")),
    ],
)
def test_find_cycle(dependencies, cycle):
    """A cycle is a path without what merely leads to it."""
    assert graph.find_cycle(dependencies) == cycle


def test_priorities_are_the_longest_way_to_an_end():
    """The critical path has the highest numbers; costs count."""
    assert graph.priorities(DIAMOND) == {"A": 3, "B": 2, "C": 2, "D": 1}
    costs = {"C": 10.0}
    assert graph.priorities(DIAMOND, costs) == {"A": 12, "B": 2, "C": 11, "D": 1}


def test_a_deep_chain_and_a_million_edges_need_no_recursion():
    """100,000 nodes in a row, and 1,000 x 1,000 edges."""
    nodes = [str(place) for place in range(100_000)]
    chain = {node: nodes[max(0, i - 1) : i] for i, node in enumerate(nodes)}
    wide = {f"a{i}": [] for i in range(1_000)}
    wide |= {f"b{i}": list(wide) for i in range(1_000)}

    assert len(graph.waves(chain)) == len(nodes)
    assert graph.priorities(chain)["0"] == len(nodes)
    assert [len(wave) for wave in graph.waves(wide)] == [1_000, 1_000]
    ring = chain | {"0": [nodes[-1]]}
    assert len(graph.find_cycle(ring) or ()) == len(nodes) + 1


@st.composite
def graphs(draw):
    """Any small graph, cycles and self-loops included."""
    size = draw(st.integers(0, 8))
    nodes = [str(place) for place in range(size)]
    needs = st.lists(st.sampled_from(nodes), max_size=4) if nodes else st.just([])
    return {node: draw(needs) for node in nodes}


@given(graphs())
def test_either_everything_is_in_order_or_there_is_a_cycle(dependencies):
    """Order, waves and cycle finding tell one story."""
    order = graph.topological(dependencies)
    cycle = graph.find_cycle(dependencies)

    assert (cycle is None) == (len(order) == len(dependencies))
    for place, node in enumerate(order):
        assert set(dependencies[node]) <= set(order[:place])
    if cycle:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        for node, need in itertools.pairwise(cycle):
            assert need in dependencies[node]


@pytest.mark.parametrize(
    ("node", "expected"), [("a", ""), ("b", "a"), ("d", "abc"), ("e", "abcd")]
)
def test_ancestors(node, expected):
    """All that a node waits for, over every way there."""
    needs = {"a": "", "b": "a", "c": "a", "d": "bc", "e": "da", "x": "e"}
    assert graph.ancestors(needs, node) == set(expected)
