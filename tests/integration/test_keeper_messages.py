"""A launch arrives as it was sent, whatever is in it."""

import os
import signal
import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.infrastructure.adapters.local_process import station
from muster.infrastructure.adapters.local_process.child import Launch, LaunchError
from muster.infrastructure.adapters.local_process.launch_message import (
    absolute,
    encode_request,
    send_launch,
)

# What os.fsdecode can make of any bytes: undecodable ones become lone surrogates.
WORDS = st.binary(max_size=50).map(os.fsdecode)


def launch(argv: tuple[str, ...], env: dict[str, str], cwd: str | None = "/") -> Launch:
    return Launch(argv, "/bin/true", env, cwd, 0, 1, 2, signal.SIGTERM, 1.0)


@given(argv=st.lists(WORDS, max_size=5), env=st.dictionaries(WORDS, WORDS, max_size=5))
def test_words_travel_as_bytes(argv: list[str], env: dict[str, str]) -> None:
    """Every word comes out as the bytes that the kernel is to see."""
    kind, path, words, variables, cwd, stop_signal = station.decode(
        encode_request(launch(tuple(argv), env))
    )

    assert (kind, path, cwd, stop_signal) == (station.RUN, b"/bin/true", b"/", 15)
    assert words == [os.fsencode(word) for word in argv]
    assert variables == {os.fsencode(k): os.fsencode(v) for k, v in env.items()}


def test_what_is_no_file_name_is_refused() -> None:
    with pytest.raises(LaunchError):
        encode_request(launch(("\ud800",), {}))


@pytest.mark.parametrize("size", [10, station.MAX_MESSAGE, 1_500_000])
def test_long_requests_take_a_file_along(size: int) -> None:
    """Beyond what a packet holds, the request is in the fourth descriptor."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    read_end, write_end = os.pipe()
    long = Launch(
        ("x" * size,), "/bin/true", {}, "/", read_end, write_end, write_end, 15, 1.0
    )
    request = encode_request(long)
    with here, there:
        send_launch(here, request, long)
        data, fds, _, _ = socket.recv_fds(there, 2 * station.MAX_MESSAGE, 4)

    if len(fds) == 4:
        assert station.decode(data) == (station.IN_FILE,)
        assert station.read_all(fds[3]) == request
    else:
        assert data == request
    assert len(fds) == (4 if size >= station.MAX_MESSAGE else 3)
    for fd in (*fds, read_end, write_end):
        os.close(fd)


@pytest.mark.parametrize(
    ("cwd", "there"), [("/a/b", "/a/b"), (None, "{}"), ("a", "{}/a")]
)
def test_folders_are_absolute(cwd: str | None, there: str) -> None:
    """The keeper is elsewhere: a relative folder is the host's."""
    here = os.getcwd()  # noqa: PTH109

    assert absolute(cwd) == there.format(here)


def test_a_deleted_folder_has_a_name(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host whose folder was deleted can still start children in it."""
    monkeypatch.chdir(tmp_path)
    os.rmdir(tmp_path)  # noqa: PTH106

    assert absolute(None) == f"/proc/{os.getpid()}/cwd"


def test_the_script_is_light() -> None:
    """What the keeper imports, each keeper pays for in memory."""
    import subprocess  # noqa: PLC0415

    code = "import sys; before = set(sys.modules); import keeper; print(*sorted(set(sys.modules) - before))"
    folder = os.path.dirname(station.__file__)  # noqa: PTH120
    path = f"import sys; sys.path.append({folder!r}); "
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", path + code],
        capture_output=True,
        text=True,
        check=True,
    )

    heavy = {"enum", "typing", "re", "collections", "socket", "signal", "subprocess"}
    assert heavy & set(said.stdout.split()) == set()
