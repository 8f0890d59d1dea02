"""Processes as the kernel shows them: listed, looked at, signalled, started.

Standard library only and few imports, because the keeper, which is forked, uses it too.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PAGE = 4096
CHUNK = 64 * 1024
TICK = 1 / os.sysconf("SC_CLK_TCK")


def read(path: str) -> bytes:
    """A file of /proc, whole; b"" when it is gone or not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = chunk = os.read(fd, CHUNK)
        while chunk and len(data) >= PAGE:
            chunk = os.read(fd, CHUNK)
            data += chunk
    except OSError:
        return b""
    finally:
        os.close(fd)
    return data


def stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on; [] when it is gone.

    0 state, 1 parent, 2 group, 3 session, 11-14 CPU ticks (own, reaped), 19 start.
    """
    return read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def alive(pid: int) -> bool:
    """Whether a process exists and is more than a zombie."""
    return stat(pid)[:1] not in ([], [b"Z"], [b"X"])


def processes() -> list[int]:
    """Every pid that can be seen."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    except OSError:
        return []


def children(pid: int) -> list[int]:
    """The direct children of a process, zombies too."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        found += map(int, read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def scan() -> dict[int, list[int]]:
    """Children by parent, for kernels without /proc/PID/task/TID/children."""
    table: dict[int, list[int]] = {}
    for pid in processes():
        fields = stat(pid)
        if fields:
            table.setdefault(int(fields[1]), []).append(pid)
    return table


def has_children_files() -> bool:
    """Whether the kernel lists a task's children (CONFIG_PROC_CHILDREN)."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110


def descent(
    pid: int, offspring: Callable[[int], Iterable[int]] = children
) -> list[int]:
    """All descendants of a process, parents first."""
    found: list[int] = []
    front = [pid]
    while front:
        front = [child for parent in front for child in offspring(parent)]
        found += front
    return found


def send_signal(pid: int, number: int, known: Callable[[list[bytes]], bool]) -> None:
    """Signal a process if it is `known` by its `stat` fields; never raises.

    A pidfd pins the process before it is looked at, so that a pid which was reaped and
    given to a stranger meanwhile is never signalled.
    """
    fd = -1
    try:
        if hasattr(os, "pidfd_open"):
            fd = os.pidfd_open(pid)
        fields = stat(pid)
        if pid <= 1 or not fields or not known(fields):
            return
        if fd >= 0:
            signal.pidfd_send_signal(fd, number)
        else:
            os.kill(pid, number)
    except OSError:
        return
    finally:
        if fd >= 0:
            os.close(fd)


def kill_groups(pids: Iterable[int]) -> None:
    """SIGKILL the groups that these children of ours are in.

    One by one, a process that forks faster than we look would slip through; a group
    dies at once, forks under way included. Nobody else reaps our children, so their
    group can't be a stranger's; one that has no session yet is still in ours.
    """
    for pid in pids:
        try:
            group = os.getpgid(pid)
            if group > 1 and group != os.getpgrp():
                os.killpg(group, signal.SIGKILL)
        except OSError:
            continue


def session(leader: int) -> dict[int, bytes]:
    """Who lives in a session, with start times; nobody when it is another's by now."""
    members = {}
    for pid in processes():
        fields = stat(pid)
        if fields and fields[3] == b"%d" % leader and fields[0] not in {b"Z", b"X"}:
            members[pid] = fields[19]
    return members


def kill_abandoned(leader: int, keeper: int, keepers_session: int) -> list[int]:
    """SIGKILL a keeper that can't be talked to, its descent, its agent's session.

    Returns whom it found. The keeper is known by its session, the helper's.
    """
    family = session(leader) if leader > 1 else {}
    fields = stat(keeper) if keeper > 1 else []
    if fields and fields[3] == b"%d" % keepers_session:
        for pid in (*descent(keeper), keeper):
            family[pid] = b"".join(stat(pid)[19:20])
    for pid, born in family.items():
        send_signal(pid, signal.SIGKILL, lambda found, b=born: found[19] == b)  # type: ignore[misc]
    return [*family]


def spawn(
    path: bytes, argv: list[bytes], env: Mapping[bytes, bytes], fds: list[int]
) -> int:
    """Start a program in a session of its own, with default signals and three files.

    Raises what the exec raises. Nothing else is inherited if all else is close-on-exec.
    """
    default = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    if not hasattr(os, "posix_spawn"):
        return fork_and_exec(path, argv, env, fds, default)
    try:
        return os.posix_spawn(
            path,
            argv,
            env,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate(fds[:3])
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=default,
        )
    except NotImplementedError:  # a C library without POSIX_SPAWN_SETSID
        return fork_and_exec(path, argv, env, fds, default)


def fork_and_exec(
    path: bytes,
    argv: list[bytes],
    env: Mapping[bytes, bytes],
    fds: list[int],
    default: Iterable[int],
) -> int:
    """What `spawn` does, where posix_spawn can't. For single-threaded callers."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            for at, fd in enumerate(fds[:3]):
                os.dup2(fd, at)
            for number in default:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execve(path, argv, env)  # noqa: S606
        except OSError as error:
            os.write(tell, b"%d" % (error.errno or errno.EIO))
        finally:
            os._exit(127)
    os.close(tell)
    failure = os.read(told, 16)
    os.close(told)
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid
