"""The template for the next tool, and what doctor makes of specs."""

import tomllib
from importlib.resources import files

import pytest

from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.tool_specs import (
    BUILT_IN,
    built_in,
    tool_spec,
)
from muster.infrastructure.doctor import programs

TOOLS = files("muster.infrastructure.adapters.local_process") / "tools"


def test_the_template_is_a_tool() -> None:
    """Copied as it is, it makes a spec; each of its keys may stand in settings too."""
    table = tomllib.loads((TOOLS / "TEMPLATE.toml").read_text())
    names = table.pop("pass_env")["names"]

    spec = tool_spec("my", {**table, "env": {**table["env"], **dict.fromkeys(names)}})

    assert spec.argv(session_id="s")[-2:] == ("--resume", "s")


@pytest.mark.parametrize("name", BUILT_IN)
def test_structured_tools_are_not_silent(name: str) -> None:
    """A stream that is read needs no exemption from the rules of silence."""
    spec = built_in(name)

    assert not (spec.is_structured and spec.silent_until_done)
    assert not any("{tools}" in (value or "") for value in spec.env.values())


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("1.9.9 (Claude Code)", True),
        ("codex-cli 2.0.0", False),
        ("2.0", False),
        ("v2.0.1-beta", False),
        ("0.61.0", True),
        (None, False),
        ("no idea", False),
    ],
)
def test_old_versions(version: str | None, *, old: bool) -> None:
    """By their numbers; what can't be told is believed."""
    spec = ToolSpec("t", ("t",), min_version="2.0.0")

    assert programs.is_too_old(spec, version) is old
    assert len(programs.versions([(spec, version)])) == old


def test_memory() -> None:
    """A warning where fewer agents fit than may run."""
    spec = ToolSpec("t", ("t",), memory_mib=400)

    assert programs.memory([spec], 5, 2000) == []
    assert programs.memory([spec], 5, None) == []
    (found,) = programs.memory([spec], 5, 900)
    assert "2 agents" in found.what
    assert "--max-concurrent 2" in found.advice
