"""Recorded runs of every tool, cut anywhere, whole and damaged."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domain.stream_outcome import judge_stream
from tests.unit.infrastructure.stream_formats import recorded

TOOLS = sorted(recorded.OUTPUTS)
# A SIGKILL looks like the out-of-memory killer's to whoever can't ask the kernel.
CANT_TELL = {("gemini", "life-sigterm-kill-tool")}


@pytest.mark.parametrize("tool", TOOLS)
def test_success_and_failure_are_told_apart(tool: str) -> None:
    """On every recorded run."""
    runs = recorded.runs(tool)

    wrong = [
        run.name
        for run in runs
        for outcome, _ in [recorded.read(tool, run.stdout, seed=1)]
        if (recorded.judged(run, outcome) is None) != run.meta["is_success"]
    ]

    assert runs
    assert wrong == []


@pytest.mark.parametrize("tool", TOOLS)
def test_failures_get_their_category(tool: str) -> None:
    """One of the acceptable ones, on every recorded run."""
    wrong = []
    for run in recorded.runs(tool):
        outcome, _ = recorded.read(tool, run.stdout, seed=2)
        found = recorded.category(recorded.judged(run, outcome))
        if found not in run.meta["acceptable_categories"]:
            wrong.append((tool, run.name))

    assert set(wrong) <= CANT_TELL


@pytest.mark.parametrize("tool", TOOLS)
def test_every_kind_of_record_is_known(tool: str) -> None:
    """A new one in a recording belongs into its format."""
    unknown = {
        kind
        for run in recorded.runs(tool)
        for kind in recorded.read(tool, run.stdout)[0].unknown
    }

    assert unknown == set()


@pytest.mark.parametrize("tool", TOOLS)
def test_the_cuts_change_nothing(tool: str) -> None:
    """Bytes one by one, or all at once."""
    for run in recorded.runs(tool)[::4]:
        whole, _ = recorded.read(tool, run.stdout)
        assert recorded.read(tool, run.stdout, seed=3)[0] == whole


@pytest.mark.parametrize("tool", TOOLS)
def test_a_stream_without_its_end_is_no_success(tool: str) -> None:
    """Whatever stands before the last good record, and an exit code of 0."""
    for run in recorded.runs(tool):
        lines = run.stdout.splitlines(keepends=True)
        ends = [at for at, line in enumerate(lines) if _says_success(tool, line)]
        if ends:
            outcome, _ = recorded.read(tool, b"".join(lines[: ends[0]]))
            assert judge_stream(outcome, exit_code=0, tool=tool) is not None


Damage = Callable[[list[bytes], random.Random], list[bytes]]


def _drop(lines: list[bytes], chance: random.Random) -> list[bytes]:
    return [line for line in lines if chance.random() < 0.7]


def _shuffle(lines: list[bytes], chance: random.Random) -> list[bytes]:
    return chance.sample(lines, len(lines))


def _interleave(lines: list[bytes], chance: random.Random) -> list[bytes]:
    return [
        piece
        for line in lines
        for piece in (
            line,
            chance.choice([b"", b"noise \xff\n", b"{", b"}\n", b"[1]\n"]),
        )
    ]


def _cut(lines: list[bytes], chance: random.Random) -> list[bytes]:
    return [
        line[: chance.randrange(len(line))] if line and chance.random() < 0.3 else line
        for line in lines
    ]


def _flip(lines: list[bytes], chance: random.Random) -> list[bytes]:
    stream = bytearray(b"".join(lines))
    for _ in range(len(stream) // 200 + 1):
        if stream:
            stream[chance.randrange(len(stream))] = chance.randrange(256)
    return [bytes(stream)]


STRANGE: list[Any] = [
    None,
    True,
    -1,
    1e400,
    "",
    "\ud800",
    [],
    {},
    [[]],
    {"a": {}},
    10**400,
]


def _retype(lines: list[bytes], chance: random.Random) -> list[bytes]:
    return [_retyped(line, chance) for line in lines]


def _retyped(line: bytes, chance: random.Random) -> bytes:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    return json.dumps(_strange(record, chance)).encode() + b"\n"


def _strange(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.1:
        return chance.choice(STRANGE)
    if isinstance(value, dict):
        return {key: _strange(each, chance) for key, each in value.items()}
    if isinstance(value, list):
        return [_strange(each, chance) for each in value]
    return value


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TOOLS),
    st.integers(0, 10_000),
    st.sampled_from([_drop, _shuffle, _interleave, _cut, _flip, _retype]),
    st.integers(0, 2**32),
)
def test_damage_breaks_no_parser_and_makes_no_success(
    tool: str, which: int, damage: Damage, seed: int
) -> None:
    """Lost, cut, swapped, garbled: never an exception, never a success without its end."""
    runs = recorded.runs(tool)
    run = runs[which % len(runs)]
    lines = run.stdout.splitlines(keepends=True)
    chance = random.Random(seed)  # noqa: S311 -- no secret
    damaged = b"".join(damage(lines, chance))

    outcome, _ = recorded.read(tool, damaged, seed=seed)
    failure = judge_stream(outcome, exit_code=0, tool=tool)

    if failure is None:
        assert any(_may_say_success(tool, line) for line in damaged.split(b"\n"))


def _says_success(tool: str, line: bytes) -> bool:
    return _may_say_success(tool, line) and b'"is_error":true' not in line


def _may_say_success(tool: str, line: bytes) -> bool:
    words = {
        "claude": (b"result", b"success"),
        "qwen": (b"result", b"success"),
        "codex": (b"turn.completed",),
        "gemini": (b"result", b"success", b"stats"),
        "opencode": (b"step_finish", b"stop"),
        "copilot": (b"result", b"exitCode"),
    }[tool]
    return all(word in line for word in words)
