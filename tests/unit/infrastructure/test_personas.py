"""Whether a tool knows a persona."""

from pathlib import Path

import pytest

from muster.domain.agent_profile import AgentProfile
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.failures import RequestRejectedError
from muster.infrastructure.adapters.local_process.launching import introduced
from muster.infrastructure.adapters.local_process.personas import is_known

FILES = (
    "agents/{agent}.md",
    "~/agents/{agent}.md",
    "$CONF/{agent}.md",
    "conf.json#agent.{agent}",
    "conf.toml#profiles.{agent}",
)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("agents/critic.md", "x"),
        ("home/agents/critic.md", "x"),
        ("conf/critic.md", "x"),
        ("conf.json", '{"agent": {"critic": {}}}'),
        ("conf.toml", "[profiles.critic]\n"),
    ],
)
def test_places(tmp_path: Path, file: str, text: str) -> None:
    """In the task's folder, in the child's home, by a variable, as a key of a file."""
    spec = ToolSpec("t", ("t",), agent_files=FILES, known_agents=("build",))
    env = {"HOME": str(tmp_path / "home"), "CONF": str(tmp_path / "conf")}
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)

    def knows(agent: str) -> bool:
        return is_known(spec, agent, env=env, cwd=str(tmp_path))

    assert knows("critic")
    assert knows("build")
    assert not knows("other")
    assert not knows("../agents/critic")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"agent": 1}', "\x00"])
def test_broken_files(tmp_path: Path, text: str) -> None:
    """They define nobody, and nothing is raised."""
    (tmp_path / "conf.json").write_text(text)
    spec = ToolSpec("t", ("t",), agent_files=("conf.json#agent.{agent}",))

    assert not is_known(spec, "critic", env={}, cwd=str(tmp_path))


def test_without_places_the_tool_is_believed() -> None:
    """It refuses unknown ones itself."""
    assert is_known(ToolSpec("t", ("t",)), "anybody", env={}, cwd=None)


CRITIC = AgentProfile("critic", prompt="Doubt all.")


@pytest.mark.parametrize(
    ("defined", "known", "profile", "agent", "prompt"),
    [
        (True, (), CRITIC, "critic", "hi"),
        (False, (), CRITIC, None, "Doubt all.\n\nhi"),
        (False, ("*",), CRITIC, None, "Doubt all.\n\nhi"),
        (False, ("*",), None, "critic", "hi"),
    ],
)
def test_a_persona_is_the_tools_own_or_stands_before_the_prompt(
    tmp_path: Path,
    defined: bool,  # noqa: FBT001
    known: tuple[str, ...],
    profile: AgentProfile | None,
    agent: str | None,
    prompt: str,
) -> None:
    """Only a tool that refuses unknown ones is asked for what nobody defines."""
    args = {"agent_args": ("-a", "{agent}"), "agent_files": ("{agent}.md",)}
    spec = ToolSpec("t", ("t",), known_agents=known, **args)
    if defined:
        (tmp_path / "critic.md").write_text("x")
    request = AgentRequest("x", prompt="hi", agent="critic", profile=profile)

    told = introduced(spec, request, {}, str(tmp_path))

    assert (told.agent, told.text) == (agent, prompt)


def test_nobody_is_run_without_the_persona_that_was_asked_for(tmp_path: Path) -> None:
    """A tool that would fall back in silence is not started."""
    args = {"agent_args": ("-a", "{agent}"), "agent_files": ("{agent}.md",)}
    request = AgentRequest("x", prompt="hi", agent="critic")

    with pytest.raises(RequestRejectedError, match="no agent 'critic'"):
        introduced(ToolSpec("t", ("t",), **args), request, {}, str(tmp_path))
