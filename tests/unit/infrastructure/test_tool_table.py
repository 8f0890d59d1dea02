"""Names become tools: a user's own, built-in ones, any program; or it is said why not."""

from pathlib import Path
from typing import Any

import attrs
import pytest

from muster.domain.errors import ConfigError, ToolNotFoundError
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process import tool_specs
from muster.infrastructure.adapters.local_process.tool_specs import (
    BUILT_IN,
    built_in,
    tool_spec,
)
from muster.infrastructure.adapters.local_process.tool_table import LocalToolRegistry

BYPASSES = ("bypass", "yolo", "dangerous", "allow-all", "auto", "yes")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with ``codex``, ``gemini`` and ``lint``."""
    for name in ("codex", "gemini", "lint"):
        file = tmp_path / name
        file.write_text("#!/no/such/interpreter\n")
        file.chmod(0o755)
    return tmp_path


def registry(
    programs: Path,
    tools: dict[str, Any] | None = None,
    default: str | None = None,
    **environ: str,
) -> LocalToolRegistry:
    """Of a host whose PATH and HOME is ``programs``."""
    places = {"PATH": str(programs), "HOME": str(programs)}
    return LocalToolRegistry(tools, environ={**places, **environ}, default=default)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_tools_ask_before_they_act(name: str) -> None:
    """Approval is bypassed by the user's choice only, and nobody inherits everything."""
    spec = built_in(name)
    asked = attrs_evolve(spec, permissions="bypass")
    words = " ".join(spec.argv(agent="a", model="m", prompt="p", prompt_file="f"))

    assert spec.is_agent
    assert set(spec.bypass_args) <= set(asked.argv())
    assert not set(spec.bypass_args) & set(spec.argv())
    assert not any(f"--{bypass}" in words for bypass in BYPASSES)
    assert "*" not in spec.env
    assert spec.install_hint


def attrs_evolve(spec: ToolSpec, **changes: Any) -> ToolSpec:
    return tool_spec(spec.name, changes, base=spec)


def test_the_users_tools_win_over_built_in_ones(programs: Path) -> None:
    """A spec replaces; a table with a built-in name changes what it names."""
    tools = {
        "codex": ToolSpec("codex", ("lint",)),
        "gemini": {"permissions": "bypass", "env": {"X": "1"}},
    }
    found = registry(programs, tools)

    assert found.resolve("codex").command == ("lint",)
    changed = found.resolve("gemini")
    assert changed.permissions == "bypass"
    assert changed.env == {**built_in("gemini").env, "X": "1"}


def test_any_program_is_a_tool(programs: Path) -> None:
    """By name or by path; a path stays what it was where the user stood."""
    found = registry(programs)

    assert found.resolve("lint") == ToolSpec("lint", ("lint",))
    path = str(programs / "lint")
    assert found.resolve(path).command == (path,)


def test_a_spec_is_taken_as_it_is(programs: Path) -> None:
    """Whoever brings a spec knows better."""
    spec = ToolSpec("x", ("no-such-program",))

    assert registry(programs).resolve(spec) is spec


def test_resolving_again_is_a_look_up(programs: Path) -> None:
    """The same object, even when the program has gone meanwhile."""
    found = registry(programs)
    first = found.resolve("lint")
    (programs / "lint").unlink()

    assert found.resolve("lint") is first


@pytest.mark.parametrize(
    ("tools", "name", "words"),
    [
        ({}, "claud", "did you mean 'claude'"),
        ({"mylint": {"command": "lint"}}, "mylnt", "did you mean 'mylint'"),
        ({}, "zzzzzz", "was not found on PATH"),
        ({}, "claude", "npm install -g"),
        ({"x": {"command": ["nosuch", "-y"]}}, "x", "names 'nosuch', which was not"),
        ({}, "lint --fix", r"\[tools\.NAME\]"),
        ({}, "/", "is a directory"),
    ],
)
def test_what_is_not_here_is_said(
    programs: Path, tools: dict[str, Any], name: str, words: str
) -> None:
    """With the nearest name, and the way to get it."""
    with pytest.raises(ToolNotFoundError, match=words):
        registry(programs, tools).resolve(name)


def test_the_default_is_the_configured_tool(programs: Path) -> None:
    """Whether or not it is an agent."""
    assert registry(programs, default="lint").resolve(None).name == "lint"


def test_the_default_is_the_first_that_is_logged_in(programs: Path) -> None:
    """codex is here, but only gemini has a key."""
    found = registry(programs, GEMINI_API_KEY="k")

    assert found.resolve(None).name == "gemini"


def test_a_login_file_counts(programs: Path) -> None:
    """What the CLI writes when a person logs in."""
    (programs / ".codex").mkdir()
    (programs / ".codex" / "auth.json").write_text("{}")

    assert registry(programs).resolve(None).name == "codex"


@pytest.mark.parametrize(
    ("here", "words"),
    [(True, "codex, gemini does not look logged in"), (False, "none of claude, codex")],
)
def test_without_a_default_both_ways_out_are_named(
    programs: Path, *, here: bool, words: str
) -> None:
    """Log in, or name a program."""
    if not here:
        for name in ("codex", "gemini"):
            (programs / name).unlink()

    with pytest.raises(ToolNotFoundError, match=f"{words}.*--tool"):
        registry(programs).resolve(None)


def test_detection_looks_and_starts_nothing(programs: Path) -> None:
    """Path and log-in from files and variables alone."""
    found = registry(programs, {"own": {"command": "lint"}}, GEMINI_API_KEY="k")

    detected = {each.spec.name: each for each in found.detect()}

    logins = {name: each.logged_in for name, each in detected.items()}
    assert logins == {"own": None, "codex": False, "gemini": True}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            {"command": "x", "comand": "y"},
            "unknown key 'comand'; did you mean 'command'",
        ),
        ({}, "command is missing"),
        ({"command": 3}, "command must be"),
        ({"command": ["x", 3]}, "command must be"),
        ({"command": "x", "prompt": "fax"}, "'stdin' or 'argv' or 'file'"),
        ({"command": "x", "shell": "yes"}, "true or false"),
        ({"command": "x", "retry_patience": "long"}, "seconds"),
        ({"command": "x", "env": {"A": 1}}, "env must be"),
        ({"command": "x", "name": "y"}, "unknown key 'name'"),
    ],
)
def test_a_wrong_table_names_the_key(table: dict[str, Any], words: str) -> None:
    """Settings and plans share this."""
    with pytest.raises(ConfigError, match=words):
        tool_spec("x", table)


def test_the_rules_cover_every_field() -> None:
    """A field that `ToolSpec` gains is a key here, or this fails."""
    assert {each.name for each in attrs.fields(ToolSpec)} - {"name"} == set(
        tool_specs._RULES
    )


def test_the_path_of_a_tool_finds_its_program(programs: Path) -> None:
    """A PATH in a tool's own environment is where its program is looked for."""
    env = {"PATH": str(programs), "OPENAI_API_KEY": "sk-1"}
    there = registry(Path("/nowhere"), {"codex": {"env": env}})

    (found,) = there.detect()

    assert there.resolve("codex").name == "codex"
    assert (found.path, found.logged_in) == (str(programs / "codex"), True)
