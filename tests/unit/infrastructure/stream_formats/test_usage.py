"""What streams tell of tokens and money: counted once, and of this run alone."""

import json
from typing import Any

import pytest

from muster.domain.outcome import Usage
from muster.infrastructure.adapters.local_process.stream_formats import parser_for
from tests.unit.infrastructure.stream_formats import recorded

Json = dict[str, Any]


def used(tool: str, *records: Json, before: Usage | None = None) -> Usage | None:
    """By these records, of a session that had used ``before``."""
    parser = parser_for(
        recorded.OUTPUTS[tool], lambda _: None, before=before or Usage()
    )
    assert parser is not None
    parser.feed("".join(json.dumps(each) + "\n" for each in records).encode())
    return parser.finish().usage


def claude(id_: str, **usage: int) -> Json:
    """A message of claude's."""
    return {"type": "assistant", "message": {"id": id_, "usage": usage}}


def partial(kind: str, **fields: Any) -> Json:
    """A record of a message in the making."""
    return {"type": "stream_event", "event": {"type": kind, **fields}}


def result(total: float | None = None, **usage: int) -> Json:
    """The end of claude or qwen."""
    return {
        "type": "result",
        "is_error": False,
        "total_cost_usd": total,
        "usage": usage,
    }


def turn(**usage: int) -> Json:
    """The end of codex."""
    return {"type": "turn.completed", "usage": usage}


def step(cost: float = 0, **tokens: Any) -> Json:
    """A step of opencode."""
    part = {"reason": "stop", "tokens": tokens, "cost": cost}
    return {"type": "step_finish", "part": part}


def stats(**numbers: int) -> Json:
    """The end of gemini."""
    return {"type": "result", "status": "success", "stats": numbers}


def copilot(**data: int) -> Json:
    """A call of copilot's."""
    return {"type": "assistant.usage", "data": data}


BEGUN = partial("message_start", message={"id": "m", "model": "c"})
WRITTEN = partial("message_delta", usage={"output_tokens": 70})


@pytest.mark.parametrize(
    ("tool", "records", "expected"),
    [
        # A message that comes twice counts once, messages add up, the end replaces them.
        (
            "claude",
            [claude("a", input_tokens=5), claude("a", input_tokens=5)],
            Usage(5),
        ),
        ("claude", [claude(str(n), input_tokens=5) for n in range(40)], Usage(200)),
        (
            "claude",
            [
                claude("a", input_tokens=5, output_tokens=1),
                result(0.5, input_tokens=9, output_tokens=3),
            ],
            Usage(9, 3, None, 0.5),
        ),
        # The message counts what it had written when it began.
        (
            "claude",
            [BEGUN, claude("m", input_tokens=5, output_tokens=1), WRITTEN],
            Usage(5, 70),
        ),
        ("claude", [BEGUN, WRITTEN], None),
        # What was put into the cache was read, what came out of it was not.
        (
            "claude",
            [
                result(
                    input_tokens=1,
                    cache_creation_input_tokens=20,
                    cache_read_input_tokens=300,
                    output_tokens=4,
                )
            ],
            Usage(21, 4, 300, None, 20),
        ),
        (
            "codex",
            [turn(input_tokens=320, cached_input_tokens=300, output_tokens=4)],
            Usage(20, 4, 300),
        ),
        (
            "codex",
            [
                turn(
                    input_tokens=320,
                    cached_input_tokens=300,
                    cache_write_input_tokens=20,
                    output_tokens=4,
                    reasoning_output_tokens=3,
                )
            ],
            Usage(20, 4, 300, None, 20),
        ),
        # Its thoughts stand in the total alone.
        (
            "gemini",
            [stats(total_tokens=350, input_tokens=320, output_tokens=10, cached=300)],
            Usage(20, 30, 300),
        ),
        ("gemini", [stats(total_tokens=0, input_tokens=0, output_tokens=0)], None),
        (
            "opencode",
            [step(0.1, input=1, output=4, cache={"read": 300, "write": 20})] * 2,
            Usage(42, 8, 600, 0.2, 40),
        ),
        (
            "opencode",
            [step(total=61, input=1, output=4, reasoning=56, cache={"read": 0})],
            Usage(1, 60, 0),
        ),
        (
            "opencode",
            [step(total=61, input=1, output=60, reasoning=56, cache={"read": 0})],
            Usage(1, 60, 0),
        ),
        (
            "qwen",
            [result(input_tokens=320, output_tokens=4, cache_read_input_tokens=300)],
            Usage(20, 4, 300),
        ),
        (
            "copilot",
            [copilot(inputTokens=320, outputTokens=4, cacheReadTokens=300)] * 2,
            Usage(40, 8, 600),
        ),
    ],
)
def test_what_was_used(tool: str, records: list[Json], expected: Usage | None) -> None:
    """Tokens at full price, from a cache and into one; cost as the tool says it."""
    assert used(tool, *records) == expected


