"""Where a user's shared files live, by the XDG rules."""

from collections.abc import Mapping
from pathlib import Path

from muster.infrastructure.agent_profiles import AgentProfiles
from muster.infrastructure.lane_gate import FileLaneGate
from muster.infrastructure.settings import Settings


def gate_of(environ: Mapping[str, str]) -> FileLaneGate | None:
    """The gate that this user's processes share; None for a user without a home.

    It is in the user's own folder: in a shared one, anybody could have put
    something there before us.
    """
    cache, home = environ.get("XDG_CACHE_HOME"), environ.get("HOME")
    if cache:
        return FileLaneGate(Path(cache) / "muster" / "lanes")
    return FileLaneGate(Path(home) / ".cache" / "muster" / "lanes") if home else None


def profiles_of(settings: Settings, environ: Mapping[str, str]) -> AgentProfiles:
    """The agent profiles of the project and the user, and those of the settings."""
    home = environ.get("HOME")
    return AgentProfiles.discover(
        settings.project, Path(home) if home else None, settings.agents
    )
