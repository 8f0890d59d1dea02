"""Tools whose stdout is a stream of records, end to end, with stand-ins that replay."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest

from muster import Fleet, SpawnPolicy, SpawnResult, SpawnTask, TimeoutPolicy, spawn
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.tool_specs import built_in

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
FAKE = Path(__file__).with_name("fake_cli.py")
QUICK = TimeoutPolicy("fixed", 20, first_output_timeout=0.6, no_activity_timeout=0.6)
GOOD = [
    ("claude", "e429x2-ok"),
    ("codex", "ok"),
    ("gemini", "ok"),
    ("opencode", "ok"),
    ("copilot", "ok"),
    ("qwen", "drip"),
]
RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}
INIT = {
    "type": "system",
    "subtype": "init",
    "session_id": "s-1",
    "model": "big-1",
    "apiKeySource": "ANTHROPIC_API_KEY",
}


def tool(name: str, role: dict[str, Any], **changes: Any) -> ToolSpec:
    """The built-in tool with a stand-in for its program."""
    spec = built_in(name)
    command = (sys.executable, "-I", "-S", str(FAKE), *spec.command[1:])
    env = {**spec.env, "FAKE": json.dumps(role)}
    return attrs.evolve(spec, command=command, env=env, **changes)


def recorded(name: str, case: str, **role: Any) -> dict[str, Any]:
    """Replays a recorded run."""
    meta = json.loads((CORPUS / name / f"{case}.meta.json").read_text())
    return {
        "stdout": str(CORPUS / name / f"{case}.stdout"),
        "exit": max(0, meta["exit"]),
        **role,
    }


def lines(*records: dict[str, Any]) -> str:
    """A stream."""
    return "".join(json.dumps(each) + "\n" for each in records)


async def run(
    spec: ToolSpec, *, limits: TimeoutPolicy | None = None, **fields: Any
) -> tuple[SpawnResult, float]:
    """One attempt, and how long it took."""
    policy = SpawnPolicy.preset("default")
    if limits is not None:
        policy = attrs.evolve(policy, timeout=limits)
    began = time.monotonic()
    result = await spawn(SpawnTask("hi", **fields), tool=spec, policy=policy)
    return result, time.monotonic() - began


@pytest.mark.parametrize(("name", "case"), GOOD)
async def test_a_good_run(name: str, case: str) -> None:
    """The answer is the final text, told line by line; usage and session are known."""
    told: list[str] = []
    spec = tool(name, recorded(name, case))

    result = await spawn(SpawnTask("hi"), tool=spec, on_output=told.append)

    assert (result.success, result.error) == (True, None)
    assert result.output.strip() == "\n".join(told).strip() != ""
    assert "{" not in result.output
    assert result.attempts[0].session_id


@pytest.mark.parametrize("name", [name for name, _ in GOOD])
async def test_the_end_of_the_stream_is_missing(name: str) -> None:
    """Exit code 0, and half a record with half a character at the end: no success."""
    case = dict(GOOD)[name]
    text = (CORPUS / name / f"{case}.stdout").read_bytes().rstrip()
    last = text.rpartition(b"\n")[2]
    spec = tool(name, recorded(name, case, cut=max(len(last) - 5, 40), exit=0))

    result, _ = await run(spec)

    assert not result.success


@pytest.mark.parametrize("name", [name for name, _ in GOOD])
async def test_event_names_have_changed(name: str) -> None:
    """A version that nobody knows fails, and the message says what it printed."""
    stream = lines({"type": "brand.new"}, {"type": "newer.still", "text": "hello"})

    result, _ = await run(tool(name, {"stdout": stream}))

    assert result.failure is not None
    assert "brand.new" in result.failure.message


async def test_a_hang_in_mid_stream_is_seen() -> None:
    """Silence after some progress, by the limit of the policy."""
    role = recorded("codex", "ok", hang_after=3)

    result, took = await run(tool("codex", role), limits=QUICK)

    assert result.failure is not None
    assert result.failure.category.value == "timeout"
    assert took < 6


async def test_a_process_that_lingers_is_ended_with_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The terminal record was there: the answer counts whatever the exit code."""
    monkeypatch.setattr("muster.domain.presets.LATE_EXIT_GRACE", 0.3)
    role = recorded("codex", "ok", linger=50)

    result, took = await run(tool("codex", role))

    assert (result.success, result.output) == (True, "MOCK-OK")
    assert took < 5


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [(401, "authentication_failed", "auth"), (403, "permission_error", "forbidden")],
)
async def test_a_permanent_cause_is_not_waited_for(
    status: int, code: str, cause: str
) -> None:
    """One notice of a retry that can't help ends the attempt."""
    notice = {
        "type": "system",
        "subtype": "api_retry",
        "retry_delay_ms": 500,
        "error_status": status,
        "error": code,
    }

    result, took = await run(
        tool("claude", {"stdout": lines(INIT, notice), "linger": 50})
    )

    assert result.failure is not None
    assert result.failure.cause.value == cause
    assert took < 5


async def test_retries_for_ever_come_to_an_end() -> None:
    """A refused connection, tried again and again without progress."""
    role = recorded("codex", "dns", pause=0.05, linger=50)

    result, took = await run(tool("codex", role, retry_patience=0.5))

    assert result.failure is not None
    assert result.failure.cause.value == "network"
    assert took < 5