@pytest.mark.parametrize(
    ("tool", "record", "before", "expected"),
    [
        # claude's tokens are this run's and its sum is the session's; codex counts all again.
        ("claude", result(0.75, input_tokens=9), Usage(5, 5, 5, 0.5), Usage(9, cost_usd=0.25)),
        # Whoever was cut off has told no sum: what it used is part of the next one's.
        ("claude", result(0.75, input_tokens=9), Usage(5), Usage(9, cost_usd=0.75)),
        ("claude", result(0.25, input_tokens=9), Usage(cost_usd=0.5), Usage(9, cost_usd=0)),
        ("codex", turn(input_tokens=9, output_tokens=3), Usage(5, 1), Usage(4, 2)),
        ("gemini", stats(total_tokens=9, input_tokens=5, output_tokens=4), Usage(5, 5), Usage(5, 4)),
        ("opencode", step(input=9, output=3), Usage(5, 1), Usage(9, 3)),
    ],
)  # fmt: skip
def test_a_session_that_goes_on_is_not_paid_twice(
    tool: str, record: Json, before: Usage, expected: Usage
) -> None:
    """Where a tool counts its whole session, what was told before is taken off."""
    assert used(tool, record, before=before) == expected


@pytest.mark.parametrize(
    ("tool", "record", "expected"),
    [
        ("claude", result(0.75, input_tokens=9), Usage(9)),
        ("codex", turn(input_tokens=9, output_tokens=3), None),
        ("opencode", step(0.5, input=9), Usage(9, cost_usd=0.5)),
    ],
)
def test_what_a_session_of_somebody_else_used_is_not_told(
    tool: str, record: Json, expected: Usage | None
) -> None:
    """Unknown, and neither 0 nor all of it."""
    parser = parser_for(recorded.OUTPUTS[tool], lambda _: None, before=None)
    assert parser is not None
    parser.feed(json.dumps(record).encode())

    assert parser.finish().usage == expected


def test_resumed_sessions_of_claude_as_recorded() -> None:
    """Three runs of one session, each told its share: the last sum is that of all."""
    runs = {each.name: each for each in recorded.runs("claude")}
    total = Usage()

    for name in ("x-resume-1", "x-resume-2", "x-resume-fork"):
        records = map(json.loads, runs[name].stdout.splitlines())
        share = used("claude", *records, before=total)
        assert share is not None
        assert share.cost_usd == pytest.approx(0.000308)
        total += share

    assert total.cost_usd == pytest.approx(0.000924)
    assert total.tokens == 3 * 49


@pytest.mark.parametrize("tool", ["claude", "codex", "gemini", "opencode", "qwen"])
def test_recorded_sums_are_those_of_the_tool(tool: str) -> None:
    """Whatever was told on the way, the end says the same."""
    seen = 0
    for run in recorded.runs(tool):
        said = _said(tool, run.stdout)
        told = recorded.read(tool, run.stdout, seed=1)[0].usage
        if said is None or told is None:
            continue
        seen += 1
        assert (told.input_tokens, told.output_tokens, told.cost_usd) == said, run.name

    assert seen >= 2


def _said(tool: str, stdout: bytes) -> tuple[int, int, float | None] | None:
    """Tokens read and written, and the cost, by the records that sum up."""
    found = []
    for line in stdout.decode(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        part = record.get("part") or {}
        tokens = record.get("usage") or record.get("stats") or part.get("tokens")
        if record["type"] in ("result", "turn.completed", "step_finish") and tokens:
            found.append((tokens, record.get("total_cost_usd")))
    if not found:
        return None
    if tool == "opencode":
        sums = [sum(each[key] for each, _ in found) for key in ("input", "output")]
        return sums[0], sums[1], None
    tokens, cost = found[-1]
    return tokens["input_tokens"], tokens["output_tokens"], cost
