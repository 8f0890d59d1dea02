"""The index: which files it holds, and what their chunks say."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from attrs import astuple, field, frozen

from muster.domain import presets
from muster.domain.knowledge import Chunk
from muster.infrastructure.knowledge.chunking import pieces
from muster.infrastructure.knowledge.words import beside, terms

_FILE: Final = (
    "INSERT INTO files (path, size, modified, changed, looked, digest, left_out, is_named) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_SEEN: Final = (
    "UPDATE files SET size = ?, modified = ?, changed = ?, looked = ?, is_named = ? "
    "WHERE path = ?"
)
_CHUNK: Final = (
    "INSERT INTO chunks (file, start, end, title, body) VALUES (?, ?, ?, ?, ?)"
)
_WORDS: Final = "INSERT INTO words (rowid, path, title, body) VALUES (?, ?, ?, ?)"
_FORGET: Final = (
    "INSERT INTO words (words, rowid, path, title, body) VALUES ('delete', ?, ?, ?, ?)"
)
_KNOWN: Final = "SELECT path, size, modified, changed, looked, digest, left_out, is_named FROM files"
_HOLDING: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"
)
# Ranked before anything is joined: of each chunk that holds a word, only words are read.
_SEARCH: Final = """
SELECT chunk, path, start, end, score FROM (
    SELECT rowid AS chunk, -bm25(words, ?, ?, 1.0) AS score FROM words
    WHERE words MATCH ? ORDER BY score DESC, rowid LIMIT ?
) JOIN chunks USING (chunk) JOIN files USING (file) WHERE NOT is_named
"""
_SEARCH_NAMED: Final = """
SELECT chunk, files.path, start, end, -bm25(words, ?, ?, 1.0) * ? AS score
FROM words JOIN chunks ON chunk = words.rowid JOIN files USING (file)
WHERE words MATCH ? AND words.rowid IN (
    SELECT chunk FROM asked JOIN files USING (path) JOIN chunks USING (file)
) ORDER BY score DESC, chunk LIMIT ?
"""
_FIRST: Final = """
SELECT chunk, path, start, end, 0.0 FROM chunks JOIN files USING (file)
WHERE path = ? ORDER BY chunk LIMIT 1
"""


@frozen
class Source:
    """A file as it was when it was read; times in nanoseconds since the epoch."""

    path: bytes
    size: int
    modified: int
    changed: int
    looked: int
    digest: bytes
    left_out: str | None = None
    is_named: bool = field(default=False, converter=bool)


@frozen
class Hit:
    """A chunk that was found, without its text."""

    chunk: int
    path: bytes
    start: int
    end: int
    score: float


@frozen(eq=False)
class Index:
    """What is kept, by path. Every method may raise sqlite3.Error."""

    connection: sqlite3.Connection

    def known(self) -> dict[bytes, Source]:
        """All files, also those that were left out."""
        rows = self.connection.execute(_KNOWN)
        return {row[0]: Source(*row) for row in rows}

    def left_out(self) -> dict[str, int]:
        """How many files agents are not shown, by reason."""
        query = "SELECT left_out, count(*) FROM files WHERE left_out NOTNULL GROUP BY 1"
        return dict(self.connection.execute(query).fetchall())

    def digest_of(self, path: bytes) -> bytes | None:
        """What the index holds of a file at this moment."""
        query = "SELECT digest FROM files WHERE path = ?"
        found = self.connection.execute(query, (path,)).fetchone()
        return None if found is None else found[0]

    def seen(self, source: Source) -> None:
        """The file was looked at again and says the same."""
        row = (source.size, source.modified, source.changed, source.looked)
        self.connection.execute(_SEEN, (*row, source.is_named, source.path))

    def replace(self, source: Source, text: str) -> None:
        """Puts the file's chunks in the place of those before."""
        self.remove(source.path)
        file = self.connection.execute(_FILE, astuple(source)).lastrowid
        name = _shown(source.path)
        told = _told(name)
        for piece in pieces(text, name):
            row = (file, piece.start, piece.end, piece.title, piece.text)
            chunk = self.connection.execute(_CHUNK, row).lastrowid
            words = (chunk, told, _told(piece.title), _told(piece.text))
            self.connection.execute(_WORDS, words)

    def remove(self, path: bytes) -> None:
        """Forgets a file; one that is unknown changes nothing."""
        query = "SELECT file FROM files WHERE path = ?"
        found = self.connection.execute(query, (path,)).fetchone()
        if found is None:
            return
        query = "SELECT chunk, title, body FROM chunks WHERE file = ?"
        # FTS5 has no copy of what it indexed: it must be told the very same words.
        for chunk, title, body in self.connection.execute(query, found).fetchall():
            words = (chunk, _told(_shown(path)), _told(title), _told(body))
            self.connection.execute(_FORGET, words)
        self.connection.execute("DELETE FROM chunks WHERE file = ?", found)
        self.connection.execute("DELETE FROM files WHERE file = ?", found)

    def search(
        self, query: str, limit: int, named: Sequence[bytes] = ()
    ) -> list[Chunk]:
        """The best chunks of the project and of the ``named`` files, best first."""
        self._ask_for(named)
        words = self._telling(terms(query))
        hits = self._hits(words, named=bool(named)) if words else []
        firsts = self._firsts(named, hits, limit) if named else []
        chosen = _spread(hits, limit - len(firsts), max(2, limit // 3)) + firsts
        return [self._chunk(hit) for hit in chosen]

    def _ask_for(self, named: Iterable[bytes]) -> None:
        self.connection.execute("DELETE FROM asked")
        rows = ((path,) for path in named)
        self.connection.executemany("INSERT OR IGNORE INTO asked VALUES (?)", rows)

    def _telling(self, words: Sequence[str]) -> list[str]:
        """The rarest of the words, so many that ranking what holds them is quick."""
        most = presets.SEARCHED_CHUNKS
        counts = {
            word: self.connection.execute(_HOLDING, (f'"{word}"', most)).fetchone()[0]
            for word in words
        }
        ranked = sorted(filter(counts.__getitem__, words), key=counts.__getitem__)
        sums = accumulate(counts[word] for word in ranked)
        # No count is above the bound: the rarest is always among them.
        return [word for word, total in zip(ranked, sums, strict=True) if total <= most]

    def _hits(self, words: Iterable[str], *, named: bool) -> list[Hit]:
        sought = " OR ".join(f'"{word}"' for word in words)
        weights = presets.PATH_WEIGHT, presets.TITLE_WEIGHT
        most = presets.RANKED_CHUNKS
        rows = self.connection.execute(_SEARCH, (*weights, sought, most)).fetchall()
        if named:
            values = (*weights, presets.NAMED_BOOST, sought, most)
            # Last, so that these scores hold for what is found by both.
            rows += self.connection.execute(_SEARCH_NAMED, values).fetchall()
        found = {row[0]: Hit(*row) for row in rows}
        return sorted(found.values(), key=_order)

    def _firsts(
        self, named: Sequence[bytes], hits: Sequence[Hit], limit: int
    ) -> list[Hit]:
        """The best chunk of each named file that would not be shown otherwise."""
        shown = {hit.path for hit in _spread(hits, limit, max(2, limit // 3))}
        firsts: list[Hit] = []
        for path in dict.fromkeys(named):
            if path in shown or len(firsts) == limit:
                continue
            found = self.connection.execute(_FIRST, (path,)).fetchone()
            best = next((hit for hit in hits if hit.path == path), None)
            firsts += [best or Hit(*found)] if best or found else []
        return firsts

    def _chunk(self, hit: Hit) -> Chunk:
        query = "SELECT body FROM chunks WHERE chunk = ?"
        (text,) = self.connection.execute(query, (hit.chunk,)).fetchone()
        return Chunk(_shown(hit.path), text, hit.start, hit.end, hit.score)


def _spread(hits: Sequence[Hit], limit: int, most: int) -> list[Hit]:
    """The best, at most so many of one file while others have something to say."""
    taken: list[Hit] = []
    over: list[Hit] = []
    counts: dict[bytes, int] = {}
    for hit in hits:
        counts[hit.path] = counts.get(hit.path, 0) + 1
        (taken if counts[hit.path] <= most else over).append(hit)
    chosen = (taken + over)[: max(0, limit)]
    return sorted(chosen, key=_order)


def _order(hit: Hit) -> tuple[float, bytes, int]:
    return -hit.score, hit.path, hit.start


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")


def _told(text: str) -> str:
    return f"{text} {beside(text)}"
