"""A launch as it travels to a keeper: encoded here, unpacked by `keeper`."""

import array
import contextlib
import errno
import os
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping

from muster.infrastructure.adapters.local_process import station
from muster.infrastructure.adapters.local_process.child import Launch, LaunchError


def send_launch(to: socket.socket, request: bytes, launch: Launch) -> None:
    """Hand a request over with the child's files; in a file where it is long."""
    files = [launch.stdin, launch.stdout, launch.stderr]
    if len(request) <= station.MAX_MESSAGE:
        send_with(to, request, files)
        return
    with anonymous_file() as fd:
        write_all(fd, request)
        send_with(to, station.encode(station.IN_FILE), [*files, fd])


def send_with(to: socket.socket, message: bytes, files: Iterable[int]) -> None:
    """Send a message and a copy of these descriptors, which stay ours to close."""
    rights = array.array("i", files)
    to.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


@contextlib.contextmanager
def anonymous_file() -> Iterator[int]:
    if hasattr(os, "memfd_create"):  # a full disk is no reason not to start
        fd = os.memfd_create("muster-launch")
        try:
            yield fd
        finally:
            os.close(fd)
    else:
        with tempfile.TemporaryFile(buffering=0) as file:
            yield file.fileno()


def encode_request(launch: Launch) -> bytes:
    """A launch as a keeper reads it: bytes, so that no locale matters there."""
    try:
        return station.encode(
            station.RUN,
            os.fsencode(launch.executable),
            [os.fsencode(word) for word in launch.argv],
            encode_environment(launch.env),
            os.fsencode(absolute(launch.cwd)),
            int(launch.stop_signal),
        )
    except UnicodeEncodeError as error:
        raise LaunchError(errno.EILSEQ, launch.executable, "exec") from error


def encode_environment(env: Mapping[str, str]) -> dict[bytes, bytes]:
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    return {
        name.encode(encoding, errors): value.encode(encoding, errors)
        for name, value in env.items()
    }


def absolute(cwd: str | None) -> str:
    """The folder to start in, by a name that holds in another process."""
    if cwd is not None and cwd.startswith("/"):
        return cwd
    try:
        here = os.getcwd()  # noqa: PTH109 (30 us less per start)
    except OSError:  # deleted under us: a child could still be started in it
        here = f"/proc/{os.getpid()}/cwd"
    return f"{here}/{cwd}" if cwd else here


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
