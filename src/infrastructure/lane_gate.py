"""What the muster processes of one user tell each other about lanes: a file per lane.

Nothing here may stop a run: a folder that can't be written, a file that holds
garbage, a lock that somebody sits on mean at worst that this process is alone,
and ``problem`` says why.
"""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import asdict, define, evolve, field

from muster.domain.lane_notice import LaneNotice

_MAX_BYTES = 4096
_MAX_TEXT = 300
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC
_TIMES = ("gate_until", "rate", "parked_until", "written_at")
_Stamp = tuple[int, int, int]


@define(eq=False)
class FileLaneGate:
    """Notices in ``folder``; ``writer`` names this process, whose own are not read.

    `read` costs one stat while a file is unchanged. Not for several threads.
    """

    folder: Path = field(converter=Path)
    writer: str = field(factory=lambda: f"{os.getpid()}-{os.urandom(6).hex()}")
    problem: str | None = field(default=None, init=False)
    _seen: dict[str, tuple[_Stamp, LaneNotice | None]] = field(factory=dict, init=False)
    _paths: dict[str, str] = field(factory=dict, init=False)

    def read(self, lane: str) -> LaneNotice | None:
        """The latest notice of anybody else; None when there is none to be had."""
        notice = self._latest(lane)
        return None if notice is None or notice.writer == self.writer else notice

    def publish(self, lane: str, notice: LaneNotice) -> None:
        """Replaces the lane's notice; longer waits that stand there stay.

        A notice without any wait or rate withdraws whatever stands there.
        """
        try:
            self._make_folder()
            path = self._path_of(lane)
            with _locked(f"{path}.lock"):
                self._replace(path, self._merged(lane, notice))
        except OSError as error:
            self._failed(error)

    def _merged(self, lane: str, notice: LaneNotice) -> LaneNotice:
        news = _checked(asdict(evolve(notice, writer=self.writer)))
        old = self._latest(lane)
        if old is None or not (news.gate_until or news.parked_until or news.rate):
            return news
        is_parked_longer = (old.parked_until or 0.0) > (news.parked_until or 0.0)
        return evolve(
            news,
            gate_until=_later(news.gate_until, old.gate_until),
            parked_until=_later(news.parked_until, old.parked_until),
            reason=old.reason if is_parked_longer else news.reason,
        )

    def _latest(self, lane: str) -> LaneNotice | None:
        path = self._path_of(lane)
        try:
            # Half the cost of pathlib's, and this is asked before most starts.
            found = os.stat(path, follow_symlinks=False)  # noqa: PTH116
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            seen = self._seen.get(lane)
            if seen is None or seen[0] != stamp:
                seen = self._seen[lane] = (stamp, self._parse(_content(path)))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._failed(error)
            return None
        return seen[1]

    def _parse(self, content: bytes) -> LaneNotice | None:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            self._failed("a lane's file holds garbage and is ignored")
            return None
        return _checked(document)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def _replace(self, path: str, notice: LaneNotice) -> None:
        new = f"{path}.{self.writer}.new"
        # A left-over or a planted link of that name is not written through.
        Path(new).unlink(missing_ok=True)
        target = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        try:
            with os.fdopen(target, "wb") as file:
                file.write(json.dumps(asdict(notice)).encode())
            Path(new).replace(path)
        except OSError:
            Path(new).unlink(missing_ok=True)
            raise

    def _path_of(self, lane: str) -> str:
        path = self._paths.get(lane)
        if path is None:
            # A lane's name holds whatever a tool or an account is called.
            digest = hashlib.sha256(lane.encode(errors="surrogatepass")).hexdigest()
            path = self._paths[lane] = str(self.folder / f"{digest[:32]}.json")
        return path

    def _failed(self, why: object) -> None:
        self.problem = self.problem or f"lanes are not shared: {why}"


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
    try:
        # Never waits: a stopped process that holds the lock must not stop this
        # one. Without it the file is still whole (it is replaced, not written),
        # only a wait that is published at the same instant may be lost.
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _content(path: str) -> bytes:
    # Not blocking: a FIFO of that name would hold the open for ever.
    source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _FLAGS)
    try:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return b""
        return os.read(source, _MAX_BYTES)
    finally:
        os.close(source)


def _checked(document: dict[str, Any]) -> LaneNotice:
    times: dict[str, Any] = {name: _number(document.get(name)) for name in _TIMES}
    return LaneNotice(
        **times,
        reason=_text(document.get("reason")),
        writer=_text(document.get("writer")),
    )


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(filter(str.isprintable, value))[:_MAX_TEXT]


def _later(one: float | None, other: float | None) -> float | None:
    return max(one or 0.0, other or 0.0) or None
