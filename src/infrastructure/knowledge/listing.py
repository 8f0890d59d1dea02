"""The files of a project that version control would keep.

Where git is there and knows the folder, it is asked; else the `.gitignore` files are
read here, by the rules of git.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

from muster.domain import presets
from muster.infrastructure.knowledge.gitignore import Rules

# A repository may name a program of its own here, which git would run for a listing.
_NO_PROGRAMS: Final = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_ASKED: Final = (
    "ls-files", "-z", "--cached", "--others", "--exclude-standard",
)  # fmt: skip
_NEVER: Final = frozenset((".git", ".hg", ".svn", ".jj", ".muster"))
# What nobody who forgets a `.gitignore` wants to read either.
_MADE: Final = frozenset(
    ("node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", ".cache")
)
_ENVIRONMENT: Final = ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "SYSTEMROOT")


@frozen
class Listing:
    """Names the files of a project, from its folder, with slashes.

    ``left_out`` are folders below it. ``environ`` is where git is looked for.
    """

    project: Path
    left_out: tuple[Path, ...] = ()
    environ: Mapping[str, str] = field(factory=lambda: os.environ)

    def files(self) -> list[str]:
        """Sorted, each once, at most `presets.SOURCES`; some may be gone already.

        Links are no files of the project: what they lead to is, if it is in there.
        """
        # A project that lies in an ignored folder of another one is not empty.
        found = self._by_git() or self._by_walk()
        prefixes = tuple(f"{each}/" for each in self._left_out())
        kept = {name for name in found if not _is_never(name)}
        names = sorted(name for name in kept if not name.startswith(prefixes))
        return names[: presets.SOURCES]

    def _left_out(self) -> Iterator[str]:
        for folder in self.left_out:
            if folder.is_relative_to(self.project):
                yield folder.relative_to(self.project).as_posix()

    def _by_git(self) -> list[str]:
        # No variable of another repository (GIT_DIR and the like) reaches it.
        environ = {
            name: value for name, value in self.environ.items() if name in _ENVIRONMENT
        }
        environ |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and no word of a stranger
                ["git", *_NO_PROGRAMS, "-C", os.fspath(self.project), *_ASKED],  # noqa: S607
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=presets.LISTING_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return []
        if done.returncode:
            return []
        return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]

    def _by_walk(self) -> list[str]:
        found: list[str] = []
        waiting = [("", Rules())]
        while waiting and len(found) < presets.SOURCES:
            folder, rules = waiting.pop()
            rules = rules.within(self.project, folder)
            for entry in _entries(self.project / folder):
                name = f"{folder}{entry.name}"
                if entry.is_symlink():
                    continue
                if entry.is_dir():
                    if entry.name not in _MADE | _NEVER and not rules.ignores(
                        f"{name}/"
                    ):
                        waiting.append((f"{name}/", rules))
                elif not rules.ignores(name):
                    found.append(name)
        return found


def _is_never(name: str) -> bool:
    return not _NEVER.isdisjoint(name.split("/"))


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
