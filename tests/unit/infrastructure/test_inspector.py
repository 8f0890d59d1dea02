"""Files, schemas and commands that are expected."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from muster.domain.errors import AgentInvocationError
from muster.domain.events import AgentEnded
from muster.domain.outcome import Failure, FailureCause
from muster.domain.task import AgentRequest, Expectation
from muster.infrastructure.inspector import WorldInspector
from muster.testing import AgentOrchestratorStub, fails, notes, prints, replies

SCHEMA = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer", "minimum": 1}},
}


def inspector(*script: Any) -> WorldInspector:
    """An inspector whose commands follow the script."""
    stub = AgentOrchestratorStub(*script)
    return WorldInspector(lambda _: stub)


def look(
    expect: Expectation, output: str = "", *script: Any, cwd: str | None = None
) -> str:
    """The complaint, or an empty text."""
    found = inspector(*script).complaint(expect, output, cwd=cwd, env=None)
    return asyncio.run(found) or ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("full", ""),
        ("deep/full", ""),
        ("empty", "is empty"),
        ("missing", "does not exist"),
        ("deep", "does not exist"),
        ("full/inside", "does not exist"),
        ("nul\0", "file"),
    ],
)
def test_files(tmp_path: Path, name: str, words: str) -> None:
    """A regular file with something in it, relative to the task's folder."""
    (tmp_path / "deep").mkdir()
    for each in ("full", "deep/full"):
        (tmp_path / each).write_text("x")
    (tmp_path / "empty").touch()

    complaint = look(Expectation(file=name), cwd=str(tmp_path))

    assert (words in complaint) if words else (complaint == "")
    absolute = look(Expectation(file=str(tmp_path / "full")))
    assert absolute == ""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ('{"n": 1}', ""),
        ('  {"n": 1, "x": "```"}\n', ""),
        ('```json\n{"n": 1}\n```', ""),
        ('Here it is:\n```\n{"n": 2}\n```\nBye.', ""),
        ('{"n": 0}', "$.n: 0 is less than the minimum"),
        ('{"n": "1"}', "is not of type 'integer'"),
        ("{}", "'n' is a required property"),
        ("[]", "is not of type 'object'"),
        ("no JSON", "is no JSON"),
        ("", "is no JSON"),
        ('```\n{"n": 1}\n```\n```\n{"n": 2}\n```', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_schemas(output: str, words: str) -> None:
    """The whole output, or the one fenced block in it; problems say where."""
    complaint = look(Expectation(json_schema=SCHEMA), output)

    assert (words in complaint) if words else (complaint == "")


def test_a_long_list_of_problems_is_short() -> None:
    """The first few are enough to begin with."""
    schema = {"items": {"type": "integer"}}

    complaint = look(
        Expectation(json_schema=schema), str(["x" * 9] * 99).replace("'", '"')
    )

    assert complaint.count("is not of type") == 3


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (replies(), ""),
        (notes("2 tests failed") + fails("crash", exit_code=2), "2: 2 tests failed"),
        (prints("see above") + fails("crash", exit_code=3), "3: see above"),
        (fails("crash", exit_code=4), "exited with 4"),
        (fails("tool_not_found", "no such program", exit_code=None), "no such program"),
    ],
)
def test_commands(script: Any, words: str) -> None:
    """Exit 0 is praise; else the command, its code and what it said last."""
    complaint = look(Expectation(command=("pytest", "-q x")), "", script)

    if words:
        assert words in complaint
        assert "`pytest '-q x'`" in complaint
    else:
        assert complaint == ""


def test_the_first_complaint_counts(tmp_path: Path) -> None:
    """What is cheap is looked at first."""
    expect = Expectation(file="gone", json_schema=SCHEMA, command=("false",))

    assert "gone" in look(expect, "no JSON", fails("crash"), cwd=str(tmp_path))
    (tmp_path / "gone").write_text("x")
    assert "JSON" in look(expect, "no JSON", fails("crash"), cwd=str(tmp_path))
    assert "false" in look(expect, '{"n": 1}', fails("crash"), cwd=str(tmp_path))


def test_a_failure_without_an_end() -> None:
    """What the adapter says is what is known."""

    class Lost(AgentOrchestratorStub):
        async def invoke(self, request: AgentRequest, report: Any) -> Any:
            failure = Failure(FailureCause.KILLED, "lost")
            raise AgentInvocationError("expect", failure, AgentEnded())

    found = WorldInspector(lambda _: Lost()).complaint(
        Expectation(command=("x",)), "", cwd=None, env=None
    )

    assert str(asyncio.run(found)).endswith("failed: lost")


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({}, ""),
        ({"file": "x", "command": ("x",)}, ""),
        ({"command": ()}, "empty"),
        ({"json_schema": SCHEMA}, ""),
        ({"json_schema": {"type": "objekt"}}, "no JSON schema"),
    ],
)
def test_obstacles(expect: dict[str, Any], words: str) -> None:
    """What can't be checked is known before anybody runs."""
    found = inspector().obstacle(Expectation(**expect)) or ""

    assert (words in found) if words else (found == "")
