"""Which file a command stands for, and why it can't be started."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from attrs import define

_SHEBANG_BYTES = 256  # what the kernel looks at (BINPRM_BUF_SIZE)
_ELF = b"\x7fELF"


@define(eq=False)
class NotExecutable(Exception):  # noqa: N818 - says what the file is
    """``command`` can't be started. ``problem`` completes "tool X ..."."""

    command: str
    problem: str

    def __str__(self) -> str:
        return f"'{self.command}' {self.problem}"


class Executables:
    """Finds programs on the PATH of one environment. What was found is remembered.

    What was not found is looked for again each time: somebody may install it.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = environ.get("PATH", os.defpath)
        self._found: dict[tuple[str, str | None, str], str] = {}

    def find(
        self, command: str, *, cwd: str | None = None, path: str | None = None
    ) -> str:
        """The absolute path. Raises `NotExecutable`, which explains why not.

        A command with a slash is relative to ``cwd``, as it is for the kernel;
        ``path`` stands in for the PATH of the environment.
        """
        path = self._path if path is None else path
        key = (command, cwd, path)
        found = self._found.get(key)
        if found is None:
            base = _absolute(cwd)
            found = self._found[key] = _search(command, base, path)
        return found

    def forget(self, command: str) -> None:
        """After a start failed: the next `find` looks again."""
        for key in [key for key in self._found if key[0] == command]:
            del self._found[key]


def why_not(file: str) -> str | None:
    """Why ``file`` can't be started, as far as a look at it tells; None: it seems fine."""
    try:
        mode = Path(file).stat().st_mode
    except FileNotFoundError:
        return f"does not exist: {file}"
    except OSError as error:
        return f"can't be looked at: {file}: {error.strerror}"
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        return f"is {kind}: {file}"
    if not os.access(file, os.X_OK):
        return f"is not executable: {file} (chmod +x {file})"
    return None


def wrong_inside(file: str) -> str | None:
    """What in the first bytes of an executable file keeps the kernel from running it."""
    try:
        with Path(file).open("rb") as opened:
            start = opened.read(_SHEBANG_BYTES)
    except OSError:
        return None  # executable but unreadable is legal
    if start.startswith(b"#!"):
        # Blanks part the words, for the kernel: a carriage return belongs to the name.
        words = start[2:].partition(b"\n")[0].replace(b"\t", b" ").split(b" ")
        named = os.fsdecode(next(filter(None, words), b""))
        if not os.path.exists(named):  # noqa: PTH110 - "" is no file
            name = named.rstrip("\r")
            line_end = " (the line ends in CR LF)" if name != named else ""
            return f"interpreter not found: {name or '(none)'}{line_end}"
        return None
    if start.startswith(_ELF):
        return "its loader is missing, or it was built for another machine"
    return "wrong format: neither a program of this machine nor a script with a #! line"


def _search(command: str, base: str, path: str) -> str:
    if not _is_name(command):
        raise NotExecutable(command, "is no name of a program")
    if "/" in command:
        file = os.path.join(base, command)  # noqa: PTH118 - keeps ".." as written
        problem = why_not(file)
        if problem is not None:
            raise NotExecutable(command, problem)
        return file
    return _on_path(command, base, path)


def _absolute(cwd: str | None) -> str:
    try:
        return os.path.abspath(cwd or ".")  # noqa: PTH100 - links stay links
    except FileNotFoundError:  # the present folder was deleted
        return "/"


def _is_name(command: str) -> bool:
    try:
        return bool(command) and b"\0" not in os.fsencode(command)
    except UnicodeEncodeError:
        return False


def _on_path(command: str, base: str, path: str) -> str:
    seen: str | None = None
    for folder in path.split(os.pathsep):
        # An empty entry means the current folder: a trap that nobody sets on purpose.
        if not folder:
            continue
        file = os.path.join(base, folder, command)  # noqa: PTH118
        problem = why_not(file)
        if problem is None:
            return file
        if seen is None and not problem.startswith("does not exist"):
            seen = problem
    raise NotExecutable(command, seen or "was not found on PATH")
