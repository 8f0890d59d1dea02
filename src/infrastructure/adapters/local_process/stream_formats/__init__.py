"""The stream formats of tools, one a file; loaded when first needed."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from muster.domain.errors import ConfigError
from muster.domain.outcome import Usage
from muster.infrastructure.adapters.local_process.stream_formats.parser import (
    Report,
    StreamParser,
)

_CLASSES: Final[Mapping[str, str]] = {
    "claude_stream_json": "claude:ClaudeStream",
    "codex_json": "codex:CodexStream",
    "gemini_stream_json": "gemini:GeminiStream",
    "opencode_json": "opencode:OpencodeStream",
    "copilot_json": "copilot:CopilotStream",
    "qwen_stream_json": "qwen:QwenStream",
}
_NOTHING_YET: Final = Usage()
TEXT: Final = "text"
OUTPUTS: Final = (TEXT, *_CLASSES)


def parser_for(
    output: str,
    report: Report,
    *,
    epoch: Callable[[], float] | None = None,
    before: Usage | None = _NOTHING_YET,
) -> StreamParser | None:
    """Who reads the stdout of a tool with this ``output``; None for plain text.

    ``before`` is what the session that it continues had used; None: nobody knows.
    Raises `ConfigError`.
    """
    if output == TEXT:
        return None
    if output not in _CLASSES:
        problem = f"output '{output}' is no format; there are {', '.join(OUTPUTS)}"
        raise ConfigError(problem)
    module, name = _CLASSES[output].split(":")
    found: type[StreamParser] = getattr(import_module(f"{__name__}.{module}"), name)
    return found(report, epoch=epoch, before=before)
