"""Brings a run's folder and its journal together again after one of them lost something."""

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from muster.domain.outcome import SpawnResult
from muster.infrastructure.journal.records import key_of
from muster.infrastructure.run_store import RESULTS
from muster.infrastructure.safe_name import numbered_name, safe_name
from muster.infrastructure.text_file import UnreadableTextError, read_text

_MAX_RESULT: Final = 256 * 1024 * 1024
_SUFFIX: Final = ".json"


def only_in_folder(
    folder: Path, recorded: Collection[str]
) -> Iterator[tuple[SpawnResult, str]]:
    """Results whose record was lost with a damaged journal, and their identities.

    Only what says of which content it is the result can be used again.
    """
    there = _files(folder)
    # Nearly always: 100,000 names need not be made to find that nothing is missing.
    if len(there) == len(recorded):
        return
    for name in sorted(there - {_file_of(each) for each in recorded}):
        found = _read(folder / RESULTS / name)
        if found is not None and _file_of(key_of(found[0])) == name:
            yield found


def only_in_journal(folder: Path, recorded: Collection[str]) -> list[str]:
    """Tasks whose file was not written any more when muster died."""
    there = _files(folder)
    if len(there) == len(recorded):
        return []
    return [each for each in recorded if _file_of(each) not in there]


def _files(folder: Path) -> set[str]:
    try:
        # Not as paths: 100,000 of them take half a second to make.
        names = os.listdir(folder / RESULTS)  # noqa: PTH208
    except OSError:
        return set()
    return {each for each in names if each.endswith(_SUFFIX)}


def _file_of(key: str) -> str:
    if key.startswith("#") and key[1:].isdigit():
        # What has no id is recorded by its number.
        return f"{numbered_name(int(key[1:]))}{_SUFFIX}"
    return f"{safe_name(key)}{_SUFFIX}"


def _read(path: Path) -> tuple[SpawnResult, str] | None:
    try:
        document = json.loads(read_text(path, _MAX_RESULT))
        identity = document.get("identity")
        result = SpawnResult.from_dict(document)
    except (
        UnreadableTextError,
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        RecursionError,
    ):
        return None
    return (result, identity) if isinstance(identity, str) else None
