"""What 72 streams of records cost muster while their agents work at their real pace.

Each agent replays a recorded run of codex, chunk by chunk at the recorded moments,
again and again for 20 seconds. Beside it, without a target: the same with a delta of
a claude stream every 50 ms.

    python -m benchmarks.streams [--quick]
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from benchmarks.figures import Report, script
from muster import Fleet, SpawnTask
from muster.domain import presets
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.tool_specs import built_in

CORPUS: Final = Path(__file__).parent.parent / "tests" / "data" / "corpus" / "codex"
AGENTS: Final = presets.POOL_CAPACITY
SECONDS: Final = 20.0
QUICK_SECONDS: Final = 8.0
MOST: Final = 15.0  # percent of one core
LONGEST_CASE: Final = 30.0
DELTA_PAUSE: Final = 0.05
PRODUCER: Final = """
import json, sys, time, os
chunks, seconds, last = json.load(open(sys.argv[1]))
sys.stdin.close()
began = time.monotonic()
while True:
    start = time.monotonic()
    for moment, text in chunks:
        wait = start + moment - time.monotonic()
        if start + moment > began + seconds:
            os.write(1, b"\\n" + last.encode())
            sys.exit()
        if wait > 0:
            time.sleep(wait)
        os.write(1, text.encode())
"""


def main(quick: bool) -> int:  # noqa: FBT001 - the callback's signature
    """Prints the figures; returns how many were missed."""
    report = Report(f"streams: {AGENTS} structured streams at their real pace")
    seconds = QUICK_SECONDS if quick else SECONDS
    share, late = asyncio.run(measured("codex", recorded_codex(), seconds))
    report.figure("codex, recorded runs: CPU of one core", share, MOST, "%")
    report.note("codex, recorded runs: longest delay of the loop", late, "ms")
    share, late = asyncio.run(measured("claude", claude_deltas(), seconds))
    report.note("claude, 20 deltas a second each: CPU of one core", share, "%")
    report.note("claude, 20 deltas a second each: longest delay", late, "ms")
    return report.missed


def recorded_codex() -> list[dict[str, Any]]:
    """Chunks with their moments, of the runs that came to an end."""
    found = []
    for path in sorted(CORPUS.glob("*.meta.json")):
        meta = json.loads(path.read_text())
        stdout = Path(str(path).replace(".meta.json", ".stdout")).read_text()
        if not meta["is_success"] or meta["format"] != "json":
            continue
        if meta["elapsed"] > LONGEST_CASE:
            continue
        # The recording's sizes are bytes, and the streams are nearly all ASCII.
        begin, chunks = 0, []
        for moment, size in meta["stdout_chunks"]:
            text = stdout[begin : begin + size]
            chunks.append((moment, text.replace('"turn.completed"', '"turn.started"')))
            begin += size
        found.append({"chunks": chunks, "last": CODEX_END})
    return found


def claude_deltas() -> list[dict[str, Any]]:
    """One answer that comes word by word."""
    delta = {
        "type": "stream_event",
        "event": {
            "type": "content_block_delta",
            "delta": {"type": "text_delta", "text": "a few words "},
        },
        "session_id": "s",
        "uuid": "u" * 36,
    }
    line = json.dumps(delta) + "\n"
    chunks = [(n * DELTA_PAUSE, line) for n in range(1, 200)]
    return [{"chunks": chunks, "last": CLAUDE_END}]


CODEX_END: Final = (
    '{"type":"item.completed","item":{"id":"z","type":"agent_message","text":"done"}}\n'
    '{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}\n'
)
CLAUDE_END: Final = (
    '{"type":"result","subtype":"success","is_error":false,"result":"done"}\n'
)


async def measured(
    name: str, cases: list[dict[str, Any]], seconds: float
) -> tuple[float, float]:
    """CPU of this process in percent of one core, and the loop's longest delay in ms."""
    with tempfile.TemporaryDirectory(prefix="muster-streams-") as folder:
        return await _measured(name, cases, seconds, Path(folder))


async def _measured(
    name: str, cases: list[dict[str, Any]], seconds: float, folder: Path
) -> tuple[float, float]:
    specs = [
        _spec(name, case, folder / f"{n}.json", seconds) for n, case in enumerate(cases)
    ]
    tasks = [SpawnTask("hi", tool=specs[n % len(specs)]) for n in range(AGENTS)]
    async with Fleet.open({}) as fleet, asyncio.TaskGroup() as group:
        work = group.create_task(
            fleet.spawn_parallel(tasks, max_concurrent=AGENTS, policy="patient")
        )
        # What starting 72 agents costs is another benchmark's figure.
        await asyncio.sleep(seconds / 3)
        cpu, wall, latest = time.process_time(), time.monotonic(), 0.0
        while time.monotonic() < wall + seconds / 3:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            latest = max(latest, time.monotonic() - before - 0.01)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        results = await work
    failed = [each.error for each in results if not each.success]
    if failed:
        print(f"  {len(failed)} of {AGENTS} failed: {failed[0]}", file=sys.stderr)
    return 100 * cpu / wall, 1000 * latest


def _spec(name: str, case: dict[str, Any], file: Path, seconds: float) -> ToolSpec:
    file.write_text(json.dumps([case["chunks"], seconds, case["last"]]))
    command = (sys.executable, "-I", "-S", "-c", PRODUCER, str(file))
    return evolve(built_in(name), command=command, retry_patience=600.0)


if __name__ == "__main__":
    sys.exit(script(main, __doc__))
