"""Answers and patterns on the disk: private, masked, bounded, and damaged."""

import asyncio
import os
from pathlib import Path

import pytest

from muster.domain import presets
from muster.domain.errors import JournalError
from muster.infrastructure.answer_files import ANSWERS, FOLDER, PATTERNS, FileAnswers
from muster.infrastructure.secrets import Redactor

PATTERN = {"question": "why?", "subgoals": []}


async def test_what_is_kept_is_found(tmp_path: Path) -> None:
    """By its key, by another process too; the newest pattern first."""
    book = FileAnswers(tmp_path)
    await book.keep("k1", {"answer": {"a": 1}}, PATTERN)
    await book.keep("k2", {"answer": {"a": 2}}, {**PATTERN, "question": "how?"})
    os.utime(tmp_path / FOLDER / PATTERNS / "k1.json", (1, 1))
    await book.keep("k3", {"answer": {"a": 3}})

    other = FileAnswers(tmp_path)

    assert await other.find("k1") == {"answer": {"a": 1}}
    assert await other.find("k4") is None
    assert [each["question"] for each in await other.patterns()] == ["how?", "why?"]


async def test_nobody_else_reads_it_and_no_secret_is_in_it(tmp_path: Path) -> None:
    """Files 0600, folders 0700."""
    mask = Redactor({"MY_TOKEN": "hunter2hunter2"}).redact_document
    book = FileAnswers(tmp_path, mask)

    await book.keep("k", {"answer": "it is hunter2hunter2"}, PATTERN)
    path = Path(await book.log("r", "say hunter2hunter2"))

    kept = tmp_path / FOLDER / ANSWERS / "k.json"
    for each in (kept, path):
        assert "hunter2" not in each.read_text()
        assert each.stat().st_mode & 0o777 == 0o600
        assert each.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["{", "[]", "\x00", '"x"', '{"a": ' * 10_000])
async def test_damage_is_told(tmp_path: Path, text: str) -> None:
    """Of an answer; a pattern that can't be read is passed over."""
    book = FileAnswers(tmp_path)
    await book.keep("k", {}, PATTERN)
    for kind in (ANSWERS, PATTERNS):
        (tmp_path / FOLDER / kind / "k.json").write_text(text)

    with pytest.raises(JournalError, match=r"k\.json"):
        await book.find("k")
    assert await book.patterns() == []


async def test_patterns_are_few(tmp_path: Path) -> None:
    """The oldest go."""
    book = FileAnswers(tmp_path)
    folder = tmp_path / FOLDER / PATTERNS
    folder.mkdir(parents=True)
    for number in range(presets.SOAR_PATTERNS_KEPT + 5):
        (folder / f"old{number}.json").write_text("{}")
        os.utime(folder / f"old{number}.json", (1, number + 1))

    await book.keep("new", {}, PATTERN)

    assert len(list(folder.iterdir())) == presets.SOAR_PATTERNS_KEPT
    assert (folder / "new.json").exists()
    assert not (folder / "old0.json").exists()


async def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """Is told by name."""
    (tmp_path / FOLDER).write_text("in the way")

    with pytest.raises(JournalError, match=FOLDER):
        await FileAnswers(tmp_path).log("r", "x")


async def test_many_at_once(tmp_path: Path) -> None:
    """Whoever is last wins, and what is read is whole."""
    book = FileAnswers(tmp_path)
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(book.keep(f"k{number}", {"n": number}))

    assert await book.find("k7") == {"n": 7}
