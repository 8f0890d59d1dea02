"""Whether the limits of this user leave room for a full fleet."""

import os
import resource
from pathlib import Path
from typing import Final

from attrs import frozen

from muster.domain import presets
from muster.infrastructure.adapters.local_process import processes
from muster.infrastructure.doctor.finding import Finding

AGENTS: Final = presets.POOL_CAPACITY
# Measured with 1 and 21 agents: three pipes each, and up to two files that spool.
FILES_OF_OWN: Final = 64
FILES_PER_AGENT: Final = 5
# The keeper, the agent, and the threads that an agent CLI on Node starts.
TASKS_PER_AGENT: Final = 32
_CAP_SYS_RESOURCE: Final = 24
_PIPE_PAGES: Final = Path("/proc/sys/fs/pipe-user-pages-soft")
_PAGE: Final = 4096


@frozen
class Limits:
    """What the kernel grants; None is no limit, or one that can't be told."""

    files: int | None = None
    files_hard: int | None = None
    tasks: int | None = None
    tasks_used: int = 0
    pipe_pages: int | None = None


def read_limits() -> Limits:
    """The limits of this process."""
    files, files_hard = map(_bounded, resource.getrlimit(resource.RLIMIT_NOFILE))
    is_free = _is_privileged()
    tasks = None if is_free else _bounded(resource.getrlimit(resource.RLIMIT_NPROC)[0])
    return Limits(
        files,
        files_hard,
        tasks,
        0 if tasks is None else _tasks_of_this_user(),
        None if is_free else _number_in(_PIPE_PAGES),
    )


def judge_limits(limits: Limits, agents: int = AGENTS) -> list[Finding]:
    """What these limits mean for so many agents at once."""
    return [_files(limits, agents), _tasks(limits, agents), _pipes(limits, agents)]


def _files(limits: Limits, agents: int) -> Finding:
    subject = "open files"
    if limits.files is None:
        return Finding(subject, "ok", "no limit")
    room = max(0, (limits.files - FILES_OF_OWN) // FILES_PER_AGENT)
    if room >= agents:
        return Finding(subject, "ok", f"{limits.files}: enough for {agents} agents")
    needed = FILES_OF_OWN + agents * FILES_PER_AGENT
    what = f"{limits.files}: enough for {room} agents at once, {agents} need {needed}"
    if limits.files_hard is not None and limits.files_hard < needed:
        advice = "raise the hard limit (limits.conf, or the service's LimitNOFILE)"
    else:
        advice = f"`ulimit -n {max(1024, needed)}` before muster"
    return Finding(subject, "warning" if room else "problem", what, advice)


def _tasks(limits: Limits, agents: int) -> Finding:
    subject = "processes"
    if limits.tasks is None:
        return Finding(subject, "ok", "no limit for this user")
    left = max(0, limits.tasks - limits.tasks_used)
    room = left // TASKS_PER_AGENT
    what = f"{limits.tasks}, {limits.tasks_used} of them in use"
    if room >= agents:
        return Finding(subject, "ok", f"{what}: enough for {agents} agents")
    what += f": enough for about {room} agents at once"
    advice = f"`ulimit -u {limits.tasks_used + agents * TASKS_PER_AGENT}` before muster"
    return Finding(subject, "warning" if room else "problem", what, advice)


def _pipes(limits: Limits, agents: int) -> Finding:
    subject = "pipes"
    pages = limits.pipe_pages
    if not pages:  # 0 turns the limit off
        return Finding(subject, "ok", "no limit for this user")
    wide = pages * _PAGE // presets.STDOUT_PIPE_BYTES
    if wide >= agents:
        return Finding(subject, "ok", f"room for {agents} answers of 1 MiB")
    # No warning: an answer that goes through a file is as complete.
    what = (
        f"{wide} of {agents} agents get a pipe of 1 MiB; the answers of the others go "
        "through files, and nothing is lost"
    )
    return Finding(subject, "ok", what)


def _bounded(limit: int) -> int | None:
    return None if limit == resource.RLIM_INFINITY else limit


def _number_in(path: Path) -> int | None:
    text = processes.read(str(path)).strip()
    return int(text) if text.isdigit() else None


def _tasks_of_this_user() -> int:
    """The limit counts threads, of all processes that run as this user."""
    found, uid = 0, os.getuid()
    for pid in processes.processes():
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid:  # noqa: PTH116 - thousands of them
                found += len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
        except OSError:
            continue
    return found


def _is_privileged() -> bool:
    """Whether the kernel lets this process pass both limits."""
    for line in processes.read("/proc/self/status").splitlines():
        if line.startswith(b"CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return os.geteuid() == 0
