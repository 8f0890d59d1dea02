"""What the protocols have in common: a request understood, an answer to be put into words."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import frozen

from tests.support.model_server.script import Turn

# The shell tools of agent CLIs, and the arguments in which they take a command.
_SHELL_ARGUMENTS: Final[Mapping[str, str]] = {
    "Bash": "command",
    "bash": "command",
    "shell_command": "command",
    "exec_command": "cmd",
    "run_shell_command": "command",
    "shell": "command",
}


@frozen
class Asked:
    """A request, as far as it matters."""

    model: str
    prompt: str
    stream: bool = False
    tools: tuple[str, ...] = ()
    has_tool_result: bool = False
    wants_usage: bool = True


@frozen
class ToolCall:
    """What the model wants to be run."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@frozen
class Reply:
    """An answer before it has a form."""

    model: str
    number: int
    pieces: tuple[str, ...]
    turn: Turn
    call: ToolCall | None = None
    usage: bool = True

    @property
    def text(self) -> str:
        """The whole of it."""
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.turn.input_tokens + self.turn.output_tokens


@frozen
class Refusal:
    """An answer that is an error."""

    status: int
    body: Any
    headers: Mapping[str, str]


@frozen
class Stream:
    """The events of a streamed answer; a break happens between two ``pieces``."""

    opening: Sequence[bytes]
    pieces: Sequence[bytes]
    closing: Sequence[bytes]


class Dialect(Protocol):
    """One protocol."""

    name: str

    def asked(self, path: str, query: str, body: Mapping[str, Any]) -> Asked:
        """What the request wants."""
        ...

    def whole(self, reply: Reply) -> Any:
        """The answer in one JSON document."""
        ...

    def stream(self, reply: Reply) -> Stream:
        """The answer as events."""
        ...

    def refusal(self, turn: Turn, now: float, asked: Asked) -> Refusal:
        """The error in this protocol's words; ``now`` is epoch seconds."""
        ...

    def broken_off(self, turn: Turn) -> Sequence[bytes]:
        """The events by which a stream says that the server has failed."""
        ...


def shell_call(asked: Asked, turn: Turn, number: int) -> ToolCall | None:
    """A call of the shell tool that the request offers, or None."""
    for name, argument in _SHELL_ARGUMENTS.items():
        if name in asked.tools:
            command: Any = turn.command
            if name == "shell":
                command = ["sh", "-c", turn.command]
            arguments = {argument: command, "description": "scripted"}
            if argument == "cmd":
                arguments = {argument: command}
            return ToolCall(f"call_{number}", name, arguments)
    return None


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {text}\n\n".encode()


def text_of(content: Any) -> str:
    """The text of a message's content, plain or in parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (each.get("text", "") for each in content if isinstance(each, Mapping))
    return "".join(part for part in parts if isinstance(part, str))


def retry_header(turn: Turn) -> dict[str, str]:
    """Retry-After, where the turn has one."""
    return {} if turn.retry_after is None else {"retry-after": f"{turn.retry_after:g}"}
