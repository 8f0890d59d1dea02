"""How a result becomes a row of the journal and the text of a file, and comes back."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from muster.domain.outcome import SpawnResult
from muster.infrastructure.secrets import Redactor

_BORDER = "\0"


class DamagedRecordError(ValueError):
    """A row is there and does not hold what was written."""


@frozen
class Record:
    """A result as it is kept: masked, as JSON, with its checksum."""

    task_id: str
    identity: str | None
    cause: str | None
    attempts: int
    seconds: float | None
    document: str

    @property
    def checksum(self) -> int:
        """Over all that decides whether the task is run again."""
        return checksum(self.task_id, self.identity, self.cause, self.document)


def key_of(result: SpawnResult) -> str:
    """What the journal calls the task."""
    return f"#{result.task_index}" if result.task_id is None else result.task_id


def record_of(result: SpawnResult, identity: str | None, redactor: Redactor) -> Record:
    """The result as it is written, secrets masked."""
    document = masked(result.to_dict() | {"identity": identity}, redactor)
    return Record(
        key_of(result),
        identity,
        result.failure.cause.value if result.failure else None,
        len(result.attempts),
        None if result.cached else result.execution_time,
        _json(document),
    )


def result_from(document: str) -> SpawnResult:
    """The result in a document. Raises `DamagedRecordError`."""
    try:
        return SpawnResult.from_dict(json.loads(document))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as exc:
        raise DamagedRecordError(str(exc)) from exc


def checksum(
    task_id: str, identity: str | None, cause: str | None, document: str
) -> int:
    """SQLite notices a torn page and not a flipped bit in a text."""
    whole = f"{task_id}\0{identity}\0{cause}\0{document}"
    return zlib.crc32(whole.encode("utf-8", "surrogatepass"))


def masked(document: Mapping[str, Any], redactor: Redactor) -> Mapping[str, Any]:
    """The document with every secret masked.

    One search over all its texts at once: most hold no secret, and a search each
    costs more than all the rest of the journal.
    """
    whole = _BORDER.join(_texts(document))
    if redactor.redact(whole) == whole:
        return document
    changed: Mapping[str, Any] = redactor.redact_document(document)
    return changed


def _texts(document: Mapping[str, Any]) -> list[str]:
    # A stack and exact types: this is done for every result.
    found: list[str] = []
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if type(value) is str:
            found.append(value)
        elif type(value) is dict:
            waiting.extend(value.values())
        elif type(value) is list:
            waiting.extend(value)
        elif isinstance(value, str):
            found.append(str(value))
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, tuple):
            waiting.extend(value)
    return found


def _json(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False)
    # SQLite takes no half of a surrogate pair.
    return text if _is_clean(text) else json.dumps(document)


def _is_clean(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
