"""How a result becomes a row of the journal and the text of a file, and comes back."""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from attrs import define

from muster.domain.outcome import SpawnResult
from muster.infrastructure.secrets import Redactor

_MUTE: Final = frozenset({type(None), bool, int, float})
_BORDER: Final = "\0"


class DamagedRecordError(ValueError):
    """A row is there and does not hold what was written."""


@define(eq=False)  # frozen ones are made three times as slowly
class Record:
    """A result as it is kept: masked, as JSON, with its checksum.

    The ``checksum`` is over all that decides whether the task is run again.
    """

    task_id: str
    identity: str | None
    cause: str | None
    attempts: int
    seconds: float | None
    document: str
    data: bytes
    checksum: int
    output: str
    stderr: str


def key_of(result: SpawnResult) -> str:
    """What the journal calls the task."""
    return f"#{result.task_index}" if result.task_id is None else result.task_id


def record_of(result: SpawnResult, identity: str | None, redactor: Redactor) -> Record:
    """The result as it is written, secrets masked."""
    document = result.to_dict()
    document["identity"] = identity
    shown = masked(document, redactor)
    text, data = _json(shown)
    key = key_of(result)
    cause = result.failure.cause.value if result.failure else None
    return Record(
        key,
        identity,
        cause,
        len(result.attempts),
        None if result.cached else result.execution_time,
        text,
        data,
        checksum(key, identity, cause, data),
        shown["output"],
        shown["stderr"],
    )


def result_from(document: str | bytes) -> SpawnResult:
    """The result in a document. Raises `DamagedRecordError`."""
    try:
        return SpawnResult.from_dict(json.loads(document))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as exc:
        raise DamagedRecordError(str(exc)) from exc


def checksum(
    task_id: str, identity: str | None, cause: str | None, document: bytes
) -> int:
    """SQLite notices a torn page and not a flipped bit in a text."""
    head = f"{task_id}\0{identity}\0{cause}\0".encode("utf-8", "surrogatepass")
    return zlib.crc32(document, zlib.crc32(head))


def masked(document: Mapping[str, Any], redactor: Redactor) -> Mapping[str, Any]:
    """The document with every secret masked.

    One search over all its texts at once: most hold no secret, and a search each
    costs more than all the rest of the journal.
    """
    if not redactor.finds(_BORDER.join(_texts(document))):
        return document
    changed: Mapping[str, Any] = redactor.redact_document(document)
    return changed


def _texts(document: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    waiting: list[Any] = [document.values()]
    while waiting:
        # Most values are none of all this, and it is done for every result.
        for value in [each for each in waiting.pop() if type(each) not in _MUTE]:
            if isinstance(value, str):
                found.append(value)
            elif isinstance(value, dict):
                waiting.append(value.values())
            else:
                waiting.append(value)
    return found


def _json(document: Mapping[str, Any]) -> tuple[str, bytes]:
    text = _ENCODER.encode(document)
    try:
        return text, text.encode()
    except UnicodeEncodeError:
        # SQLite takes no half of a surrogate pair.
        text = json.dumps(document)
        return text, text.encode()


# Made once: for each text, `json.dumps` would build one of its own.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False)
