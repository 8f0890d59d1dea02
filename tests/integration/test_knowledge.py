"""What a question is answered from: files, git, and an index on the disk."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from attrs import define, field

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.infrastructure.knowledge import database
from muster.infrastructure.knowledge.index import Index, Source
from muster.infrastructure.knowledge.project_knowledge import ProjectKnowledge
from muster.infrastructure.knowledge.reading import Reader
from muster.infrastructure.secrets import Redactor

NO_GIT: Mapping[str, str] = {"PATH": ""}
Files = Mapping[str, str | bytes]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def write(project: Path, files: Files) -> None:
    """Puts files there."""
    for name, content in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def knowledge_of(
    project: Path, environ: Mapping[str, str] | None = None, **values: object
) -> ProjectKnowledge:
    """A new process's view of the project, so to say."""
    given = os.environ if environ is None else environ
    return ProjectKnowledge(project, project / ".muster", given, **values)  # type: ignore[arg-type]


def found(
    project: Path,
    query: str,
    *,
    limit: int = 10,
    files: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    """The sources of what is found, each once, best first."""

    async def ask() -> list[str]:
        async with knowledge_of(project, environ) as knowledge:
            chunks = await knowledge.retrieve(query, limit=limit, files=files)
        return list(dict.fromkeys(chunk.source for chunk in chunks))

    return asyncio.run(ask())


def fingerprint(project: Path, *files: str) -> str:
    """The digest of the sources."""

    async def ask() -> str:
        async with knowledge_of(project) as knowledge:
            return await knowledge.fingerprint(files=files)

    return asyncio.run(ask())


def index_of(project: Path) -> Path:
    """Where the index is."""
    return project / ".muster" / database.FOLDER / database.NAME


def git(project: Path, *arguments: str) -> None:
    """Runs git there, as nobody in particular."""
    names = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(
        ["git", *names, *arguments], cwd=project, check=True, capture_output=True
    )


def test_best_first(project: Path) -> None:
    """A chunk comes with its lines; what says more of the question comes first."""
    filler = "\n".join(f"line {number} of the filler" for number in range(60))
    write(
        project,
        {
            "a.md": f"# Other\n{filler}\n# Lanes\nThe zebra has a budget.\n",
            "b.md": "A zebra.\n",
            "c.md": "Nothing.\n",
        },
    )

    async def ask() -> None:
        async with knowledge_of(project) as knowledge:
            first, second = await knowledge.retrieve("zebra budget", limit=5)
        assert (first.source, first.end_line) == ("a.md", 63)
        assert "The zebra has a budget." in first.text
        assert (second.source, second.start_line, second.end_line) == ("b.md", 1, 1)
        assert first.score > second.score > 0

    asyncio.run(ask())


@pytest.mark.parametrize("environ", [None, NO_GIT], ids=["git", "no git"])
def test_left_out(project: Path, environ: Mapping[str, str] | None) -> None:
    """Ignored, binary, huge and secret files are not shown, nor links and our own."""
    write(
        project,
        {
            ".gitignore": "*.log\n/build/\n!keep.log\nsub/*.tmp\n",
            "a.txt": "zebra",
            "b.log": "zebra",
            "keep.log": "zebra",
            "build/x.txt": "zebra",
            "sub/build/y.txt": "zebra",
            "sub/z.tmp": "zebra",
            "sub/.gitignore": "hidden\n",
            "sub/hidden": "zebra",
            "image.bin": b"zebra\0zebra",
            "huge.txt": "zebra " * presets.SOURCE_BYTES,
            ".env": "ZEBRA=zebra",
            "notes": "-----BEGIN PRIVATE KEY-----\nzebra",
            ".muster/own.txt": "zebra",
        },
    )
    (project / "link.txt").symlink_to(project / "a.txt")
    write(project.parent, {"elsewhere/b.txt": "zebra"})
    (project / "linked").symlink_to(project.parent / "elsewhere")
    os.mkfifo(project / "fifo")
    git(project, "init", "-q")

    assert set(found(project, "zebra", environ=environ)) == {
        "a.txt",
        "keep.log",
        "sub/build/y.txt",
    }

    async def reasons() -> Mapping[str, int]:
        async with knowledge_of(project, environ) as knowledge:
            return await knowledge.left_out()

    assert asyncio.run(reasons()) == {"binary": 1, "huge": 1, "secret": 2}


def test_tracked_files_are_not_ignored(project: Path) -> None:
    """Git's own answer counts: what is committed is part of the project."""
    write(project, {"a.log": "zebra", ".gitignore": "*.log"})
    git(project, "init", "-q")
    git(project, "add", "-f", "a.log")

    assert found(project, "zebra") == ["a.log"]
    assert found(project, "zebra", environ=NO_GIT) == []


def test_no_program_of_the_repository_is_run(project: Path) -> None:
    """A stranger's repository can't make us run anything by asking what it holds."""
    write(project, {"a.txt": "zebra", "evil": "#!/bin/sh\ntouch pwned\n"})
    (project / "evil").chmod(0o755)
    git(project, "init", "-q")
    git(project, "config", "core.fsmonitor", str(project / "evil"))

    assert found(project, "zebra") == ["a.txt"]
    assert not (project / "pwned").exists()


def test_ignored_project_is_not_empty(project: Path) -> None:
    """A project in an ignored folder of another repository still has its files."""
    write(project, {".gitignore": "inner/\n", "inner/a.txt": "zebra"})
    git(project, "init", "-q")

    assert found(project / "inner", "zebra") == ["a.txt"]


def test_index_is_fresh(project: Path) -> None:
    """What is changed, moved and deleted is so in the next answer."""
    write(project, {"a.txt": "zebra one", "b.txt": "zebra two", "c.txt": "other"})
    assert sorted(found(project, "zebra")) == ["a.txt", "b.txt"]

    write(project, {"a.txt": "quagga one"})
    (project / "b.txt").unlink()
    (project / "c.txt").rename(project / "d.txt")

    assert found(project, "zebra") == []
    assert found(project, "quagga") == ["a.txt"]
    assert found(project, "other") == ["d.txt"]


def test_change_that_looks_like_none(project: Path) -> None:
    """Same size, same times: content decides as long as the clock might deceive."""
    write(project, {"a.txt": "zebra"})
    times = (project / "a.txt").stat().st_mtime_ns
    assert found(project, "zebra") == ["a.txt"]

    write(project, {"a.txt": "moose"})
    os.utime(project / "a.txt", ns=(times, times))

    assert found(project, "moose") == ["a.txt"]


@pytest.mark.parametrize(("seconds", "is_read"), [(0, True), (10, False)])
def test_unchanged_files_are_not_read(
    project: Path, seconds: int, *, is_read: bool
) -> None:
    """Size and times are believed of files that were old when they were read."""
    write(project, {"a.txt": "zebra"})
    before = fingerprint(project)
    with closing(sqlite3.connect(index_of(project), isolation_level=None)) as index:
        later = (seconds * 1_000_000_000,)
        index.execute("UPDATE files SET looked = looked + ?, digest = x'00'", later)

    assert (fingerprint(project) == before) is is_read


def test_file_that_became_something_else(project: Path) -> None:
    """What is no regular file when its turn comes is left out, and nobody waits."""
    os.mkfifo(project / "a.txt")
    reader = Reader(project)

    said, text = reader._read(Source(b"a.txt", 1, 0, 0, 0, b""))

    assert (said.left_out, text) == ("unreadable", None)


@define
class BreakingReader(Reader):
    """Breaks once, in the middle of a file."""

    broken: list[bytes] = field(factory=list)

    def apply(self, index: Index, source: Source) -> None:
        """Forgets the file, and then the disk is gone."""
        if not self.broken:
            self.broken.append(source.path)
            index.remove(source.path)
            raise sqlite3.OperationalError
        super().apply(index, source)


def test_half_of_a_change_is_none(project: Path) -> None:
    """A change that breaks leaves the index as it was, and is made all the same."""
    write(project, {"a.txt": "zebra"})
    assert found(project, "zebra") == ["a.txt"]
    write(project, {"a.txt": "zebra and quagga"})

    async def ask() -> None:
        async with knowledge_of(project) as knowledge:
            knowledge._upkeep.reader = BreakingReader(project)
            assert await knowledge.retrieve("quagga", limit=1)

    asyncio.run(ask())
    with closing(sqlite3.connect(index_of(project))) as index:
        assert index.execute("SELECT body FROM chunks").fetchall() == [("zebra",)]


def test_common_words_give_way_to_rare_ones(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ranking would take too long, what tells most is sought alone."""
    write(project, {f"{n}.txt": "lane lane" for n in range(9)} | {"z.txt": "zebra"})
    monkeypatch.setattr(presets, "SEARCHED_CHUNKS", 5)

    assert found(project, "zebra lane") == ["z.txt"]
    assert len(found(project, "lane")) == 9


@pytest.mark.parametrize(
    "query",
    ["", " ", "?!", "what is it", '"', "*", "NEAR(", "-", "a:b", "\0", "\ud800"],
)
def test_no_words_find_nothing(project: Path, query: str) -> None:
    """Signs, and words that say nothing, are no question."""
    write(project, {"a.txt": "zebra * NEAR what is it a b"})

    assert found(project, query) in ([], ["a.txt"] if query == "NEAR(" else [])


def test_megabyte_of_question(project: Path) -> None:
    """A huge question is answered by what it says most."""
    write(project, {"a.txt": "zebra", "b.txt": "quagga"})

    assert found(project, "zebra " * 200_000) == ["a.txt"]


def test_one_file_does_not_fill_the_answer(project: Path) -> None:
    """Others have their say, while there are others."""
    sections = "".join(f"# zebra {n}\n" + "zebra\n" * 20 for n in range(20))
    write(project, {"big.md": sections, "small.md": "a zebra among much else " * 9})

    assert found(project, "zebra", limit=4) == ["big.md", "small.md"]


def test_limit(project: Path) -> None:
    """Never more than asked for; nothing for nothing."""
    write(project, {f"{n}.txt": "zebra" for n in range(9)})

    assert len(found(project, "zebra", limit=3)) == 3
    assert found(project, "zebra", limit=0) == []


def test_named_files(project: Path, tmp_path: Path) -> None:
    """They are found wherever they are, for this question only, and always shown."""
    write(project, {f"{n}.txt": "zebra zebra" for n in range(9)})
    outside = tmp_path / "outside.md"
    outside.write_text("about something else\n")

    shown = found(project, "zebra", limit=3, files=(str(outside),))

    assert len(shown) == 3
    assert str(outside) in shown
    assert found(project, "something else", files=(str(outside),)) == [str(outside)]
    assert found(project, "something else") == []
    assert found(project, "", files=(str(outside),)) == [str(outside)]


def test_named_file_is_read_anew(project: Path, tmp_path: Path) -> None:
    """A named file is as it is now, each time; an ignored one of the project, too."""
    write(project, {".gitignore": "n.txt", "n.txt": "zebra"})
    named = (str(project / "n.txt"),)
    assert found(project, "zebra", files=named) == ["n.txt"]

    write(project, {"n.txt": "quagga"})

    assert found(project, "quagga", files=named) == ["n.txt"]
    assert found(project, "quagga", environ=NO_GIT) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("missing.md", None, "there is no such file"),
        ("binary.md", b"a\0b", "NUL"),
        ("latin.md", b"gr\xf6\xdfe", "not UTF-8"),
        (".env", b"A=1", "secrets"),
        ("key.md", b"-----BEGIN PRIVATE KEY-----\n", "secrets"),
    ],
)
def test_named_file_that_is_wrong(
    project: Path, name: str, content: bytes | None, problem: str
) -> None:
    """One clear error for all of them, before anything is searched."""
    if content is not None:
        (project / name).write_bytes(content)
    files = (str(project / name), str(project / "gone.md"))

    with pytest.raises(ConfigError, match=problem) as caught:
        found(project, "zebra", files=files)

    assert caught.value.where == str(project / name)
    assert len(caught.value.problems) == 2
    assert "gone.md" in str(caught.value)


def test_secrets_in_texts_are_masked(project: Path) -> None:
    """A key in the middle of code is neither shown nor kept, and lines stay lines."""
    token = "ghp_" + "a1B2" * 9
    write(project, {"a.py": f'one = 1\ntoken = "{token}"\nzebra = hunter22hunter\n'})

    async def ask() -> str:
        redactor = Redactor({"APP_PASSWORD": "hunter22hunter"})
        async with knowledge_of(project, redactor=redactor) as knowledge:
            (chunk,) = await knowledge.retrieve("zebra", limit=1)
        return chunk.text

    assert asyncio.run(ask()) == 'one = 1\ntoken = "***"\nzebra = ***\n'
    kept = b"".join(each.read_bytes() for each in index_of(project).parent.iterdir())
    assert token.encode() not in kept


def test_fingerprint(project: Path, tmp_path: Path) -> None:
    """It changes with what answers depend on, and with nothing else."""
    outside = tmp_path / "n.txt"
    outside.write_text("one")
    write(project, {"a.txt": "zebra", "b.bin": b"\0"})
    first, named = fingerprint(project), fingerprint(project, str(outside))
    assert first != named

    os.utime(project / "a.txt", ns=(1, 1))
    write(project, {"b.bin": b"\0\0", ".env": "A=1"})
    assert fingerprint(project) == first

    outside.write_text("two")
    assert fingerprint(project) == first
    assert fingerprint(project, str(outside)) not in (first, named)

    write(project, {"a.txt": "quagga"})
    assert fingerprint(project) != first


def test_index_is_private(project: Path) -> None:
    """Nobody else reads what it holds, and it is not committed."""
    write(project, {"a.txt": "zebra"})
    found(project, "zebra")

    folder = index_of(project).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    assert (project / ".muster" / ".gitignore").read_text() == "*\n"


def garbage(path: Path) -> None:
    """No database at all."""
    path.write_bytes(b"no database " * 500)


def holes(path: Path) -> None:
    """A database with a page of zeros in each of its parts."""
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 2048] = bytes(2048)
    path.write_bytes(data)


def other_version(path: Path) -> None:
    """The index of a muster to come."""
    with closing(sqlite3.connect(path)) as index:
        index.execute("PRAGMA user_version = 99")


def no_table(path: Path) -> None:
    """Somebody removed a part of it."""
    with closing(sqlite3.connect(path)) as index:
        index.execute("DROP TABLE words")


@pytest.mark.parametrize("damage", [garbage, holes, other_version, no_table])
def test_damaged_index_is_made_again(
    project: Path, damage: Callable[[Path], None]
) -> None:
    """Whatever became of it, the answer is the same."""
    write(project, {f"{n}.txt": f"zebra {n}\n" * 99 for n in range(9)})
    before = found(project, "zebra 3")
    damage(index_of(project))

    assert found(project, "zebra 3") == before
    assert found(project, "zebra 3") == before


def test_damage_under_way(project: Path) -> None:
    """An index that breaks while it is open is made again, too."""
    write(project, {"a.txt": "zebra"})

    async def ask() -> None:
        async with knowledge_of(project) as knowledge:
            assert await knowledge.retrieve("zebra", limit=1)
            database.discard(project / ".muster")
            assert await knowledge.retrieve("zebra", limit=1)
            write(project, {"b.txt": "quagga"})
            await knowledge.fingerprint()
            assert await knowledge.retrieve("quagga", limit=1)

    asyncio.run(ask())


def test_without_a_disk(project: Path) -> None:
    """Where no index can be kept, one in memory answers."""
    write(project, {"a.txt": "zebra", ".muster/knowledge": "a file in its place"})

    assert found(project, "zebra") == ["a.txt"]


def test_cancelled(project: Path) -> None:
    """Who is cancelled returns at once; the index is whole, and goes on later."""
    write(project, {f"{n}.txt": "zebra " * 900 for n in range(300)})

    async def ask() -> int:
        async with knowledge_of(project) as knowledge:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(knowledge.retrieve("zebra", limit=1))
                await asyncio.sleep(0.05)
                task.cancel()
            assert task.cancelled()
            return len(await knowledge.retrieve("zebra", limit=20))

    assert asyncio.run(ask()) == 20
    with closing(sqlite3.connect(index_of(project))) as index:
        query = "SELECT count(*), count(DISTINCT path) FROM files"
        assert index.execute(query).fetchone() == (300, 300)


_ASK = """
import asyncio, sys
from pathlib import Path
from muster.infrastructure.knowledge.project_knowledge import ProjectKnowledge

async def ask():
    project = Path(sys.argv[1])
    async with ProjectKnowledge(project, project / ".muster") as knowledge:
        print(len(await knowledge.retrieve("zebra", limit=20)))

asyncio.run(ask())
"""


def test_two_processes(project: Path) -> None:
    """Both build the same index at the same time; each file is in it once."""
    write(project, {f"{n}.txt": f"zebra {n} " * 300 for n in range(200)})
    command = [sys.executable, "-c", _ASK, str(project)]

    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE) as other,
    ):
        assert {one.communicate()[0], other.communicate()[0]} == {b"20\n"}

    with closing(sqlite3.connect(index_of(project))) as index:
        assert index.execute("SELECT count(*) FROM files").fetchone() == (200,)
        counts = "SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM words)"
        chunks, words = index.execute(counts).fetchone()
        assert chunks == words


def test_one_instance_answers_many(project: Path) -> None:
    """Questions at once don't disturb each other, with files of their own."""
    write(project, {f"{n}.txt": f"zebra {n}" for n in range(50)})

    async def ask() -> None:
        async with knowledge_of(project) as knowledge, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(knowledge.retrieve(f"zebra {n}", limit=3))
                for n in range(10, 50)
            ]
        for number, task in enumerate(tasks, start=10):
            assert task.result()[0].source == f"{number}.txt"
        await knowledge.aclose()

    asyncio.run(ask())
