"""How an agent without a tool that knows personas is given one."""

from muster.domain.agent_profile import AgentProfile
from muster.domain.tool import ToolSpec


def persona_for(spec: ToolSpec, profile: AgentProfile | None) -> str:
    """What stands before the prompt: the profile's text, where the tool can't load it.

    A plain program gets its prompt alone; it reads MUSTER_AGENT if it cares.
    """
    if profile is None or spec.agent_args or not spec.is_agent or not profile.prompt:
        return ""
    return f"{profile.prompt.strip()}\n\n"
