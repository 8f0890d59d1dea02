"""Directed graphs as ``{node: the nodes it waits for}``: order, waves, cycles, priorities.

Every dependency must be a key. All functions are iterative, visit each node and
edge once, and keep the mapping's order wherever the graph leaves a choice.
"""

from collections.abc import Iterable, Mapping

Dependencies = Mapping[str, Iterable[str]]


def dependents(dependencies: Dependencies) -> dict[str, list[str]]:
    """The same edges seen from the other end: who waits for each node."""
    waiting: dict[str, list[str]] = {node: [] for node in dependencies}
    for node, needs in dependencies.items():
        for need in dict.fromkeys(needs):
            waiting[need].append(node)
    return waiting


def waves(dependencies: Dependencies) -> list[list[str]]:
    """Nodes in groups that can run side by side, each after all groups before it.

    Nodes on a cycle, or behind one, are in no wave.
    """
    waiting = dependents(dependencies)
    missing = {node: len(set(needs)) for node, needs in dependencies.items()}
    rank = {node: place for place, node in enumerate(dependencies)}
    wave = [node for node, count in missing.items() if not count]
    found: list[list[str]] = []
    while wave:
        found.append(wave)
        following: list[str] = []
        for node in wave:
            for dependent in waiting[node]:
                missing[dependent] -= 1
                if not missing[dependent]:
                    following.append(dependent)
        wave = sorted(following, key=rank.__getitem__)
    return found


def topological(dependencies: Dependencies) -> list[str]:
    """All nodes, each after what it waits for; nodes on or behind a cycle are left out."""
    return [node for wave in waves(dependencies) for node in wave]


def ancestors(dependencies: Dependencies, node: str) -> set[str]:
    """All that ``node`` waits for, directly or not."""
    found: set[str] = set()
    waiting = list(dependencies[node])
    while waiting:
        need = waiting.pop()
        if need not in found:
            found.add(need)
            waiting.extend(dependencies[need])
    return found


def find_cycle(dependencies: Dependencies) -> tuple[str, ...] | None:
    """One cycle as a path along "waits for", its first node repeated last, or None."""
    ordered = set(topological(dependencies))
    node = next((node for node in dependencies if node not in ordered), None)
    if node is None:
        return None
    # Whoever is not in order waits for somebody who is not: the walk can't end.
    path: dict[str, int] = {}
    while node not in path:
        path[node] = len(path)
        node = next(need for need in dependencies[node] if need not in ordered)
    return (*list(path)[path[node] :], node)


def priorities(
    dependencies: Dependencies, cost: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The length of the longest path from each node to an end, its own cost included.

    Starting the ready node with the highest number first keeps the critical path
    busy. ``cost`` is 1 for nodes that it does not name.
    """
    costs = cost or {}
    waiting = dependents(dependencies)
    remaining: dict[str, float] = {}
    for node in reversed(topological(dependencies)):
        behind = max((remaining[each] for each in waiting[node]), default=0.0)
        remaining[node] = costs.get(node, 1.0) + behind
    return remaining
