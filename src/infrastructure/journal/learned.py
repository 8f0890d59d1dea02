"""What tasks of the same content took, and where their latest success is, for any run.

Kept beside the results and filled in bulk: an index over the identities of the results,
which are hashes, changed a page for every result of a commit. That was more than half of
all that was written, and grew with the journal.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_AT_ONCE: Final = 500  # SQLite takes some thousand parameters at most
_PORTION: Final = 20_000  # results per transaction: others wait for their commits
# Sorted, so that each page is changed once. Its WHERE also keeps the parser from taking
# ON CONFLICT for the condition of a join.
_LEARN: Final = """
INSERT INTO learned (identity, seconds, number)
SELECT identity, seconds, number FROM results
WHERE number > ? AND number <= ? AND cause IS NULL AND identity IS NOT NULL
ORDER BY identity, number
ON CONFLICT DO UPDATE SET seconds = coalesce(excluded.seconds, seconds),
    number = excluded.number
"""


def learn(connection: sqlite3.Connection) -> None:
    """Takes in what was recorded since the last time. Raises `sqlite3.Error`."""
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            is_done = _learn_some(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
        if is_done:
            return


def durations(
    connection: sqlite3.Connection, identities: Mapping[str, str]
) -> dict[str, float]:
    """Seconds that the latest success of the same identity took, by task id.

    An estimate: what can't be read is left out.
    """
    query = "SELECT identity, seconds FROM learned WHERE identity IN ({})"
    try:
        taken = _looked_up(connection, query, identities)
    except sqlite3.Error:
        return {}
    return {each: seconds for each, seconds in taken.items() if seconds is not None}


def shared(
    connection: sqlite3.Connection, identities: Mapping[str, str]
) -> dict[str, int]:
    """The latest success of the same identity in any run, by task id; its row.

    Raises `sqlite3.Error`.
    """
    query = "SELECT identity, number FROM learned WHERE identity IN ({})"
    return _looked_up(connection, query, identities)


def _learn_some(connection: sqlite3.Connection) -> bool:
    query = "SELECT until, (SELECT max(number) FROM results) FROM learning"
    until, last = connection.execute(query).fetchone()
    if last is None or last <= until:
        return True
    upto = min(last, until + _PORTION)
    connection.execute(_LEARN, (until, upto))
    connection.execute("UPDATE learning SET until = ?", (upto,))
    return bool(upto == last)


def _looked_up(
    connection: sqlite3.Connection, query: str, identities: Mapping[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for some in _portions(list(dict.fromkeys(identities.values()))):
        marks = ", ".join("?" * len(some))
        found.update(connection.execute(query.format(marks), some))
    return {each: found[key] for each, key in identities.items() if key in found}


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))
