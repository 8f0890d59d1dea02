"""How fast 10,000 files are indexed and searched, and how well what is asked is found.

    python -m benchmarks.knowledge [--quick]

Speed on a generated project; quality on the labelled questions of
`tests/data/knowledge`, against counting the words of a question in the same chunks.
"""

import asyncio
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from attrs import frozen

from benchmarks.figures import Report, percentile, script
from benchmarks.pulse import Pulse
from muster.domain.knowledge import Chunk
from muster.infrastructure.knowledge.chunking import pieces
from muster.infrastructure.knowledge.project_knowledge import ProjectKnowledge
from muster.infrastructure.knowledge.words import terms

FILES = 10_000
QUICK_FILES = 2_000
QUERIES = 100
RATE = 5.0  # MB/s
QUERY = 0.050
FOUND_IN = 10
MIB = 1e6
LABELLED = Path(__file__).resolve().parent.parent / "tests" / "data" / "knowledge"
_HEADING = re.compile(r"^\*\* CAPI3REF: *(.*)$")
_SEED = 7
# No project has a vocabulary of its own size, but each has few words in most files.
_NOUNS = """
account agent answer batch budget buffer cache chunk client column commit config
cursor deadline digest entry event field filter folder handle header index journal
label ledger limit lock margin message method module number object option order
packet parser payload pool port process query queue reader record region request
result retry route sample schema scope score sensor session signal source stream
table task thread token total trace user value vector view window worker writer
""".split()  # noqa: SIM905 - a word a line is no table
_ENDINGS = ("", "al", "ing", "less", "like", "able", "wise", "ship", "dom", "ist")
_WORDS = tuple(f"{noun}{ending}" for ending in _ENDINGS for noun in _NOUNS)
# As in all languages: the n-th word is n times as rare as the first.
_WEIGHTS = tuple(accumulate(1 / (1 + place) for place in range(len(_WORDS))))


def some(chance: random.Random, count: int) -> list[str]:
    """Words, the common ones more often."""
    return chance.choices(_WORDS, cum_weights=_WEIGHTS, k=count)


def project(folder: Path, files: int) -> float:
    """A project like those that people have: modules and documents. Its size in MB."""
    chance = random.Random(_SEED)  # noqa: S311 - the same project each time
    size = 0
    for number in range(files):
        home = folder / some(chance, 1)[0] / some(chance, 1)[0]
        home.mkdir(parents=True, exist_ok=True)
        is_code = bool(number % 5)
        name = f"{some(chance, 1)[0]}_{number}.{'py' if is_code else 'md'}"
        text = code(chance) if is_code else prose(chance)
        size += (home / name).write_text(text, "utf-8")
    return size / MIB


def code(chance: random.Random) -> str:
    """A module of some functions."""

    def name() -> str:
        return "_".join(some(chance, 2))

    functions = []
    for _ in range(chance.randint(2, 14)):
        camel = "".join(word.title() for word in some(chance, 2))
        functions.append(
            f"def {name()}({name()}, {name()}=None):\n"
            f'    """{" ".join(some(chance, 9))}."""\n'
            f"    if {name()} is None:\n        raise {camel}Error({name()!r})\n"
            f"    for {name()} in {name()}:\n        self.{name()}.append({name()})\n"
            f"    return {camel}({name()})\n\n"
        )
    return "\n".join(functions)


def prose(chance: random.Random) -> str:
    """A document of some sections."""
    sections = []
    for _ in range(chance.randint(2, 10)):
        title = " ".join(some(chance, 3)).capitalize()
        lines = (" ".join(some(chance, 12)) for _ in range(8))
        sections.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(sections)


async def speed(report: Report, folder: Path, files: int) -> None:
    """Index, start again, search."""
    size = project(folder / "project", files)
    home = folder / "home"
    async with ProjectKnowledge(folder / "project", home) as knowledge:
        with Pulse() as pulse:
            began, cpu = time.perf_counter(), time.process_time()
            await knowledge.retrieve("the first question", limit=1)
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
    report.note("files", files, "")
    report.note("size", size, "MB")
    report.note("indexed in", took, "s")
    report.note("indexed per second of CPU", size / cpu, "MB")
    report.note("event loop late by at most", 1000 * pulse.late, "ms")
    report.figure("indexed in one pass", size / took, RATE, "MB/s", at_least=True)
    async with ProjectKnowledge(folder / "project", home) as knowledge:
        began = time.perf_counter()
        await knowledge.retrieve("the first question", limit=1)
        again = time.perf_counter() - began
        report.note("a second start, nothing changed", 1000 * again, "ms")
        await searching(report, knowledge)