async def test_notices_of_retries_are_no_progress() -> None:
    """Bytes keep coming, and silence is found all the same."""
    notice = {"type": "system", "subtype": "api_retry", "retry_delay_ms": 10}
    role = {"stdout": lines(INIT, *[notice] * 60), "pause": 0.1}

    result, took = await run(tool("claude", role, retry_patience=1.0), limits=QUICK)

    assert not result.success
    assert took < 5


async def test_a_talking_agent_is_not_silent() -> None:
    """Deltas and open tool calls keep it alive under limits that silence would break."""
    call = {
        "type": "assistant",
        "message": {"id": "m", "content": [{"type": "tool_use", "id": "t"}]},
    }
    role = {"stdout": lines(INIT, call, RESULT), "pause": 0.45, "hang_after": None}
    limits = attrs.evolve(QUICK, first_output_timeout=0.8, no_activity_timeout=0.2)

    result, _ = await run(tool("claude", role), limits=limits)

    assert (result.success, result.output) == (True, "done")


async def test_a_big_answer_in_one_line() -> None:
    """10 MB: its head and tail are kept, the whole is in a file."""
    result_line = {**RESULT, "result": "@BIG@"}
    role = {"stdout": lines(INIT, result_line), "blow_up": 10_000_000}
    async with Fleet.open({}) as fleet:
        result = await fleet.spawn(SpawnTask("hi"), tool=tool("claude", role))

        assert (result.success, result.truncated) == (True, True)
        assert result.output_path is not None
        whole = await asyncio.to_thread(Path(result.output_path).read_bytes)

    assert whole == b"\xc3\xa9" * 5_000_000
    assert len(result.output.encode()) < 1_100_000


async def test_stderr_of_a_structured_tool_is_no_verdict() -> None:
    """It logs the errors of retries that then succeed."""
    role = recorded("codex", "ok", stderr="Error: 401 invalid API key\n")

    result, _ = await run(tool("codex", role))

    assert result.success


async def test_only_the_model_that_was_asked_for() -> None:
    """With strict_model the first record of another one ends the attempt."""
    role = {"stdout": lines(INIT), "linger": 50}
    async with Fleet.open({"strict_model": True}) as fleet:
        task = SpawnTask("hi", model="small-2")
        result = await fleet.spawn(task, tool=tool("claude", role))

    assert result.failure is not None
    assert result.failure.cause.value == "invalid_model"
    assert (result.requested_model, result.served_models) == ("small-2", ("big-1",))


async def test_a_cut_off_session_goes_on(tmp_path: Path) -> None:
    """The next attempt continues what crashed in its work, and says so."""
    log = tmp_path / "log"
    text = {
        "type": "assistant",
        "message": {"id": "m", "content": [{"type": "text", "text": "half"}]},
    }
    role = {"stdout": lines(INIT, text), "exit": 134, "log": str(log)}
    policy = SpawnPolicy.preset("default")
    policy = attrs.evolve(
        policy, retry=attrs.evolve(policy.retry, max_attempts=2, base_delay=0.01)
    )
    async with Fleet.open({}) as fleet:
        (result,), _ = await fleet.spawn_parallel_tracked(
            [SpawnTask("hi", tool=tool("claude", role), policy=policy)],
            fallback_to_llm=False,
        )

    said = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each.continued for each in result.attempts] == [None, "s-1"]
    assert ["--resume" in words for words in said] == [False, True]


@pytest.mark.parametrize(
    "words", ["thread/resume failed: no rollout found for thread id s-9", "went wrong"]
)
async def test_a_session_that_is_gone_is_begun_again(
    tmp_path: Path, words: str
) -> None:
    """A tool that does not know it any more gets the task as a new one, for free."""
    log = tmp_path / "log"
    role = {
        "stdout": "",
        "stderr": f"Error: {words}\n",
        "exit": 1,
        "log": str(log),
    }
    async with Fleet.open({}) as fleet:
        (result,), _ = await fleet.spawn_parallel_tracked(
            [SpawnTask("hi", tool=tool("codex", role), session_id="s-9")],
            fallback_to_llm=False,
        )

    assert [each.continued for each in result.attempts][:2] == ["s-9", None]
    assert "resume" not in json.loads(log.read_text().splitlines()[-1])


@pytest.mark.parametrize("known", [True, False])
async def test_a_persona_that_a_tool_would_drop(tmp_path: Path, *, known: bool) -> None:
    """It is looked for before the start, where the tool would run without it."""
    if known:
        (tmp_path / ".opencode/agent").mkdir(parents=True)
        (tmp_path / ".opencode/agent/critic.md").write_text("You are a critic.")
    spec = tool("opencode", recorded("opencode", "ok"))

    result, _ = await run(spec, agent="critic", cwd=str(tmp_path))

    assert result.success is known
    if not known:
        assert result.failure is not None
        assert "no agent 'critic'" in result.failure.message


async def test_several_at_once() -> None:
    """Twelve streams side by side, each with its own answer."""
    specs = [
        tool("claude", {"stdout": lines(INIT, {**RESULT, "result": f"answer {n}"})})
        for n in range(12)
    ]

    results = await asyncio.gather(*(run(spec) for spec in specs))  # noqa: TID251

    assert [result.output for result, _ in results] == [
        f"answer {n}" for n in range(12)
    ]
