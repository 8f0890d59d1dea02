"""The halt that stands in a file: whoever may write the project's data may pull it.

The file is there: operations are halted, and its text is the reason. `lift` moves it
aside, so that a halt that was lifted again leaves a trace for those who were looking.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from attrs import frozen

from muster.domain import presets
from muster.domain.terminal_text import strip_terminal
from muster.infrastructure.data_folder import make_home
from muster.infrastructure.durable_file import sync_folders, write_durably

NAME: Final = "halt"
_LIFTED: Final = ".lifted"
_UNNAMED: Final = "no reason was given"
# Neither waits for a pipe's writer, nor follows a link out of the folder.
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

Mark = tuple[int, int] | None


@frozen
class HaltFile:
    """One halt file. Looking at it costs one system call while nobody halts."""

    path: Path

    def reason(self) -> str | None:
        """Why operations are halted, or None. What can't be read is a halt, and says so."""
        try:
            return self._text()
        except FileNotFoundError:
            return None
        except OSError as exc:
            return (
                f"the halt file {self.path} can't be read ({exc.strerror}), "
                "which counts as a halt"
            )

    def pull(self, reason: str) -> None:
        """Halts; a halt that was there gets the new reason. Raises OSError."""
        make_home(self.path.parent)
        write_durably(self.path, f"{reason}\n".encode("utf-8", "replace"))
        sync_folders([self.path.parent])

    def lift(self) -> bool:
        """No longer halted; whether it was. Raises OSError."""
        try:
            self.path.replace(self._trace)
            # A new time even if this file was lifted before: whoever looks must notice.
            os.utime(self._trace)
            sync_folders([self.path.parent])
        except FileNotFoundError:
            return False
        return True

    def mark(self) -> Mark:
        """Differs after each halt that was lifted."""
        try:
            found = os.lstat(self._trace)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def lifted_reason(self) -> str:
        """Why operations were halted the last time."""
        try:
            return _text_of(self._trace)
        except OSError:
            return _UNNAMED

    @property
    def _trace(self) -> Path:
        return self.path.with_name(self.path.name + _LIFTED)

    def _text(self) -> str:
        # A pipe would be read as empty, and a folder not at all.
        if not stat.S_ISREG(os.lstat(self.path).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return _text_of(self.path)


def _text_of(path: Path) -> str:
    descriptor = os.open(path, _READ)
    try:
        data = os.read(descriptor, presets.HALT_REASON_BYTES)
    finally:
        os.close(descriptor)
    text = strip_terminal(data.decode("utf-8", "replace"))
    return " ".join(text.split()) or _UNNAMED
