"""What a run used up before it is taken up again, and what equal tasks used before.

A task that is run again takes the place of its result in the journal. So what was used
until then is kept beside the run, each time that it is taken up, and the journal is
asked only for what was begun since.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field

from muster.domain.budget import Cost, Spent
from muster.infrastructure.durable_file import sync_folders, write_durably
from muster.infrastructure.journal.learned import shared

FILE: Final = "spent.json"
_MINUTE: Final = 60.0
_AT_ONCE: Final = 500
_USED: Final = (
    "json_extract(document, '$.usage.input_tokens'), "
    "json_extract(document, '$.usage.output_tokens'), "
    "json_extract(document, '$.usage.cost_usd')"
)


def costs(
    connection: sqlite3.Connection, identities: Mapping[str, str]
) -> dict[str, Cost]:
    """What an attempt at a task of the same identity used, by task id.

    An estimate: what can't be read is left out.
    """
    found: dict[int, Cost] = {}
    try:
        rows = shared(connection, identities)
        numbers = list(dict.fromkeys(rows.values()))
        for at in range(0, len(numbers), _AT_ONCE):
            some = numbers[at : at + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = (
                f"SELECT number, attempts, {_USED} FROM results "  # noqa: S608 - marks
                f"WHERE number IN ({marks}) AND attempts > 0 AND json_valid(document)"
            )
            for number, attempts, *used in connection.execute(query, some):
                found[number] = _cost(attempts, *used)
    except sqlite3.Error:
        return {}
    known = {each: found[row] for each, row in rows.items() if row in found}
    return {each: cost for each, cost in known.items() if cost != Cost()}


def taken_up(
    connection: sqlite3.Connection, run: int, folder: Path, now: float
) -> Spent:
    """What the run has used until ``now`` (epoch), kept for the next time.

    Attempts that were running when muster died count, at what others used on average.
    Raises OSError and `sqlite3.Error`.
    """
    since, before = _kept(folder / FILE)
    sums = _Sums(before)
    query = (
        "SELECT identity, json_extract(document, '$.attempts[0].started_at'), seconds, "  # noqa: S608 - no input
        f"attempts, {_USED} FROM results "
        "WHERE run = ? AND attempts > 0 AND json_valid(document)"
    )
    # A result that has moved to another id is there twice.
    rows = {row[:2]: row[1:] for row in connection.execute(query, (run,))}
    for started_at, *values in rows.values():
        if started_at is not None and started_at > since:
            sums.add(started_at, *values)
    query = "SELECT started_at, attempt FROM in_flight WHERE run = ? AND started_at > ?"
    for started_at, attempt in connection.execute(query, (run, since)):
        sums.add_unfinished(started_at, attempt)
    spent = sums.spent()
    data = json.dumps({"at": now, **asdict(spent)}).encode()
    write_durably(folder / FILE, data)
    sync_folders([folder])
    return spent


@define
class _Sums:
    before: Spent
    agents: int = 0
    unfinished: int = 0
    tokens: float = 0.0
    usd: float = 0.0
    tokens_known: int = 0
    usd_known: int = 0
    times: list[tuple[float, float]] = field(factory=list)

    def add(
        self,
        started_at: float,
        seconds: float | None,
        attempts: int,
        read: int | None,
        written: int | None,
        usd: float | None,
    ) -> None:
        self.agents += attempts
        self.times.append((started_at, started_at + (seconds or 0.0)))
        if read is not None or written is not None:
            self.tokens += (read or 0) + (written or 0)
            self.tokens_known += attempts
        if usd is not None:
            self.usd += usd
            self.usd_known += attempts

    def add_unfinished(self, started_at: float, attempt: int) -> None:
        self.unfinished += attempt
        self.times.append((started_at, started_at))

    def spent(self) -> Spent:
        before = self.before
        agents = before.agents + self.agents
        tokens, usd = before.tokens + self.tokens, before.usd + self.usd
        # Not all attempts are those of models: one that can't be asked any more is
        # taken for one of them in the same measure.
        share = self.unfinished / agents if agents else 0.0
        return Spent(
            agents=agents + self.unfinished,
            minutes=before.minutes + _covered(self.times) / _MINUTE,
            tokens=tokens * (1 + share),
            usd=usd * (1 + share),
            tokens_known=before.tokens_known + self.tokens_known,
            usd_known=before.usd_known + self.usd_known,
        )


def _covered(times: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one of them was going on."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(times):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _cost(
    attempts: int, read: int | None, written: int | None, usd: float | None
) -> Cost:
    tokens = None
    if read is not None or written is not None:
        tokens = ((read or 0) + (written or 0)) / attempts
    return Cost(tokens, None if usd is None else usd / attempts)


def _kept(path: Path) -> tuple[float, Spent]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        return float(document.pop("at")), Spent(**document)
    except FileNotFoundError:
        return 0.0, Spent()
    except (ValueError, TypeError, KeyError, AttributeError):
        # It is written as a whole: somebody else has spoilt it. The journal knows most.
        return 0.0, Spent()
