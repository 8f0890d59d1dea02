"""The real agent CLIs in a home of their own, set up to ask a model server of a test.

`make agent-clis` installs them. Nothing of theirs may look for the world outside: what
has no switch meets a proxy and a package registry that refuse.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define

FOLDER: Final = Path(__file__).parents[2] / ".agent-clis"
NAMES: Final = ("claude", "codex", "gemini", "opencode")
# Port 9 of this machine: nobody listens, so it refuses at once instead of hanging.
NOBODY: Final = "http://127.0.0.1:9"
MODELS: Final = {
    "claude": "claude-sonnet-4-5",
    "codex": "test-model",
    "gemini": "gemini-2.5-flash",
    "opencode": "mock/test-model",
}


def missing() -> str:
    """Which of them are not installed, and what to do; "" where all are here."""
    absent = [name for name in (*NAMES, "node") if not (FOLDER / "bin" / name).exists()]
    names = ", ".join(absent)
    return f"not installed: {names}; run `make agent-clis`" if absent else ""


def require() -> None:
    """Fails the test where the CLIs are not installed: a skip would hide that."""
    if problem := missing():
        pytest.fail(problem, pytrace=False)


@define
class Place:
    """A fresh home and a folder to work in, under ``folder``."""

    folder: Path

    def __attrs_post_init__(self) -> None:
        for each in (self.home, self.work):
            each.mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        """HOME of the agents."""
        return self.folder / "home"

    @property
    def work(self) -> Path:
        """Where they work."""
        return self.folder / "work"

    def settings(self, name: str, url: str, **changes: Any) -> dict[str, Any]:
        """What a user of a server at ``url`` writes for the tool into the settings."""
        env = {**_outside(), "HOME": str(self.home), **_SETTINGS[name](self, url)}
        env |= changes.pop("env", {})
        return {"tools": {name: {"permissions": "bypass", "env": env, **changes}}}

    def write_settings(self, user_home: Path, name: str, url: str) -> None:
        """The same in the settings file of a user."""
        table = self.settings(name, url)["tools"][name]
        # What JSON writes for a text is a text of TOML, too.
        lines = [f"[tools.{name}]", f"permissions = {json.dumps(table['permissions'])}"]
        lines += [f"[tools.{name}.env]"]
        lines += [f"{key} = {json.dumps(text)}" for key, text in table["env"].items()]
        file = user_home / ".config" / "muster" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def alive(self, *words: str) -> list[str]:
        """Who still runs with this home, or with one of ``words`` in its command line."""
        mark = f"HOME={self.home}".encode()
        return _processes(lambda env, line: mark in env or _has(line, words))

    def alive_after(self, patience: float, *words: str) -> list[str]:
        """Who still runs when everybody is gone, or patience ends."""
        until = time.monotonic() + patience
        while (left := self.alive(*words)) and time.monotonic() < until:
            time.sleep(0.05)
        return left


def _processes(is_one: Callable[[list[bytes], str], bool]) -> list[str]:
    found = []
    for each in Path("/proc").iterdir():
        if not each.name.isdigit():
            continue
        try:
            env = (each / "environ").read_bytes().split(b"\0")
            line = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        # A zombie has neither.
        if line and is_one(env, line):
            found.append(f"{each.name} {line[:200]}")
    return found


def _has(line: str, words: tuple[str, ...]) -> bool:
    return any(word in line.split() for word in words)


def _outside() -> dict[str, str]:
    # Node of the system, if any, is another one than the CLIs were installed with.
    path = f"{FOLDER / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOBODY)
    proxies |= {name.lower(): NOBODY for name in proxies}
    return {
        "PATH": path,
        **proxies,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "NPM_CONFIG_REGISTRY": NOBODY,
        "npm_config_registry": NOBODY,
    }


# By an account with a plan, not by a key: only then claude tells of its windows.
CLAUDE_PLAN: Final = {
    "ANTHROPIC_API_KEY": "",
    "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-test",
}


def _claude(_: Place, url: str) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-test",
        "IS_SANDBOX": "1",
    }


def _codex(place: Place, url: str) -> dict[str, str]:
    home = place.home / ".codex"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(
        f"""
model = "test-model"
model_provider = "local"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.local]
name = "local"
base_url = "{url}/v1"
env_key = "CODEX_TEST_KEY"
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 2
"""
    )
    return {"CODEX_HOME": str(home), "CODEX_TEST_KEY": "sk-test"}


def _gemini(place: Place, url: str) -> dict[str, str]:
    home = place.home / ".gemini"
    home.mkdir(exist_ok=True)
    settings = {
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
    }
    (home / "settings.json").write_text(json.dumps(settings))
    return {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "test-key"}


def _opencode(place: Place, url: str) -> dict[str, str]:
    config = place.home / ".config" / "opencode"
    config.mkdir(parents=True, exist_ok=True)
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "local",
        "options": {"baseURL": f"{url}/v1", "apiKey": "sk-test"},
        "models": {"test-model": {"name": "test-model"}},
    }
    document = {
        "provider": {"mock": provider},
        "model": "mock/test-model",
        "small_model": "mock/test-model",
        "autoupdate": False,
        "share": "disabled",
    }
    (config / "opencode.json").write_text(json.dumps(document))
    return {"OPENCODE_DISABLE_DEFAULT_PLUGINS": "1"}


_SETTINGS: Final = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
}

# Two workers run two of them at a time, a heavy one beside a light one.
GROUPS: Final = {
    "claude": pytest.mark.xdist_group("agent-cli-1"),
    "codex": pytest.mark.xdist_group("agent-cli-2"),
    "gemini": pytest.mark.xdist_group("agent-cli-1"),
    "opencode": pytest.mark.xdist_group("agent-cli-2"),
}
EACH: Final = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=GROUPS[name]) for name in NAMES]
)
