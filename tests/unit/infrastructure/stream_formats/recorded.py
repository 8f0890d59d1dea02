"""Recorded runs of tools whose streams are structured, and how a stream is fed."""

import json
import random
from pathlib import Path
from typing import Any

from attrs import frozen

from muster.domain.events import AgentEvent
from muster.domain.outcome import Failure
from muster.domain.stream_outcome import StreamOutcome, judge_stream
from muster.infrastructure.adapters.local_process.stream_formats import parser_for

CORPUS = Path(__file__).parents[3] / "data" / "corpus"
OUTPUTS = {
    "claude": "claude_stream_json",
    "codex": "codex_json",
    "gemini": "gemini_stream_json",
    "opencode": "opencode_json",
    "copilot": "copilot_json",
    "qwen": "qwen_stream_json",
}
PIECES = (1, 7, 100, 5000, 65536)


@frozen
class Recorded:
    """One run of one tool."""

    tool: str
    name: str
    stdout: bytes
    stderr: str
    meta: dict[str, Any]


def runs(tool: str) -> list[Recorded]:
    """The runs with a structured stream that ended by themselves."""
    found = []
    for path in sorted((CORPUS / tool).glob("*.meta.json")):
        meta = json.loads(path.read_text())
        if meta["format"] == "json" and not meta["timed_out"]:
            base = str(path).removesuffix(".meta.json")
            out = Path(base + ".stdout").read_bytes()
            err = Path(base + ".stderr").read_bytes().decode(errors="replace")
            found.append(Recorded(tool, Path(base).name, out, err, meta))
    return found


def read(
    tool: str, stream: bytes, *, seed: int | None = None
) -> tuple[StreamOutcome, list[AgentEvent]]:
    """What a stream came to, and what was reported; with a ``seed``, fed in pieces."""
    events: list[AgentEvent] = []
    parser = parser_for(OUTPUTS[tool], events.append, epoch=lambda: 1_760_000_000.0)
    assert parser is not None
    pieces = random.Random(seed)  # noqa: S311 -- no secret
    begin = 0
    while begin < len(stream):
        size = len(stream) if seed is None else pieces.choice(PIECES)
        parser.feed(memoryview(stream)[begin : begin + size])
        begin += size
    return parser.finish(), events


def read_records(tool: str, *records: dict[str, Any]) -> StreamOutcome:
    """What a stream of these records came to."""
    lines = "".join(json.dumps(record) + "\n" for record in records)
    return read(tool, lines.encode())[0]


def judged(run: Recorded, outcome: StreamOutcome) -> Failure | None:
    """As the adapter judges it."""
    return judge_stream(
        outcome, exit_code=run.meta["exit"], stderr=run.stderr[-8192:], tool=run.tool
    )


def category(failure: Failure | None) -> str:
    """As the recordings name it."""
    return "none" if failure is None else failure.category.value
