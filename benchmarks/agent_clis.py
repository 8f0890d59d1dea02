"""Real agent CLIs: how soon muster knows what is wrong, and who outlives a tool call.

    python -m benchmarks.agent_clis [TOOL...] [--trials 50] [--quick]

Counted is the time from the server's first refusal (or its silence) to the returned
result, the family ended and all. Beside it: how long the recorded run of the same tool
lasted on its own. Survivors are looked for two seconds after the end.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen

from benchmarks.figures import Report
from muster import Fleet, SpawnPolicy, SpawnResult, SpawnTask, TimeoutPolicy
from muster.domain import presets
from muster.infrastructure.adapters.local_process.tool_specs import built_in
from tests.support.agent_cli_kills import WAYS, killing
from tests.support.agent_clis import MODELS, NAMES, NOBODY, Place, missing
from tests.support.model_server import ModelServer, Script

CORPUS: Final = Path(__file__).parents[1] / "tests" / "data" / "corpus"
PERMANENT: Final = 10.0  # seconds
FIRST_BYTE: Final = 10.0
SILENCE: Final = 5.0
ENDING: Final = 2.5  # from a verdict to the last process: the grace, and half a second
# Work is a sign of life, and its CPU time is looked at so often: what opencode does
# behind its request is noticed up to that much later.
LOOK: Final = min(FIRST_BYTE, SILENCE) * presets.SILENCE_WARNING_FRACTION
HOST_DEATH: Final = 2.0
LIMITS: Final = TimeoutPolicy(
    "fixed", 300, first_output_timeout=FIRST_BYTE, no_activity_timeout=SILENCE
)


@frozen
class Case:
    """What the server does, and the recordings of it; None: nobody listens."""

    name: str
    turn: str | None
    causes: tuple[str, ...]
    recorded: tuple[str, ...]
    is_quick: bool = False


CASES: Final = (
    Case("401", "unauthorized", ("auth",), ("e401",), is_quick=True),
    # claude takes a 403 for a login that doesn't work.
    Case("403", "forbidden", ("forbidden", "auth"), ("e403",)),
    Case("404", "not_found", ("invalid_model",), ("e404",)),
    Case("quota", "quota", ("quota",), ("quota", "equota", "eusage", "e402")),
    Case("refused", None, ("network",), ("refused", "closed")),
    Case("hang", "hang", ("no_activity",), ("hang-long", "hang")),
    Case(
        "hang in stream",
        "hang_in_stream",
        ("no_activity",),
        ("hangmid-long", "hangmid"),
        is_quick=True,
    ),
)


def alone(name: str, case: Case) -> str:
    """How long the recorded run lasted."""
    for stem in case.recorded:
        for form in ("", ".text"):
            file = CORPUS / name / f"{stem}{form}.meta.json"
            if file.exists():
                meta: Mapping[str, Any] = json.loads(file.read_text())
                over = "over " if meta["timed_out"] else ""
                return f"alone {over}{meta['elapsed']:.0f} s"
    return "alone: not recorded"


async def ask(
    name: str, place: Place, turn: str, url: str | None = None
) -> tuple[SpawnResult, float, float]:
    """One attempt; seconds until the first request, and from there to the result."""
    policy = attrs.evolve(SpawnPolicy.preset("default"), timeout=LIMITS)
    task = SpawnTask("Say hi.", cwd=str(place.work), model=MODELS[name])
    async with ModelServer(Script.of(turn, tools_only=True)) as server:
        async with Fleet.open(place.settings(name, url or server.url)) as fleet:
            began = time.monotonic()
            result = await fleet.spawn(task, tool=name, policy=policy)
            over = time.monotonic()
        asked = next((each.at for each in server.requests if each.offers_tools), over)
    return result, asked - began, over - asked


async def verdict(name: str, place: Place, case: Case, start: float) -> float:
    """Seconds; where there is no server, those beyond the usual start."""
    if case.turn is None:
        result, until_asked, _ = await ask(name, place, "ok", NOBODY)
        took = max(0.0, until_asked - start)
    else:
        result, _, took = await ask(name, place, case.turn)
    assert result.failure is not None, result
    assert result.failure.cause.value in case.causes, result.failure
    return took


def bound(name: str, case: Case) -> float:
    """The most that a verdict may take."""
    if case.turn is None:
        # It may come back: for so long the tool's own retries are watched.
        return (built_in(name).retry_patience or 0.0) + ENDING
    if not case.turn.startswith("hang"):
        return PERMANENT
    # Who prints whole messages only is as silent in its first turn as in a hang.
    in_stream = case.turn == "hang_in_stream" and not built_in(name).silent_turns
    return (SILENCE if in_stream else FIRST_BYTE) + LOOK + ENDING


def detection(report: Report, name: str, folder: Path, *, quick: bool) -> None:
    """One figure a case."""
    place = Place(folder)
    for _ in range(2):  # the first start sets the home up
        result, start, _ = asyncio.run(ask(name, place, "ok"))
        assert result.success, result
    for case in CASES:
        if quick and not case.is_quick:
            continue
        label = f"{name}, {case.name} ({alone(name, case)})"
        took = asyncio.run(verdict(name, place, case, start))
        report.figure(label, took, bound(name, case), "s")


async def survivors(name: str, folder: Path, way: str, trials: int) -> list[str]:
    """Who was left, over all trials."""
    left: list[str] = []
    patience = HOST_DEATH if way == "host killed" else 0.0
    with killing(name, folder) as killer:
        for _ in range(trials):
            outcome = await killer.trial(way, patience)
            assert outcome.had_begun, f"{name} called no tool"
            left += outcome.survivors
    return left


def kills(
    report: Report, name: str, folder: Path, ways: list[str], trials: int
) -> None:
    """One figure a way."""
    for way in ways:
        left = asyncio.run(survivors(name, folder, way, trials))
        label = f"{name}, {way} in a tool call: survivors of {trials} trials"
        report.figure(label, len(left), 0, "")
        for each in left[:10]:
            print(f"    {each}")


def main() -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(NAMES))
    parser.add_argument("--trials", type=int, help="50 say more, for an hour")
    parser.add_argument("--quick", action="store_true", help="two cases, one way")
    options = parser.parse_args()
    if problem := missing():
        parser.error(problem)
    trials = options.trials or (1 if options.quick else 3)
    ways = ["host killed"] if options.quick else list(WAYS)
    report = Report("agent CLIs: from the server's refusal to the result; survivors")
    with tempfile.TemporaryDirectory() as folder:
        # What a lane learns here is nobody else's business.
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        for name in options.tools or NAMES:
            home = Path(folder) / name
            detection(report, name, home, quick=options.quick)
            kills(report, name, home, ways, trials)
    return int(report.missed > 0)


if __name__ == "__main__":
    sys.exit(main())
