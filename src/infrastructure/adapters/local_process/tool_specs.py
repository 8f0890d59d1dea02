"""Tools as data: the built-in ones in ``tools/``, and tables of a user's settings."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import attrs

from muster.domain.errors import ConfigError
from muster.domain.suggestion import did_you_mean
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.stream_formats import OUTPUTS

# In this order the default is looked for.
BUILT_IN = (
    "claude",
    "codex",
    "gemini",
    "opencode",
    "qwen",
    "copilot",
    "aider",
    "llm",
    "mini",
    "amp",
)
_PACKAGE = "muster.infrastructure.adapters.local_process"


def tool_spec(
    name: str,
    table: Mapping[str, Any],
    *,
    base: ToolSpec | None = None,
    where: str | None = None,
) -> ToolSpec:
    """A spec from a ``[tools.NAME]`` table, on top of ``base`` where there is one.

    Raises `ConfigError` that names the key.
    """
    where = where or f"[tools.{name}]"
    for key in table:
        if key not in _RULES:
            problem = f"unknown key '{key}'{did_you_mean(key, _RULES)}"
            raise ConfigError(problem, where)
    for key, value in table.items():
        fits, rule = _RULES[key]
        if not fits(value):
            raise ConfigError(f"{key} must be {rule}, not {value!r}", where)
    is_program = table.get("adapter", "local_process") == "local_process"
    if base is None and is_program and not table.get("command"):
        problem = (
            'command is missing: a program and its arguments, as ["ruff", "check"]'
        )
        raise ConfigError(problem, where)
    if base is None:
        return ToolSpec(name=name, **table)
    changes = dict(table)
    if "env" in changes:
        changes["env"] = {**base.env, **ToolSpec(name, (), env=changes["env"]).env}
    return attrs.evolve(base, **changes)


def built_in(name: str) -> ToolSpec:
    """The built-in spec of that name."""
    folder = files(_PACKAGE) / "tools"
    table = tomllib.loads((folder / f"{name}.toml").read_text())
    passed_on = table.pop("pass_env", {}).get("names", ())
    env = dict.fromkeys(passed_on) | {
        variable: value.replace("{tools}", str(folder))
        for variable, value in table.pop("env", {}).items()
    }
    return ToolSpec(name=name, env=env, **table)


def _is_words(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, Sequence) and all(isinstance(each, str) for each in value)
    )


def _is_environment(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(each, str | None) for each in value.values())
    return _is_words(value)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _one_of(*choices: str) -> "_Rule":
    return lambda value: value in choices, " or ".join(map(repr, choices))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_pattern(value: object) -> bool:
    try:
        re.compile(value if isinstance(value, str) else "(")
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _are_patterns(value: object) -> bool:
    words = [value] if isinstance(value, str) else value
    return isinstance(words, Sequence) and all(map(_is_pattern, words))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_Rule = tuple[Callable[[object], bool], str]
_WORDS: _Rule = (_is_words, "a text or a list of texts")
_FLAG: _Rule = (_is_flag, "true or false")
_TEXT: _Rule = (_is_text, "a text")
_RULES: Mapping[str, _Rule] = {
    "command": _WORDS,
    "prompt": _one_of("stdin", "argv", "file"),
    "agent_args": _WORDS,
    "model_args": _WORDS,
    "extra_args": _WORDS,
    "bypass_args": _WORDS,
    "output": _one_of(*OUTPUTS),
    "env": (_is_environment, "a list of names, or a table of names and texts"),
    "silent_until_done": _FLAG,
    "retries_itself": _FLAG,
    "retry_patience": (_is_seconds, "seconds"),
    "session_resume_args": _WORDS,
    "stop_signal": _TEXT,
    "permissions": _one_of("tool default", "bypass"),
    "adapter": _TEXT,
    "shell": _FLAG,
    "requires_output": _FLAG,
    "success_pattern": (_is_pattern, "a regular expression"),
    "failure_patterns": (_are_patterns, "a regular expression or a list of them"),
    "interprets": _FLAG,
    "silent_turns": _FLAG,
    "memory_mib": (_is_count, "a number of MiB"),
    "min_version": _TEXT,
    "agent_files": _WORDS,
    "known_agents": _WORDS,
    "start_spacing": (_is_seconds, "seconds"),
    "login_probe": (_is_seconds, "seconds"),
    "is_agent": _FLAG,
    "version_args": _WORDS,
    "login_files": _WORDS,
    "login_env": _WORDS,
    "login_hint": _TEXT,
    "install_hint": _TEXT,
    "base_url": _TEXT,
    "model": _TEXT,
    "api_key_env": _TEXT,
    "provider": _TEXT,
    "home": _one_of("shared", "own"),
    "home_files": _WORDS,
    "options": (lambda value: isinstance(value, Mapping), "a table"),
}
