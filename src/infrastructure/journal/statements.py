"""What a run's journal says to SQLite."""

from typing import Any, Final

from attrs import fields

from muster.domain.outcome import Usage
from muster.infrastructure.journal.records import Record

# A first attempt that finds its own mark is one whose host died while it ran: a result
# removes the mark.
STARTED: Final = """
INSERT INTO in_flight (run, task_id, attempt, identity, started_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET attempt = excluded.attempt, identity = excluded.identity,
    started_at = excluded.started_at, session_id = NULL,
    deaths = iif(identity IS excluded.identity, deaths + (excluded.attempt = 1), 0)
"""
SESSION: Final = "UPDATE in_flight SET session_id = ? WHERE run = ? AND task_id = ?"
# The number is the order of recording: whoever has read up to one has missed nothing.
RESULT: Final = """
INSERT INTO results (run, task_id, identity, cause, attempts, seconds, recorded_at,
    document, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, task_id) DO UPDATE SET
    number = (SELECT max(number) + 1 FROM results), identity = excluded.identity,
    cause = excluded.cause, attempts = excluded.attempts, seconds = excluded.seconds,
    recorded_at = excluded.recorded_at, document = excluded.document,
    checksum = excluded.checksum
"""
LANDED: Final = "DELETE FROM in_flight WHERE run = ? AND task_id = ?"
BEGUN: Final = """
INSERT INTO runs (run_id, plan_path, options, started_at, owner_pid, owner_since)
VALUES (?, ?, ?, ?, ?, ?)
"""
OWNED: Final = """
UPDATE runs SET owner_pid = ?, owner_since = ?, status = NULL, summary = NULL
WHERE run = ?
"""
COMPLETED: Final = """
UPDATE runs SET status = ?, summary = ?, owner_pid = NULL, owner_since = NULL
WHERE run = ?
"""
# What the results of a run add up to, by cause and agent, all but those of some tasks.
SUMMED: Final = ("retries", "fallbacks", "leftovers", "cached", "simulated", "work")
USED: Final = tuple(field.name for field in fields(Usage))
_SUMS: Final = ", ".join(
    f"sum(json_extract(document, '$.{name}'))"
    for name in (
        "retry_count",
        "fallback",
        "leftovers",
        "cached",
        "simulated",
        "execution_time",
        *(f"usage.{each}" for each in USED),
    )
)
SUMS: Final = f"""
SELECT cause, json_extract(document, '$.agent') AS agent, count(*),
    sum(cause IS NULL AND json_extract(document, '$.retry_count') > 0),
    sum(json_type(document, '$.usage') = 'object'), {_SUMS}
FROM results WHERE run = ? AND task_id NOT IN (SELECT value FROM json_each(?))
GROUP BY cause, agent
"""  # noqa: S608 - names of our own
# When the tasks of a run were begun, and what they took.
SPANS: Final = """
SELECT task_id, json_extract(document, '$.attempts[0].started_at') AS began,
    coalesce(seconds, 0.0)
FROM results WHERE run = ? AND began IS NOT NULL
"""


def row_of(run: int, record: Record, now: float) -> tuple[Any, ...]:
    """The values of `RESULT`."""
    return (
        run,
        record.task_id,
        record.identity,
        record.cause,
        record.attempts,
        record.seconds,
        now,
        record.document,
        record.checksum,
    )
