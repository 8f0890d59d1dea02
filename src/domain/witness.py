"""The chain of what agents have said: each record holds the hash of the one before it.

Whoever changes, removes, moves or inserts a record breaks a link, which `first_break`
names. The head of the chain (how many, and the last hash) is kept in a second place, so
that a shortened chain is found, too.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from attrs import frozen

_VERSION: Final = b"muster witness 1"
GENESIS: Final = "0" * 64


@frozen
class Statement:
    """Something to be recorded. ``kind`` says what: an output, a vote, a verdict."""

    batch_id: str
    agent_id: str
    content: str
    request_id: str | None = None
    kind: str = "output"


@frozen
class WitnessRecord:
    """One link. ``recorded_at`` is epoch seconds; hashes are 64 hexadecimal digits.

    ``sha256`` is that of the content as it was said, ``kept_sha256`` that of the content
    as it is kept: they differ only where a secret was masked. ``digest`` covers all
    other fields, the hash of the link before (``previous``) among them.
    """

    number: int
    run_id: str
    batch_id: str
    agent_id: str
    request_id: str | None
    kind: str
    recorded_at: float
    sha256: str
    kept_sha256: str
    previous: str
    digest: str


@frozen
class Head:
    """The end of a chain: how many records, and the last one's digest."""

    count: int = 0
    digest: str = GENESIS


@frozen
class BrokenLink:
    """The first record (from 1) at which the chain does not hold, and why."""

    number: int
    problem: str

    def __str__(self) -> str:
        return f"record {self.number}: {self.problem}"


def content_hash(content: str) -> str:
    """SHA-256 of a text. Lone surrogates count as what they are."""
    return sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def link(
    head: Head, run_id: str, statement: Statement, *, kept: str, recorded_at: float
) -> WitnessRecord:
    """The record that continues a chain; ``kept`` is its content without secrets."""
    said = content_hash(statement.content)
    kept_hash = said if kept == statement.content else content_hash(kept)
    number = head.count + 1
    fields = (
        run_id,
        statement.batch_id,
        statement.agent_id,
        statement.request_id,
        statement.kind,
        recorded_at,
        said,
        kept_hash,
        head.digest,
    )
    return WitnessRecord(number, *fields, _digest(number, *fields))


def head_of(record: WitnessRecord) -> Head:
    """The end of a chain whose last record this is."""
    return Head(record.number, record.digest)


def first_break(
    links: Iterable[tuple[WitnessRecord, str]], run_id: str, heads: Iterable[Head] = ()
) -> BrokenLink | None:
    """The first link of a run's chain that does not hold, or None.

    ``links`` are the records in their order with the contents as they were kept.
    The last of ``heads`` must be the end of the chain; the others must lie on it.
    """
    heads = tuple(heads)
    wanted: dict[int, set[str]] = {}
    for head in heads:
        wanted.setdefault(head.count, set()).add(head.digest)
    before = Head()
    for record, content in links:
        problem = (
            _out_of_place(record, before, run_id)
            or _changed(record, content)
            or _off_the_head(record, wanted)
        )
        if problem is not None:
            return BrokenLink(before.count + 1, problem)
        before = head_of(record)
    return _wrong_end(before, heads)


def _out_of_place(record: WitnessRecord, before: Head, run_id: str) -> str | None:
    if record.run_id != run_id:
        return f"it is of the run {record.run_id!r}"
    if record.number != before.count + 1:
        return f"number {record.number} stands here: records are missing, moved or inserted"
    if record.previous != before.digest:
        return (
            f"it does not follow record {before.count}: one of them was "
            "changed, moved, removed or inserted"
        )
    return None


def _changed(record: WitnessRecord, content: str) -> str | None:
    if record.digest != digest_of(record):
        return "it was changed: its digest does not match"
    if record.kept_sha256 != content_hash(content):
        return f"what '{record.agent_id}' said was changed: its SHA-256 does not match"
    return None


def _off_the_head(record: WitnessRecord, wanted: dict[int, set[str]]) -> str | None:
    known = wanted.get(record.number)
    if known is None or known == {record.digest}:
        return None
    return "it is not the record that was the last one when the head was kept"


def _wrong_end(last: Head, heads: tuple[Head, ...]) -> BrokenLink | None:
    longest = max((head.count for head in heads), default=last.count)
    if last.count < longest:
        problem = f"missing: the chain had {longest} records, {last.count} are left"
        return BrokenLink(last.count + 1, problem)
    if heads and heads[-1].count < last.count:
        problem = f"inserted: the chain has only {heads[-1].count} records"
        return BrokenLink(heads[-1].count + 1, problem)
    return None


def digest_of(record: WitnessRecord) -> str:
    """What the record's digest must be."""
    return _digest(
        record.number,
        record.run_id,
        record.batch_id,
        record.agent_id,
        record.request_id,
        record.kind,
        record.recorded_at,
        record.sha256,
        record.kept_sha256,
        record.previous,
    )


def _digest(*fields: str | float | None) -> str:
    # Quoted and escaped, no two different records have the same text. Not repr():
    # what that escapes depends on the Unicode tables of the Python that runs.
    return sha256(_VERSION + ascii(fields).encode()).hexdigest()
