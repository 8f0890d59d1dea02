"""Why a program was not started: one table from errno to `Failure`."""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from muster.domain.outcome import Failure, FailureCause
from muster.infrastructure.adapters.local_process.child import LaunchError
from muster.infrastructure.adapters.local_process.executables import (
    why_not,
    wrong_inside,
)

_ARGUMENT_BYTES = 128 * 1024  # MAX_ARG_STRLEN of Linux, fixed since 2.6.23


class RequestRejectedError(Exception):
    """Nothing was started: ``failure`` says what is wrong with the request."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def rejected(message: str) -> RequestRejectedError:
    """The request itself is at fault; trying again can't help."""
    return RequestRejectedError(Failure(FailureCause.INVALID_REQUEST, message))


def failure_to_start(
    error: OSError,
    *,
    executable: str,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    cwd: str | None,
) -> Failure:
    """What an OSError at the start means. Looks at the files that it may be about."""
    code = error.errno or 0
    stage = error.stage if isinstance(error, LaunchError) else "exec"
    if code == errno.E2BIG:
        return Failure(FailureCause.INVALID_REQUEST, _too_big(argv, env))
    if code in _ABOUT_FILES and stage != "fork":
        problem = None if cwd is None else wrong_with_folder(cwd)
        if problem is None and stage == "cwd":
            problem = f"cwd can't be entered: {cwd}: {os.strerror(code)}"
        if problem is not None:
            return Failure(FailureCause.INVALID_REQUEST, problem)
        return Failure(FailureCause.TOOL_NOT_FOUND, _about_file(error, executable))
    cause, explain = _TABLE.get(code, _OTHERWISE)
    return Failure(cause, explain(error, executable))


def wrong_with_folder(cwd: str) -> str | None:
    """Why nothing can run in ``cwd``; None when it can."""
    folder = Path(cwd)
    try:
        if not folder.is_dir():
            reason = "is not a directory" if folder.exists() else "does not exist"
            return f"cwd {reason}: {cwd}"
    except OSError as error:
        return f"cwd can't be looked at: {cwd}: {error.strerror}"
    return None if os.access(cwd, os.X_OK) else f"cwd may not be entered: {cwd}"


Explain = Callable[[OSError, str], str]


def _about_file(error: OSError, executable: str) -> str:
    problem = why_not(executable)
    if problem is None and error.errno in (errno.ENOENT, errno.ENOEXEC):
        inside = wrong_inside(executable)
        problem = f"can't be started: {executable}: {inside}" if inside else None
    return f"tool {problem or f'can not be started: {_plain(error, executable)}'}"


def _plain(error: OSError, executable: str) -> str:
    return f"{executable}: {os.strerror(error.errno or errno.EIO)}"


def _no_more(what: str, advice: str) -> Explain:
    def explain(error: OSError, executable: str) -> str:
        name = errno.errorcode.get(error.errno or 0, "?")
        return f"can't start {executable}: {what} ({name}); {advice}"

    return explain


def _too_big(argv: tuple[str, ...], env: Mapping[str, str]) -> str:
    sizes = [len(os.fsencode(word)) + 1 for word in argv]
    env_bytes = sum(len(os.fsencode(n)) + len(os.fsencode(env[n])) + 2 for n in env)
    return (
        f"arguments and environment are too big: {sum(sizes)} + {env_bytes} bytes, the "
        f"longest argument {max(sizes)}; the kernel takes {_ARGUMENT_BYTES} bytes for one "
        f"and {_argument_limit()} for all"
    )


def _argument_limit() -> int:
    try:
        return os.sysconf("SC_ARG_MAX")
    except (OSError, ValueError):
        return _ARGUMENT_BYTES


_ABOUT_FILES = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.ENOEXEC,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EPERM,
        errno.ENAMETOOLONG,
        errno.ELIBBAD,
    }
)
_FEWER = "run fewer agents at once"
# A machine that has no more of something is a resource that comes back, so the task
# may be tried again: out_of_memory is the cause of that category that fits best.
_TABLE: Mapping[int, tuple[FailureCause, Explain]] = {
    errno.EAGAIN: (
        FailureCause.OUT_OF_MEMORY,
        _no_more("no more processes may be started", f"{_FEWER}, or raise `ulimit -u`"),
    ),
    errno.ENOMEM: (FailureCause.OUT_OF_MEMORY, _no_more("out of memory", _FEWER)),
    errno.EMFILE: (
        FailureCause.OUT_OF_MEMORY,
        _no_more("out of file descriptors", f"{_FEWER}, or raise `ulimit -n`"),
    ),
    errno.ENFILE: (
        FailureCause.OUT_OF_MEMORY,
        _no_more("the machine is out of file descriptors", _FEWER),
    ),
    errno.ENOSPC: (
        FailureCause.DISK_FULL,
        _no_more("the disk is full", "make room"),
    ),
    errno.EDQUOT: (
        FailureCause.DISK_FULL,
        _no_more("the disk quota is used up", "make room"),
    ),
    # Somebody is writing the program just now.
    errno.ETXTBSY: (
        FailureCause.UNKNOWN,
        _no_more("its file is being written", "try again"),
    ),
}
_OTHERWISE: tuple[FailureCause, Explain] = (
    FailureCause.UNKNOWN,
    lambda error, executable: f"can't start {_plain(error, executable)}",
)
