"""The choice of a containment: how families of processes are held and ended.

`keeper` (the default) leaves nobody behind, whoever dies. `group` needs no process
besides the agents, and lets escape what leaves its process group.
"""

import socket
import subprocess
import sys
from typing import Final, Literal, get_args

from muster.domain.errors import ConfigError
from muster.infrastructure.adapters.local_process.child import (
    Child,
    Containment,
    Gone,
    Launch,
    LaunchError,
)
from muster.infrastructure.adapters.local_process.group import GroupContainment
from muster.infrastructure.adapters.local_process.helper import SCRIPT
from muster.infrastructure.adapters.local_process.keeper_pool import KeeperPool

__all__ = [
    "Child",
    "Containment",
    "Gone",
    "Kind",
    "Launch",
    "LaunchError",
    "capabilities",
    "choose",
    "degradations",
]

Kind = Literal["keeper", "group"]
PROBE_BOUND: Final = 10.0

_WITHOUT: Final = {
    "subreaper": (
        "no process can adopt orphans here: a daemon that leaves its session and clears "
        "its environment may survive its agent"
    ),
    "children": (
        "the kernel does not list children: ending a family scans all processes"
    ),
    "pidfd": (
        "no pidfd: the death of muster is noticed within 0.1 s or when its sockets "
        "close, and a signal could reach a process that took a dead one's number"
    ),
    "posix_spawn": "no posix_spawn with sessions: every start costs a fork",
}
_GROUP: Final = (
    "a process that leaves its agent's process group may survive it",
    "agents survive a muster that is killed with SIGKILL",
)
_NO_SEQPACKET: Final = (
    "no sequenced packets between processes here: keepers are not available, and the "
    'containment "group" takes their place'
)


def choose(kind: str = "keeper") -> Containment:
    """A containment of this kind; the nearest one that the platform has."""
    if kind not in get_args(Kind):
        problem = f"containment is one of {', '.join(get_args(Kind))}, not {kind!r}"
        raise ConfigError(problem)
    if kind == "group" or not _has_keepers():
        return GroupContainment()
    return KeeperPool()


def capabilities(without: str = "") -> frozenset[str]:
    """The mechanisms that keepers find on this machine, by asking one. Blocks ~20 ms."""
    if not _has_keepers():
        return frozenset()
    try:
        answer = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-S", SCRIPT, "--probe", without],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_BOUND,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    return frozenset(answer.stdout.decode().split())


def degradations(kind: str = "keeper", *, without: str = "") -> tuple[str, ...]:
    """In words, what may survive here; () when nothing may."""
    if kind == "group":
        return _GROUP
    if not _has_keepers():
        return (_NO_SEQPACKET, *_GROUP)
    found = capabilities(without)
    return tuple(words for name, words in _WITHOUT.items() if name not in found)


def _has_keepers() -> bool:
    return hasattr(socket, "SOCK_SEQPACKET") and sys.platform.startswith("linux")
