"""From a request to what a containment can start, checked before anything is opened."""

import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, frozen

from muster.domain import presets
from muster.domain.outcome import Failure, FailureCause
from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.environment import ChildEnvironment
from muster.infrastructure.adapters.local_process.executables import (
    Executables,
    NotExecutable,
)
from muster.infrastructure.adapters.local_process.failures import (
    RequestRejectedError,
    rejected,
)
from muster.infrastructure.adapters.local_process.homes import Home, Homes, at_home
from muster.infrastructure.adapters.local_process.personas import (
    REFUSES_UNKNOWN,
    is_known,
)


@frozen(slots=True)
class Launching:
    """A checked command line. ``prompt`` goes to stdin; ``prompt_file`` is for `clean_up`."""

    argv: tuple[str, ...]
    executable: str
    env: Mapping[str, str]
    cwd: str | None
    stop_signal: int
    prompt: bytes = b""
    prompt_file: str | None = None
    home: Home | None = None

    def clean_up(self) -> None:
        """The agent is over: nobody reads the prompt's file any more, or lives there."""
        if self.prompt_file is not None:
            Path(self.prompt_file).unlink(missing_ok=True)
        if self.home is not None:
            self.home.give_back()


class Launcher:
    """Prepares requests for one environment."""

    def __init__(
        self, environment: ChildEnvironment, executables: Executables, homes: Homes
    ) -> None:
        self._environment = environment
        self._executables = executables
        self._homes = homes

    def prepare(self, request: AgentRequest, prompt_folder: "Folder") -> Launching:
        """Raises `RequestRejectedError`; OSError when a prompt file can't be written."""
        spec = _tool_of(request)
        env = self._environment.of(request, spec)
        if spec.home == "shared":
            return self._prepared(spec, request, env, prompt_folder)
        home = self._homes.take(spec, env)
        try:
            env = at_home(env, home)
            launching = self._prepared(spec, request, env, prompt_folder)
        except BaseException:
            home.give_back()
            raise
        return evolve(launching, home=home)

    def _prepared(
        self,
        spec: ToolSpec,
        request: AgentRequest,
        env: Mapping[str, str],
        prompt_folder: "Folder",
    ) -> Launching:
        cwd = _folder_of(request)
        _check_environment(request.env)
        _check_environment(spec.env)
        _check_ids(request)
        executable = self._find(spec, cwd)
        request = introduced(spec, request, env, cwd)
        prompt = encoded_prompt(request.text)
        stop_signal = _signal(spec)
        if spec.prompt == "stdin":
            argv = _command_line(spec, request)
            return Launching(argv, executable, env, cwd, stop_signal, prompt)
        if spec.prompt == "argv":
            _check_argument(spec, prompt)
            argv = _command_line(spec, request, prompt=request.text)
            return Launching(argv, executable, env, cwd, stop_signal)
        # Everything else is checked by now, so that a rejected request leaves no file.
        _command_line(spec, request, prompt_file="")
        file = write_prompt(prompt, prompt_folder())
        argv = _command_line(spec, request, prompt_file=file)
        return Launching(argv, executable, env, cwd, stop_signal, b"", file)

    def forget(self, spec: ToolSpec) -> None:
        """What was known of the tool's program has proved wrong."""
        self._executables.forget(spec.command[0])

    def _find(self, spec: ToolSpec, cwd: str | None) -> str:
        if spec.shell:
            return "/bin/sh"
        try:
            return self._executables.find(
                spec.command[0] if spec.command else "",
                cwd=cwd,
                path=spec.env.get("PATH"),
            )
        except NotExecutable as error:
            message = f"tool '{spec.name}' {error.problem}"
            if error.command != spec.name and error.command not in message:
                message = f"tool '{spec.name}': '{error.command}' {error.problem}"
            if spec.install_hint:
                message += f"; {spec.install_hint}"
            failure = Failure(FailureCause.TOOL_NOT_FOUND, message)
            raise RequestRejectedError(failure) from error


class Folder:
    """Where prompt files go; made only when there is one."""

    def __init__(self, output_path: str | None, private: "PrivateFolder") -> None:
        self._output_path = output_path
        self._private = private

    def __call__(self) -> str:
        """The run's own folder where there is one, else a private one."""
        if self._output_path is not None:
            folder = Path(self._output_path).parent
            if folder.is_dir():
                return str(folder)
        return self._private.path()


class PrivateFolder:
    """A 0700 folder of ours in the system's temporary one, made when first needed."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def path(self) -> str:
        """Raises OSError."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="muster-")
        return self._folder.name

    def remove(self) -> None:
        """With all that is in it."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def encoded_prompt(text: str) -> bytes:
    """UTF-8; raises `RequestRejectedError` for a lone surrogate.

    It is rejected and not passed on, because half of the agents fail on the three
    bytes it would become and the others answer a different question.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        found = ord(text[error.start])
        problem = (
            f"the prompt is no valid Unicode: lone surrogate U+{found:04X} at "
            f"character {error.start} of {len(text)}"
        )
        raise rejected(problem) from error


