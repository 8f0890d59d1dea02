"""Looks at files, schemas and commands to see whether an answer did what was expected."""

import asyncio
import json
import re
import shlex
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from attrs import define

from muster.application.ports.agent_orchestrator import AgentOrchestrator
from muster.domain.errors import AgentInvocationError
from muster.domain.events import AgentEvent
from muster.domain.task import AgentRequest, Expectation
from muster.domain.tool import ToolSpec

_FENCED: Final = re.compile(r"```[\w-]*[ \t]*\n(.*?)\n?```", re.DOTALL)
_SHOWN_PROBLEMS: Final = 3
_SHOWN_CHARS: Final = 500


@define(eq=False)
class WorldInspector:
    """Checks in this order: file, JSON schema, command. The first complaint counts.

    A command runs as agents do: contained, without a shell, ended with its attempt.
    JSON schemas need the extra ``muster[schema]``.
    """

    orchestrator_of: Callable[[ToolSpec], AgentOrchestrator]

    def obstacle(self, expect: Expectation) -> str | None:
        """See `Inspector`."""
        return obstacle(expect)

    async def complaint(
        self,
        expect: Expectation,
        output: str,
        *,
        cwd: str | None,
        env: Mapping[str, str] | None,
    ) -> str | None:
        """See `Inspector`."""
        if expect.file is not None:
            problem = await asyncio.to_thread(_wrong_file, expect.file, cwd)
            if problem is not None:
                return problem
        if expect.json_schema is not None:
            # An answer of a megabyte takes its time.
            problem = await asyncio.to_thread(_misfit, expect.json_schema, output)
            if problem is not None:
                return problem
        if expect.command is None:
            return None
        return await self._command(expect.command, cwd, env)

    async def _command(
        self, command: tuple[str, ...], cwd: str | None, env: Mapping[str, str] | None
    ) -> str | None:
        spec = ToolSpec("expect", command)
        request = AgentRequest(
            "expect", prompt="", tool=spec, cwd=cwd, env=env, wants_output=False
        )
        try:
            await self.orchestrator_of(spec).invoke(request, _ignored)
        except AgentInvocationError as error:
            return f"the command `{shlex.join(command)}` failed: {_reason(error)}"
        return None


def obstacle(expect: Expectation) -> str | None:
    """What can't be checked here: a missing library, a schema that is none, no command."""
    if expect.command is not None and not expect.command:
        return "the expected command is empty"
    if expect.json_schema is None:
        return None
    if find_spec("jsonschema") is None:
        return "json_schema needs the library jsonschema: install muster[schema]"
    return _wrong_schema(expect.json_schema)


def _reason(error: AgentInvocationError) -> str:
    ended = error.ended
    if ended is None or ended.exit_code is None:
        return error.failure.message
    said = (ended.stderr.strip() or ended.output.strip())[-_SHOWN_CHARS:]
    return f"it exited with {ended.exit_code}" + (f": {said}" if said else "")


def _ignored(event: AgentEvent) -> None:
    """Nobody watches a check."""


def _wrong_file(name: str, cwd: str | None) -> str | None:
    path = Path(cwd or ".") / name
    try:
        if not path.is_file():
            return f"the file {name} does not exist"
        return None if path.stat().st_size else f"the file {name} is empty"
    except (OSError, ValueError) as error:
        return f"the file {name} can't be looked at: {error}"


def _wrong_schema(schema: Mapping[str, Any]) -> str | None:
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415 - slow to import
    from jsonschema.validators import validator_for  # noqa: PLC0415

    try:
        validator_for(schema).check_schema(dict(schema))
    except SchemaError as error:
        return f"the expected json_schema is no JSON schema: {error.message}"
    return None


def _misfit(schema: Mapping[str, Any], output: str) -> str | None:
    from jsonschema.validators import validator_for  # noqa: PLC0415 - slow to import

    try:
        document = json.loads(_unfenced(output))
    except (ValueError, RecursionError) as error:
        return f"the output is no JSON: {error}"
    found = validator_for(schema)(schema).iter_errors(document)
    problems = [
        f"{error.json_path}: {error.message[:_SHOWN_CHARS]}"
        for error, _ in zip(found, range(_SHOWN_PROBLEMS), strict=False)
    ]
    if not problems:
        return None
    return f"the output does not fit the JSON schema: {'; '.join(problems)}"


def _unfenced(output: str) -> str:
    # Agents like to put their JSON between words and fences.
    text = output.strip()
    fenced = _FENCED.findall(text)
    return fenced[0] if len(fenced) == 1 and text[:1] not in {"{", "["} else text
