"""A HOME for each agent, where a tool's agents get in each other's way in a common one.

A home is a private folder with links to what the agent needs of the user's: logins,
settings, git's. It is used again by the next agent of the tool, so that the tool sets
itself up once for each agent that runs at a time, and goes with the fleet. Sessions
that a tool keeps in its home are not found from another one.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from pathlib import Path
from typing import Final

from attrs import define, field

from muster.domain.tool import ToolSpec

_ALWAYS: Final = ("~/.gitconfig", "~/.config/git", "~/.ssh")
# They would lead back to what all have in common.
_BASE_FOLDERS: Final = (
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)


@define(eq=False)
class Home:
    """One agent's home until it is given back, which may be done twice."""

    path: Path
    number: int
    free: list[int] | None

    def give_back(self) -> None:
        """The next agent may have it."""
        free, self.free = self.free, None
        if free is not None:
            heappush(free, self.number)


@define(eq=False)
class Homes:
    """The homes of one fleet. ``folder`` gives a private folder, when first needed."""

    folder: Callable[[], str]
    _free: dict[str, list[int]] = field(factory=dict, init=False)
    _made: dict[str, int] = field(factory=dict, init=False)

    def take(self, spec: ToolSpec, env: Mapping[str, str]) -> Home:
        """A home that nobody else has, with the user's files linked. Raises OSError."""
        free = self._free.setdefault(spec.name, [])
        if free:
            number = heappop(free)
        else:
            number = self._made[spec.name] = self._made.get(spec.name, 0) + 1
        home = Home(self._path(spec.name, number), number, free)
        try:
            home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _furnish(home.path, spec, env.get("HOME", ""))
        except OSError:
            home.give_back()
            raise
        return home

    def _path(self, tool: str, number: int) -> Path:
        # A tool's name may hold whatever no path may.
        digest = hashlib.sha256(tool.encode(errors="surrogatepass")).hexdigest()
        return Path(self.folder(), f"home-{digest[:16]}-{number}")


def at_home(env: Mapping[str, str], home: Home) -> dict[str, str]:
    """The environment of an agent that lives there."""
    kept = {name: each for name, each in env.items() if name not in _BASE_FOLDERS}
    return kept | {"HOME": str(home.path)}


def _furnish(home: Path, spec: ToolSpec, users: str) -> None:
    if not users:
        return
    for name in (*_ALWAYS, *spec.login_files, *spec.home_files):
        if not name.startswith("~/"):
            continue
        theirs, ours = Path(users, name[2:]), home / name[2:]
        # The last agent may have put a file of its own in the place of a link.
        if ours.is_symlink() or ours.exists() or not theirs.exists():
            continue
        ours.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.symlink(theirs, ours)  # noqa: PTH211 - a link as it is named