def write_prompt(prompt: bytes, folder: str) -> str:
    """A new 0600 file with the prompt. Nothing is left when that fails."""
    fd, path = tempfile.mkstemp(prefix="prompt-", suffix=".txt", dir=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(prompt)
    except OSError:
        Path(path).unlink(missing_ok=True)
        raise
    return path


def _tool_of(request: AgentRequest) -> ToolSpec:
    if request.tool is None:
        problem = "the request names no tool; a ToolRegistry resolves one"
        raise rejected(problem)
    return request.tool


def introduced(
    spec: ToolSpec, request: AgentRequest, env: Mapping[str, str], cwd: str | None
) -> AgentRequest:
    """A request whose persona the tool knows, or has before its prompt."""
    agent, profile = request.agent, request.profile
    if agent is None or not spec.agent_args or is_known(spec, agent, env=env, cwd=cwd):
        return request
    if profile is not None and profile.prompt:
        told = f"{profile.prompt.strip()}\n\n{request.text}"
        return evolve(request, agent=None, prompt=told)
    if REFUSES_UNKNOWN in spec.known_agents:
        return request
    places = ", ".join(each.replace("{agent}", agent) for each in spec.agent_files)
    problem = (
        f"tool '{spec.name}' has no agent '{agent}' and would run without it; it is "
        f"looked for in {places}"
    )
    raise RequestRejectedError(Failure(FailureCause.NOT_FOUND, problem))


def _folder_of(request: AgentRequest) -> str | None:
    cwd = request.cwd
    if cwd is None:
        return None
    _check_word("cwd", cwd)
    # The process that forks may stand elsewhere.
    return os.path.abspath(cwd)  # noqa: PTH100 - links stay links


def _command_line(
    spec: ToolSpec,
    request: AgentRequest,
    prompt: str | None = None,
    prompt_file: str | None = None,
) -> tuple[str, ...]:
    for name in ("agent", "model", "session_id"):
        value = getattr(request, name)
        if value is not None:
            _check_word(name, value)
            if value.startswith("-"):
                problem = f"{name} {value!r} would be read as an option"
                raise rejected(problem)
    argv = spec.argv(
        agent=request.agent,
        model=request.model,
        session_id=request.session_id,
        prompt=prompt,
        prompt_file=prompt_file,
    )
    for word in argv:
        _check_word("an argument", word)
    if prompt is not None and prompt.startswith("-"):
        _check_option(spec, argv, prompt)
    return argv


def _check_option(spec: ToolSpec, argv: tuple[str, ...], prompt: str) -> None:
    place = argv.index(prompt) if prompt in argv else 0
    # Behind an option the word is its value, behind "--" it is a word.
    if place and not argv[place - 1].startswith("-"):
        problem = (
            f"the prompt starts with '-' and tool '{spec.name}' takes it as an "
            'argument: put "--" before {prompt} in its command, or use stdin'
        )
        raise rejected(problem)


def _check_argument(spec: ToolSpec, prompt: bytes) -> None:
    if len(prompt) > presets.ARGV_PROMPT_BYTES:
        problem = (
            f"the prompt has {len(prompt)} bytes and tool '{spec.name}' takes it as an "
            f"argument, where at most {presets.ARGV_PROMPT_BYTES} fit; use a tool that "
            "reads its prompt from stdin or a file"
        )
        raise rejected(problem)


def _check_environment(env: Mapping[str, str | None] | None) -> None:
    for name, value in (env or {}).items():
        if not name or "=" in name:
            problem = f"{name!r} is no name of an environment variable"
            raise rejected(problem)
        _check_word("a variable's name", name)
        if value is not None:
            _check_word(f"environment variable {name}", value)


def _check_ids(request: AgentRequest) -> None:
    # They stand in the environment of the child.
    for name in ("agent", "model", "task_id", "run_id"):
        value = getattr(request, name)
        if value is not None:
            _check_word(name, value)


def _check_word(what: str, word: str) -> None:
    if "\0" in word:
        problem = f"{what} holds a NUL byte at character {word.index(chr(0))}"
        raise rejected(problem)
    if not word.isascii():
        try:
            word.encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            problem = f"{what} holds a lone surrogate at character {error.start}"
            raise rejected(problem) from error


def _signal(spec: ToolSpec) -> int:
    found = getattr(signal, spec.stop_signal, None)
    if isinstance(found, signal.Signals):
        return int(found)
    problem = f"tool '{spec.name}': {spec.stop_signal!r} is no signal of this machine"
    raise rejected(problem)
