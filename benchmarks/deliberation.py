"""Many agents at once: what asking them costs, how a halt ends them, what a witness costs.

    python -m benchmarks.deliberation [--quick]

The halt is pulled at random moments, also while agents are being started; a survivor is
a process of the batch that is alive when the batch has returned.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Report, percentile, script
from muster import (
    AgentOrchestratorStub,
    AgentPool,
    AgentRequest,
    ConcurrentDeliberationService,
    DualChannelHaltChecker,
    Fleet,
    SpawnResult,
    ToolSpec,
    WitnessLog,
)
from muster.domain.outcome import Attempt
from muster.domain.witness import Statement
from muster.infrastructure import witness_reading
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.journal.run_journal import RunJournal
from muster.infrastructure.randomness import SystemRandomness
from muster.testing import replies
from tests.support.cli import is_alive
from tests.support.model_server import served

SEATS = 72
AGENT = 0.010
LONGER = 0.050
QUEUED = 10_000
TRIALS = 50
QUICK_TRIALS = 3
GRACE = 0.5
ROUNDS = 5
RECORDS = 20_000
ANSWER = "an answer " * 20
# Three that have answered before the halt, then as many as fill the seats.
FINISHED = 3
_DEAF = ToolSpec(
    "deaf", ("/bin/sh", "-c", "trap '' TERM; echo > $$; while :; do sleep 0.2; done")
)
_GATED = ToolSpec("gated", ("/bin/sh", "-c", "echo > $$; read x < ../gate; echo done"))
_QUICK = ToolSpec("quick", ("cat",))
# The cheapest client there is: what is measured is muster, and not 72 interpreters.
_ASKS = r"""
body='{"model": "m", "messages": [{"role": "user", "content": "aye?"}]}'
exec 3<> "/dev/tcp/${1/://}"
printf 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' >&3
printf 'Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' ${#body} "$body" >&3
grep -q aye <&3 && echo aye
"""


def crowd(size: int) -> list[AgentRequest]:
    """So many requests."""
    return [AgentRequest(f"a{number}", prompt="x") for number in range(size)]


async def simulated(report: Report, home: Path, *, quick: bool) -> None:
    """What the service itself costs, with agents that only wait."""
    stub = AgentOrchestratorStub(replies("x", after=AGENT), record=False)
    halt, pool = DualChannelHaltChecker(home / "halt"), AgentPool(SEATS)
    service = ConcurrentDeliberationService(stub, halt, pool)
    queue = ConcurrentDeliberationService(stub, halt, pool, on_exhausted="queue")
    await service.invoke_concurrent(crowd(SEATS))
    alone = [
        (await service.invoke_concurrent(crowd(1))).total_ms for _ in range(ROUNDS)
    ]
    full = [
        (await service.invoke_concurrent(crowd(SEATS))).total_ms for _ in range(ROUNDS)
    ]
    # The best of each: what else runs here is no cost of ours.
    report.figure("72 agents of 10 ms, over one of them", min(full) / min(alone), 1.5)
    count = QUEUED // 10 if quick else QUEUED
    stub.on(lambda _: True, replies("x", after=LONGER))
    cpu = time.process_time()
    result = await queue.invoke_concurrent(crowd(count))
    cpu = time.process_time() - cpu
    assert result.success_count == count
    report.figure(
        f"{count} of 50 ms on 72 slots, over work / 72",
        result.total_ms / (count * LONGER * 1000 / SEATS),
        1.1,
    )
    report.figure("peak of active agents", stub.peak_active, SEATS, "")
    report.figure("peak of active agents", stub.peak_active, SEATS, "", at_least=True)
    report.note("CPU per request", cpu / count * 1e6, "µs")


async def together(report: Report, home: Path) -> None:
    """72 real processes, none of which ends before all of them run."""
    here = home / "together"
    here.mkdir()
    os.mkfifo(home / "gate")
    async with Fleet.open({"grace": GRACE, "home": str(home / "data")}) as fleet:
        service = fleet.deliberation_service(tool=_GATED, agent_timeout=60.0)
        wanted = crowd(SEATS)
        for each in wanted:
            each.cwd = str(here)
        async with asyncio.TaskGroup() as group:
            batch = group.create_task(service.invoke_concurrent(wanted))
            while not batch.done() and len(list(here.iterdir())) < SEATS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            peak = len(list(here.iterdir()))
            gate = os.open(home / "gate", os.O_RDWR)
            os.write(gate, b"go\n" * SEATS)
        os.close(gate)
    assert batch.result().success_count == SEATS, batch.result().failures[:1]
    report.figure("real processes at the same time", peak, SEATS, "", at_least=True)


async def thinking(report: Report, home: Path) -> None:
    """72 programs ask a model that waits for a second; and one of them alone."""
    script = {"turns": [{"do": "ok", "delay": 1.0, "text": "aye"}]}
    # The wait is real, so this is measured apart from what the server needs.
    with served(script) as server:
        asks = ToolSpec("asks", ("/bin/bash", "-c", _ASKS, "asks", server.url[7:]))
        async with Fleet.open({"home": str(home / "data")}) as fleet:
            service = fleet.deliberation_service(tool=asks, agent_timeout=60.0)
            alone = await _durations(service, 1)
            crowded = await _durations(service, SEATS)
        peak = server.stats()["peak_open"]
    report.figure(
        "open at the model's server at the same time", peak, SEATS, "", at_least=True
    )
    p95 = percentile(crowded, 0.95) / alone[0]
    report.figure("72 programs that ask a model, p95 over one alone", p95, 2.0)


async def _durations(service: ConcurrentDeliberationService, size: int) -> list[float]:
    began = time.perf_counter()
    ended: list[float] = []
    service.listener = lambda event: (
        ended.append(time.perf_counter() - began)
        if type(event).__name__ == "AgentAnswered"
        else None
    )
    result = await service.invoke_concurrent(crowd(size))
    assert result.success_count == size, result.failures[:1]
    return ended


async def halted(report: Report, home: Path, trials: int) -> None:
    """A halt while 72 processes run or start."""
    draw = random.Random(72)  # noqa: S311 (moments, not secrets)
    latest, survivors, lost = 0.0, 0, 0
    async with Fleet.open({"grace": GRACE, "home": str(home / "data")}) as fleet:
        for trial in range(trials):
            here = home / f"halt{trial}"
            here.mkdir()
            took, kept = await one_halt(fleet, here, draw.uniform(0.05, 1.5))
            latest = max(latest, took)
            lost += not kept
            survivors += sum(is_alive(int(each.name)) for each in here.iterdir())
    report.figure("from the halt to the end of the last, grace 0.5 s", latest, 1.0, "s")
    report.figure(f"survivors of {trials} halts of 72 processes", survivors, 0, "")
    report.figure(f"halts of {trials} that lost a finished output", lost, 0, "")


async def one_halt(fleet: Fleet, here: Path, after: float) -> tuple[float, bool]:
    """Seconds that the batch took to end, and whether what was finished is there."""
    seen: list[str] = []

    def listen(event: object) -> None:
        if type(event).__name__ == "AgentAnswered":
            seen.append(event.output.agent_id)  # type: ignore[attr-defined]

    service = fleet.deliberation_service(tool=_DEAF, listener=listen, witness=False)
    wanted = crowd(SEATS)
    for number, each in enumerate(wanted):
        each.cwd = str(here)
        if number < FINISHED:
            each.tool = _QUICK
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        batch = group.create_task(service.invoke_concurrent(wanted))
        await asyncio.sleep(after)
        finished, pulled_at = set(seen), loop.time()
        fleet.halt_checker.halt("drill")
        fleet.halt_checker.resume_operations()
        await asyncio.wait([batch])
        took = loop.time() - pulled_at
    result = batch.result()
    assert result.halted
    assert result.total_count == SEATS
    return took, finished <= {each.agent_id for each in result.outputs}


async def witnessed(report: Report, home: Path) -> None:
    """What it costs to record before showing, and to verify."""
    clock = SystemClock()
    log = WitnessLog.open(home, "r1", clock=clock)

    async def commit(number: int) -> None:
        await log.commit(Statement("b", f"a{number}", ANSWER, f"r{number}"))

    journal = RunJournal.create(home, clock=clock, randomness=SystemRandomness())

    async def record(number: int) -> None:
        attempt = Attempt(1, "a", "sim", 1.0, 2.0)
        await journal.record(
            SpawnResult(
                success=True,
                output=ANSWER,
                task_id=f"t{number}",
                task_index=number,
                attempts=(attempt,),
            )
        )

    recorded = await seconds(RECORDS // 10, record)
    committed = await seconds(RECORDS, commit) / 10
    await log.aclose()
    await journal.aclose()
    report.note(
        "a committed output, over a result in the journal", committed / recorded, "x"
    )
    report.note("commits per second, 72 at a time", RECORDS / 10 / committed, "/s")
    began = time.perf_counter()
    found = witness_reading.verify(home, "r1")
    took = time.perf_counter() - began
    assert found.count == RECORDS
    assert found.broken is None
    report.figure(
        "records verified per second", found.count / took, 20_000, "/s", at_least=True
    )


async def seconds(count: int, write: object) -> float:
    """So many writes, 72 waiting at a time."""
    numbers = iter(range(count))

    async def writer() -> None:
        for number in numbers:
            await write(number)  # type: ignore[operator]

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(SEATS):
            group.create_task(writer())
    return time.perf_counter() - began


async def measure(report: Report, *, quick: bool) -> None:
    """Everything."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        await simulated(report, home, quick=quick)
        await together(report, home)
        await thinking(report, home)
        await halted(report, home, QUICK_TRIALS if quick else TRIALS)
        await witnessed(report, home)


def main(quick: bool) -> int:  # noqa: FBT001 - called by `script`
    """See the top of the file."""
    report = Report("Agents that are asked at once")
    asyncio.run(measure(report, quick=quick))
    return report.missed


if __name__ == "__main__":
    sys.exit(script(main, __doc__))
