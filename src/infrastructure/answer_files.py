"""Answers, patterns and conversations as files of the data folder.

soar/answers/KEY.json         what is given again
soar/patterns/KEY.json        how a question was split that was answered well
soar/conversations/RUN.md     what was asked and said, for people
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define

from muster.domain import presets
from muster.domain.errors import JournalError
from muster.infrastructure.durable_file import FOLDER_MODE, write_whole

FOLDER: Final = "soar"
ANSWERS: Final = "answers"
PATTERNS: Final = "patterns"
CONVERSATIONS: Final = "conversations"
MAX_BYTES: Final = 4 * 1024 * 1024


@define(eq=False)
class FileAnswers:
    """See `Answers`. ``mask`` takes secrets out of every document and text."""

    home: Path
    mask: Callable[[Any], Any] = lambda value: value

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """See `Answers`."""
        return await asyncio.to_thread(_read, self._path(ANSWERS, f"{key}.json"))

    async def keep(
        self,
        key: str,
        answer: Mapping[str, Any],
        pattern: Mapping[str, Any] | None = None,
    ) -> None:
        """See `Answers`."""
        await asyncio.to_thread(self._keep, key, answer, pattern)

    async def patterns(self) -> Sequence[Mapping[str, Any]]:
        """See `Answers`. One that can't be read is passed over."""
        return await asyncio.to_thread(self._patterns)

    async def log(self, run_id: str, text: str) -> str:
        """See `Answers`."""
        path = self._path(CONVERSATIONS, f"{run_id}.md")
        await asyncio.to_thread(_write, path, self.mask(text))
        return str(path)

    def _keep(
        self, key: str, answer: Mapping[str, Any], pattern: Mapping[str, Any] | None
    ) -> None:
        _write(self._path(ANSWERS, f"{key}.json"), _text(self.mask(answer)))
        if pattern is not None:
            _write(self._path(PATTERNS, f"{key}.json"), _text(self.mask(pattern)))
            for old in self._newest()[presets.SOAR_PATTERNS_KEPT :]:
                old.unlink(missing_ok=True)

    def _patterns(self) -> list[Mapping[str, Any]]:
        found = []
        for path in self._newest()[: presets.SOAR_PATTERNS_KEPT]:
            try:
                document = _read(path)
            except JournalError:
                continue
            if document is not None and {"question", "subgoals"} <= set(document):
                found.append(document)
        return found

    def _newest(self) -> list[Path]:
        folder = self.home / FOLDER / PATTERNS
        try:
            files = [(each.stat().st_mtime, each) for each in folder.glob("*.json")]
        except OSError:
            return []
        return [each for _, each in sorted(files, reverse=True)]

    def _path(self, kind: str, name: str) -> Path:
        return self.home / FOLDER / kind / name


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1)


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise JournalError(f"can't be read: {error}", str(path)) from error
    if not isinstance(document, dict):
        raise JournalError("is no JSON object", str(path))
    return document


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        write_whole(str(path), text.encode("utf-8", "replace"))
    except OSError as error:
        raise JournalError(f"can't be written: {error.strerror}", str(path)) from error
