"""72 real CrewAI agents at once: do they think at the same time, and what does it cost?

Each asks a model on 127.0.0.1 that waits for a second. Truly concurrent means that
the server has 72 requests open at one time. One crew costs 15-20 ms of computing,
and all share one interpreter. Then 72 that hang are cancelled.

    python -m benchmarks.crewai_council [--quick]
"""

import asyncio
import sys
from time import monotonic, process_time
from typing import Any, Final

from benchmarks.figures import Report, percentile, script
from muster.domain.agent_profile import AgentProfile
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.crewai.orchestrator import CrewAIOrchestrator
from tests.support.model_server import Served, served

AGENTS: Final = 72
WAIT: Final = 1.0
SCRIPT: Final = {
    "models": {
        "thinks": [{"do": "ok", "delay": WAIT, "text": "aye"}],
        "hangs": ["hang_in_stream"],
    }
}
CONCURRENT: Final = 72.0
P95: Final = 2.0
CANCEL: Final = 2.5  # the grace and half a second


def request(server: Served, number: int, model: str) -> AgentRequest:
    """One agent of the council."""
    tool = ToolSpec("crew", base_url=f"{server.url}/v1")
    profile = AgentProfile(f"agent {number}", prompt="You weigh things.")
    return AgentRequest(
        f"agent {number}", prompt="Aye or nay?", tool=tool, model=model, profile=profile
    )


async def asked(crews: CrewAIOrchestrator, server: Served, number: int) -> float:
    """Seconds until the answer of one agent."""
    began = monotonic()
    answer = await crews.invoke(request(server, number, "thinks"), lambda _: None)
    assert answer.content == "aye"
    return monotonic() - began


async def council(crews: CrewAIOrchestrator, server: Served) -> list[float]:
    """Seconds of each, all asked at once."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(asked(crews, server, number)) for number in range(AGENTS)
        ]
    return [each.result() for each in tasks]


async def cancelled(crews: CrewAIOrchestrator, server: Served) -> float:
    """Seconds until 72 that hang are gone."""
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[Any]] = [
            group.create_task(
                crews.invoke(request(server, number, "hangs"), lambda _: None)
            )
            for number in range(AGENTS)
        ]
        await asyncio.to_thread(server.wait_for, lambda books: books["open"] == AGENTS)
        began = monotonic()
        for each in tasks:
            each.cancel()
    return monotonic() - began


async def measured(report: Report, server: Served, rounds: int) -> None:
    """All figures."""
    crews = CrewAIOrchestrator({})
    await asked(crews, server, 0)
    alone = [await asked(crews, server, 0) for _ in range(rounds)]
    report.note("one alone", percentile(alone, 0.5), "s")
    ratios, peaks = [], []
    for _ in range(rounds):
        server.rewrite(SCRIPT)
        before = process_time()
        times = await council(crews, server)
        cpu = (process_time() - before) / AGENTS
        peaks.append(server.stats()["peak_open"])
        ratios.append(percentile(times, 0.95) / percentile(alone, 0.5))
    report.note("CPU of one of 72", cpu * 1e3, "ms")
    report.figure("72 at once: p95 against one alone", percentile(ratios, 0.5), P95)
    least = min(peaks)
    report.figure(
        "72 at once: open at the server", least, CONCURRENT, "", at_least=True
    )
    seconds = await cancelled(crews, server)
    report.figure("72 that hang: seconds to cancel them", seconds, CANCEL, "s")
    books = server.wait_for(lambda books: books["open"] == 0)
    report.figure("72 that hang: connections left open", books["open"], 0.0, "")
    await crews.aclose()


def run(quick: bool) -> int:  # noqa: FBT001 - the one thing a benchmark is asked
    """Prints the figures; the number of those that were missed."""
    report = Report("crewai: 72 agents, a model that waits for a second")
    with served(SCRIPT) as server:
        asyncio.run(measured(report, server, 1 if quick else 3))
    return report.missed


if __name__ == "__main__":
    sys.exit(script(run, __doc__))
