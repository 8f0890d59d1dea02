"""Three steps of Ctrl-C, on a fleet that only writes down what it is told."""

import asyncio
import signal

import pytest

from muster.infrastructure.cli.signals import Interruptions


class Fleet:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def drain(self, reason: str = "") -> None:
        """Starts nothing new."""
        self.told.append("drain")

    def stop(self, reason: str = "") -> None:
        """Ends what runs."""
        self.told.append("stop")


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
CASES = [
    ([INT], ["drain"], 130),
    ([INT, INT], ["drain", "stop"], 130),
    ([INT, INT, INT], ["drain", "stop", "leave", "exit 130"], 130),
    ([TERM], ["stop"], 143),
    ([HUP], ["stop"], 129),
    ([TERM, INT], ["stop", "leave", "exit 143"], 143),
    ([INT, TERM], ["drain", "stop"], 130),
    ([HUP, HUP], ["stop", "leave", "exit 129"], 129),
]


@pytest.mark.parametrize(("signals", "told", "code"), CASES, ids=str)
def test_what_follows_signals(
    signals: list[signal.Signals], told: list[str], code: int
) -> None:
    """The first one names the exit code, and each goes a step further."""
    fleet = Fleet()
    said: list[str] = []
    interruptions = Interruptions(
        fleet,
        said.append,
        lambda: 3,
        lambda: fleet.told.append("leave"),
        lambda number: fleet.told.append(f"exit {number}"),
    )

    for number in signals:
        interruptions.receive(number)

    assert fleet.told == told
    assert interruptions.code == code
    assert "3" in said[0]


def test_lost_output_stops_and_leaves_one_step_of_ctrl_c() -> None:
    """There is nothing left to finish for."""
    fleet, exits = Fleet(), []
    interruptions = Interruptions(
        fleet, lambda _: None, lambda: 0, exit_now=exits.append
    )

    interruptions.lost("stdout can't be written")
    interruptions.receive(INT)

    assert fleet.told == ["stop"]
    assert exits == [130]


async def test_handlers_are_taken_away_again() -> None:
    """And a signal that is ignored on purpose gets none."""
    before = signal.getsignal(INT), signal.getsignal(TERM)
    old = signal.signal(HUP, signal.SIG_IGN)
    try:
        interruptions = Interruptions(Fleet(), lambda _: None, lambda: 0)
        with interruptions.handled(asyncio.get_running_loop()):
            assert signal.getsignal(TERM) != before[1]
            assert signal.getsignal(HUP) is signal.SIG_IGN
        assert signal.getsignal(TERM) == before[1]
        assert signal.getsignal(HUP) is signal.SIG_IGN
    finally:
        signal.signal(HUP, old)
        signal.signal(INT, before[0])
