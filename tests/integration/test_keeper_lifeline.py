"""A keeper starts nothing for a host that is gone, and ends what it has started."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from muster.domain import presets
from muster.infrastructure.adapters.local_process import helper, station
from muster.infrastructure.adapters.local_process.launch_message import (
    encode_request,
    send_launch,
    send_with,
)
from tests.support.endings import launch
from tests.support.escapes import Leash, command

BOUND = 2.0


class Host:
    """What a host does, by hand: a helper, and the request for one keeper."""

    def __init__(self) -> None:
        self.control, other = pair()
        with other:
            self.process = helper.launch(sys.executable, other.fileno(), "")
        self.null = os.open(os.devnull, os.O_RDWR)

    def fork_keeper(self, end: socket.socket) -> None:
        with end:
            send_with(self.control, station.encode(station.FORK, 1), [end.fileno()])

    def run(self, keeper: socket.socket, stdin: int, *argv: str) -> None:
        # A signal that ends nobody, so that what was started can be seen to be.
        order = evolve(launch(argv, stdin, self.null), stop_signal=signal.SIGCONT)
        send_launch(keeper, encode_request(order), order)

    def wait(self) -> int:
        return self.process.wait(BOUND)

    def close(self) -> None:
        self.control.close()
        self.process.kill()
        self.process.wait()
        os.close(self.null)


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


def test_nothing_is_started_for_a_host_that_hung_up(host: Host, tmp_path: Path) -> None:
    """The request is there, and behind it the end of the host: it is not obeyed."""
    ours, keepers = pair()
    host.run(ours, host.null, "/usr/bin/touch", str(tmp_path / "started"))
    ours.close()

    host.fork_keeper(keepers)
    host.control.close()

    assert host.wait() == 0
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("name", ["plain", "deaf daemon", "session hopper"])
def test_an_agent_ends_when_its_host_hangs_up(host: Host, name: str) -> None:
    """Politely first, then at once; the keeper does not mind that nobody listens."""
    leash = Leash()
    ours, keepers = pair()
    host.run(ours, leash.end, *command(name))
    leash.let_go()
    host.fork_keeper(keepers)
    assert station.decode(ours.recv(100))[0] == station.STARTED

    ours.close()

    assert leash.is_free_within(presets.HOST_DEATH_GRACE + 1.0)
    leash.close()


def test_the_helper_of_a_dead_host_does_not_stay() -> None:
    """One that was given the pid of a parent that is no more ends at once."""
    ours, other = pair()
    with ours, other:
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                helper.SCRIPT,
                str(other.fileno()),
                "1",
                "0:0:0:0",
            ],
            pass_fds=(other.fileno(),),
            timeout=BOUND * 5,
            check=False,
        )

    assert done.returncode == 0
