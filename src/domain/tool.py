"""A tool is data: how one kind of agent is started and what its output means."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import field, frozen

PromptChannel = Literal["stdin", "argv", "file"]
Permissions = Literal["tool default", "bypass"]


def _environment(
    value: Mapping[str, str | None] | Sequence[str],
) -> dict[str, str | None]:
    if isinstance(value, str):
        return {value: None}
    return dict(value) if isinstance(value, Mapping) else dict.fromkeys(value)


def _words(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class ToolSpec:
    """How to run one tool.

    Arguments may hold ``{agent}``, ``{model}``, ``{prompt}``, ``{prompt_file}``
    and ``{session_id}``. ``env`` maps a name to its value, or to None to pass on
    the caller's; a list of names means the latter; names may end in ``*``.
    ``shell`` runs ``command`` (one string) by ``/bin/sh -c``. The prompt of a tool
    that ``interprets`` is a program: nothing is put before it, and what its
    programs meet says nothing of a common backend.

    For plain text and an exit code of 0: a success holds ``success_pattern``, and
    nothing behind its last place fits one of ``failure_patterns`` (regular
    expressions, ``^`` and ``$`` at line ends).

    A tool of another ``adapter`` has no command: ``base_url`` says where its model is
    served, ``model`` which one is meant when nobody names one, ``api_key_env`` which
    variable holds the key. ``options`` are for the adapter alone. ``provider`` is who
    sells its models, by the name that lists of prices use.

    With ``login_probe`` the first agent of an account goes alone until it shows a sign
    of life, at most so many seconds: where an account is not logged in, one finds out.
    ``home = "own"`` gives each agent a HOME for itself, with links to ``login_files``
    and ``home_files`` of the user's.
    """

    name: str
    command: tuple[str, ...] = field(default=(), converter=_words)
    prompt: PromptChannel = "stdin"
    agent_args: tuple[str, ...] = field(default=(), converter=_words)
    model_args: tuple[str, ...] = field(default=(), converter=_words)
    extra_args: tuple[str, ...] = field(default=(), converter=_words)
    bypass_args: tuple[str, ...] = field(default=(), converter=_words)
    output: str = "text"
    env: Mapping[str, str | None] = field(factory=dict, converter=_environment)
    silent_until_done: bool = False
    retries_itself: bool = False
    retry_patience: float | None = None
    session_resume_args: tuple[str, ...] = field(default=(), converter=_words)
    stop_signal: str = "SIGTERM"
    permissions: Permissions = "tool default"
    shell: bool = False
    requires_output: bool = False
    success_pattern: str = ""
    failure_patterns: tuple[str, ...] = field(default=(), converter=_words)
    is_agent: bool = False
    silent_turns: bool = False
    memory_mib: int | None = None
    min_version: str = ""
    agent_files: tuple[str, ...] = field(default=(), converter=_words)
    known_agents: tuple[str, ...] = field(default=(), converter=_words)
    start_spacing: float = 0.0
    login_probe: float = 0.0
    interprets: bool = False
    adapter: str = "local_process"
    version_args: tuple[str, ...] = field(default=("--version",), converter=_words)
    login_files: tuple[str, ...] = field(default=(), converter=_words)
    login_env: tuple[str, ...] = field(default=(), converter=_words)
    login_hint: str = ""
    install_hint: str = ""
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    options: Mapping[str, Any] = field(factory=dict, converter=dict)
    provider: str = ""
    home: Literal["shared", "own"] = "shared"
    home_files: tuple[str, ...] = field(default=(), converter=_words)

    @property
    def is_structured(self) -> bool:
        """Whether its stdout is a stream of records."""
        return self.output != "text"

    def argv(self, **values: str | None) -> tuple[str, ...]:
        """The whole command line; groups whose value is None are left out."""
        if self.shell:
            return ("/bin/sh", "-c", " ".join(self.command))
        groups: list[tuple[tuple[str, ...], Any]] = [
            (self.extra_args, True),
            (self.bypass_args, self.permissions == "bypass"),
            (self.agent_args, values.get("agent")),
            (self.model_args, values.get("model")),
            # Last, because for some tools it is a sub-command.
            (self.session_resume_args, values.get("session_id")),
        ]
        words = list(self.command)
        words += [word for group, on in groups if on for word in group]
        if self.prompt == "argv" and not any("{prompt}" in word for word in words):
            words.append("{prompt}")
        if self.prompt == "file" and not any("{prompt_file}" in word for word in words):
            words.append("{prompt_file}")
        return tuple(_filled(word, values) for word in words)


def _filled(word: str, values: Mapping[str, str | None]) -> str:
    # One pass: a value that itself holds "{model}" is not filled again.
    return _SLOT.sub(lambda slot: values.get(slot[1]) or "", word)


_SLOT = re.compile(r"\{(agent|model|prompt|prompt_file|session_id)\}")
