"""Looks at the files of a project: which may have changed, and what they say now."""

import hashlib
import os
import stat
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import evolve, field, frozen

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.infrastructure.knowledge.index import Index, Source
from muster.infrastructure.knowledge.leaving_out import (
    holds_key,
    holds_secrets,
    text_of,
)
from muster.infrastructure.secrets import Redactor
from muster.infrastructure.text_file import UnreadableTextError, decode, read_bytes

# A file changed twice within a tick of its clock looks the same after both; some file
# systems tick every two seconds.
_TICK: Final = 2_000_000_000
_REFUSAL: Final = "looks like a file of secrets; agents are not shown those"
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class Named:
    """A file that was named with a question, as it is now."""

    source: Source
    text: str


@frozen
class Changes:
    """What the index has to be told."""

    suspects: Sequence[Source] = ()  # as they look; read only when their turn comes
    gone: Sequence[bytes] = ()


@frozen
class Reader:
    """Reads below ``project``; secrets that are known by value or shape are masked."""

    project: Path
    redactor: Redactor = field(factory=Redactor)

    def changes(
        self,
        names: Iterable[str],
        known: Mapping[bytes, Source],
        named: Container[bytes] = (),
    ) -> Changes:
        """What looks different from what is ``known``, by size and times.

        What was ``named`` stays as it is.
        """
        listed: set[bytes] = set()
        suspects = []
        for name in names:
            source = self._look(os.fsencode(name))
            if source is None:
                continue
            listed.add(source.path)
            before = known.get(source.path)
            is_kept = before and before.is_named and source.path in named
            if not is_kept and not _is_same(source, before):
                suspects.append(source)
        gone = [
            path for path in known if path not in listed and not known[path].is_named
        ]
        return Changes(suspects, gone + _forgotten(known))

    def apply(self, index: Index, source: Source) -> None:
        """Reads a file that looked different, and indexes it if it is."""
        said, text = self._read(source)
        if text is None or index.digest_of(said.path) != said.digest:
            index.replace(said, self._masked(text or ""))
        else:
            index.seen(said)

    def apply_named(self, index: Index, named: Named) -> None:
        """The same for one that was named, which is read already."""
        known = index.digest_of(named.source.path)
        if known != named.source.digest:
            index.replace(named.source, self._masked(named.text))

    def named(self, files: Iterable[str]) -> list[Named]:
        """Raises one `ConfigError` for all that can't be read, or must not be."""
        found, problems = [], []
        for file in dict.fromkeys(files):
            try:
                found.append(self._named(Path(file)))
            except UnreadableTextError as exc:
                problems.append(ConfigError(str(exc), file))
        if problems:
            text = "; ".join(map(str, problems[1:]))
            words = f"{problems[0].problem}; {text}" if text else problems[0].problem
            raise ConfigError(words, problems[0].where, problems)
        return found

    def _named(self, file: Path) -> Named:
        full = Path(os.path.realpath(file))
        if holds_secrets(full.as_posix()) or holds_secrets(file.as_posix()):
            raise UnreadableTextError(_REFUSAL)
        data = read_bytes(full, presets.NAMED_BYTES)
        if holds_key(data):
            raise UnreadableTextError(_REFUSAL)
        below = full.is_relative_to(self._root)
        path = os.fsencode(full.relative_to(self._root) if below else full)
        seen = full.stat()
        source = _source(path, seen, time.time_ns())
        # Not of the project until it is found there: it may be ignored, or huge.
        source = evolve(source, digest=_digest(data), is_named=True)
        return Named(source, decode(data))

    @property
    def _root(self) -> Path:
        return Path(os.path.realpath(self.project))

    def _look(self, path: bytes) -> Source | None:
        try:
            seen = os.lstat(os.path.join(os.fsencode(self.project), path))  # noqa: PTH118
        except OSError:
            return None
        # The moment is that before the look: a change after it is seen the next time.
        return _source(path, seen, 0) if stat.S_ISREG(seen.st_mode) else None

    def _read(self, source: Source) -> tuple[Source, str | None]:
        source = evolve(source, looked=time.time_ns())
        if holds_secrets(os.fsdecode(source.path)):
            return evolve(source, left_out="secret"), None
        try:
            # A file that is huge is left alone; one that becomes so is not read whole.
            is_huge = source.size > presets.SOURCE_BYTES
            data = b"" if is_huge else self._bytes(source.path)
        except OSError:
            return evolve(source, left_out="unreadable"), None
        text = text_of(data)
        if is_huge or text is None or holds_key(data):
            why = "huge" if is_huge else "binary" if text is None else "secret"
            return evolve(source, left_out=why), None
        return evolve(source, digest=_digest(data)), text

    def _bytes(self, path: bytes) -> bytes:
        full = os.path.join(os.fsencode(self.project), path)  # noqa: PTH118
        descriptor = os.open(full, _FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError
            return file.read(presets.SOURCE_BYTES)

    def _masked(self, text: str) -> str:
        # Line by line, so that lines keep their numbers.
        if not self.redactor.may_hold(text.encode("utf-8", "replace")):
            return text
        return "\n".join(map(self.redactor.redact, text.split("\n")))


def _forgotten(known: Mapping[bytes, Source]) -> list[bytes]:
    """Files from elsewhere that nobody has named for long."""
    named = [source for source in known.values() if source.is_named]
    named.sort(key=lambda source: source.looked, reverse=True)
    return [source.path for source in named[presets.NAMED_KEPT :]]


def _source(path: bytes, seen: os.stat_result, looked: int) -> Source:
    times = seen.st_mtime_ns, seen.st_ctime_ns
    return Source(path, seen.st_size, *times, looked, b"")


def _is_same(source: Source, known: Source | None) -> bool:
    if known is None or known.is_named:
        return False
    same = (source.size, source.modified, source.changed)
    return same == (known.size, known.modified, known.changed) and (
        max(known.modified, known.changed) < known.looked - _TICK
    )


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def digest_of_all(sources: Iterator[Source]) -> str:
    """One digest of what many files say."""
    digest = hashlib.blake2b(digest_size=16)
    for source in sorted(sources, key=lambda each: each.path):
        digest.update(len(source.path).to_bytes(8) + source.path + source.digest)
    return digest.hexdigest()
