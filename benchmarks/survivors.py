"""Who outlives an agent: every way to escape, in every way that an agent can end.

    python -m benchmarks.survivors [--trials 200] [--user root|nobody|both] [--quick]

A survivor is whoever still holds the write end of a pipe that the agent was given, at
the moment `gone` is set (after the death of the host: two seconds later). Run as root it
does everything twice, the second time as an ordinary user.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from typing import Final

from benchmarks.figures import GOOD, MISSED
from tests.support.endings import WAYS, all_ways, host_death
from tests.support.escapes import ALL

NOBODY: Final = 65534
TRIALS: Final = 8
QUICK_TRIALS: Final = 1
AT_ONCE: Final = 3  # of each escape; more only makes the machine's queue longer
LATEST_CANCEL: Final = 0.05
LATEST_HOST_DEATH: Final = 0.5
# Agents that disable keeper and helper at once, and a host that is killed before it has
# noticed: then nobody is left to act. `leftovers` finds these at the next start.
BEYOND: Final = {"kills both", "stops both"}


async def count(trials: int, seed: int) -> int:
    """Print a line per way; the number of trials with survivors."""
    draw = random.Random(seed)  # noqa: S311 (moments, not secrets)
    total = 0
    for way in WAYS:
        begun, bad = time.monotonic(), []
        for done in range(0, trials, AT_ONCE):
            moments = [
                draw.uniform(0, LATEST_CANCEL)
                for _ in range(min(AT_ONCE, trials - done))
            ]
            bad += await all_ways(way, tuple(ALL), moments)
        report(way, bad, trials * len(ALL), begun)
        total += len(bad)
    names = [name for name in ALL if name not in BEYOND]
    begun, bad = time.monotonic(), []
    for _ in range(trials):
        wrong = await host_death(names, draw.uniform(0, LATEST_HOST_DEATH))
        bad += [wrong] if wrong else []
    report("host killed", bad, trials * len(names), begun)
    return total + len(bad)


def report(way: str, bad: list[str], runs: int, begun: float) -> None:
    seconds = time.monotonic() - begun
    label = f"{way}: survived, of {runs} runs ({seconds:.0f} s)"
    print(f"  {label:<58} {len(bad):8} {'':4} {'(at most 0)':<16}", end=" ")
    print(MISSED if bad else GOOD)
    for line in bad[:10]:
        print(f"    {line}")
    sys.stdout.flush()


def as_nobody(trials: int, seed: int) -> int:
    """The same in a fork that has given up its rights."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        code = 1
        try:
            code = min(asyncio.run(count(trials, seed)), 1)
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, help="200 say more, for an hour")
    parser.add_argument("--quick", action="store_true", help="two trials")
    parser.add_argument("--user", choices=("root", "nobody", "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trials = options.trials or (QUICK_TRIALS if options.quick else TRIALS)
    bad = 0
    print(f"\nsurvivors of {len(ALL)} escapes, {trials} trials each", flush=True)
    if os.getuid() != 0 or options.user != "nobody":
        print("as", "root:" if os.getuid() == 0 else f"user {os.getuid()}:", flush=True)
        bad += asyncio.run(count(trials, options.seed))
    if os.getuid() == 0 and options.user != "root":
        print(f"as user {NOBODY}:", flush=True)
        bad += as_nobody(trials, options.seed)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