async def searching(report: Report, knowledge: ProjectKnowledge) -> None:
    """Many questions to one process; the look at all files is the second start's."""
    chance = random.Random(_SEED + 1)  # noqa: S311
    times, costs = [], []
    for _ in range(QUERIES):
        words = some(chance, chance.randint(2, 10))
        await knowledge.retrieve("", limit=1)
        began, cpu = time.perf_counter(), time.process_time()
        await knowledge.retrieve(f"How does the {' '.join(words)} work?", limit=20)
        times.append(1000 * (time.perf_counter() - began))
        costs.append(1000 * (time.process_time() - cpu))
    report.note("query, median", percentile(times, 0.5), "ms")
    report.note("query, CPU, p95", percentile(costs, 0.95), "ms")
    report.figure("query, p95", percentile(times, 0.95), 1000 * QUERY, "ms")


@frozen
class Section:
    """Where the answer to a question stands."""

    source: str
    start: int
    end: int

    def is_in(self, source: str, start: int, end: int) -> bool:
        """Whether those lines show a part of it."""
        return source == self.source and start <= self.end and end >= self.start


def sections(folder: Path) -> dict[str, list[Section]]:
    """All sections by heading; a heading may stand twice."""
    found: dict[str, list[Section]] = {}
    for path in sorted((folder / "sqlite").iterdir()):
        name = path.relative_to(folder).as_posix()
        lines = path.read_text("utf-8").split("\n")
        heads = [
            (number, match[1])
            for number, line in enumerate(lines, start=1)
            if (match := _HEADING.match(line))
        ]
        ends = [number - 2 for number, _ in heads[1:]] + [len(lines)]
        for (number, heading), end in zip(heads, ends, strict=True):
            found.setdefault(heading, []).append(Section(name, number, end))
    return found


def counted(folder: Path) -> list[tuple[Chunk, list[str]]]:
    """The chunks and their words, for the plain way."""
    found = []
    for path in sorted((folder / "sqlite").iterdir()):
        name = path.relative_to(folder).as_posix()
        for piece in pieces(path.read_text("utf-8"), name):
            words = re.findall(r"[^\W_]+", piece.text.lower())
            found.append((Chunk(name, piece.text, piece.start, piece.end, 0.0), words))
    return found


def plainly(chunks: Sequence[tuple[Chunk, list[str]]], query: str) -> list[Chunk]:
    """The chunks that say the words of the question most often."""
    sought = set(terms(query))
    ranked = sorted(chunks, key=lambda each: -sum(word in sought for word in each[1]))
    return [chunk for chunk, _ in ranked[:FOUND_IN]]


def is_found(chunks: Sequence[Chunk], wanted: Sequence[Section]) -> bool:
    """Whether a section that answers is among them."""
    return any(
        section.is_in(chunk.source, chunk.start_line, chunk.end_line)
        for chunk in chunks
        for section in wanted
    )


async def quality(report: Report, folder: Path) -> None:
    """Recall of the labelled questions, beside the plain way."""
    shutil.copytree(LABELLED / "sqlite", folder / "labelled" / "sqlite")
    lines = (LABELLED / "questions.tsv").read_text("utf-8").splitlines()
    questions = [line.split("\t") for line in lines]
    known, chunks = sections(LABELLED), counted(LABELLED)
    ours = theirs = 0
    async with ProjectKnowledge(folder / "labelled", folder / "home2") as knowledge:
        for question, heading in questions:
            found = await knowledge.retrieve(question, limit=FOUND_IN)
            ours += is_found(found, known[heading])
            theirs += is_found(plainly(chunks, question), known[heading])
    report.note("labelled questions", len(questions), "")
    report.note("recall@10, counting words", theirs / len(questions), "")
    report.note("recall@10", ours / len(questions), "")
    report.figure("recall@10 over counting words", ours / theirs, 1.0, at_least=True)


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    report = Report("knowledge: what a question is answered from")
    folder = Path(tempfile.mkdtemp())
    try:
        asyncio.run(speed(report, folder, QUICK_FILES if quick else FILES))
        asyncio.run(quality(report, folder))
    finally:
        shutil.rmtree(folder)
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
