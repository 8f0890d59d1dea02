"""Which tools are known here: a user's own, the built-in ones, and any program at all.

The built-in specs are read when they are first asked for.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import frozen

from muster.domain import presets
from muster.domain.errors import ToolNotFoundError
from muster.domain.suggestion import did_you_mean, nearest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.executables import (
    Executables,
    NotExecutable,
)
from muster.infrastructure.adapters.local_process.tool_specs import (
    BUILT_IN,
    built_in,
    tool_spec,
)

_ADAPTER: Final = ToolSpec("", ()).adapter


_INTERPRETERS = frozenset(
    ["sh", "bash", "dash", "zsh", "ksh", "fish", "python", "node", "ruby", "perl"]
)


class ServedTools(Protocol):
    """The known tools that are no programs: another adapter asks a server."""

    names: Sequence[str]

    def spec(self, name: str) -> ToolSpec:
        """The spec of one of ``names``."""
        ...

    def checked(self, spec: ToolSpec) -> ToolSpec:
        """The spec as it will be used. Raises `ConfigError` where it can't work."""
        ...

    def is_here(self, spec: ToolSpec) -> bool:
        """Whether it could be used now. May ask a server of this machine, briefly."""
        ...

    def first_of_this_machine(self, specs: Sequence[ToolSpec]) -> ToolSpec | None:
        """The first of them whose server runs on this machine and answers."""
        ...


class NoServedTools:
    """Where every tool is a program."""

    names: Sequence[str] = ()

    def spec(self, name: str) -> ToolSpec:
        """Never asked for: there are no names."""
        raise ToolNotFoundError(name)

    def checked(self, spec: ToolSpec) -> ToolSpec:
        """Nothing is known that could be wrong."""
        return spec

    def is_here(self, spec: ToolSpec) -> bool:
        """Nobody can tell."""
        return False

    def first_of_this_machine(self, specs: Sequence[ToolSpec]) -> ToolSpec | None:
        """None."""


@frozen
class DetectedTool:
    """A known tool whose program or server is here. ``logged_in`` None: it can't be told."""

    spec: ToolSpec
    path: str
    logged_in: bool | None


class LocalToolRegistry:
    """See `ToolRegistry`. What was resolved is remembered: asking again is a look-up.

    ``tools`` are the user's, specs or tables as in the settings; a table with the
    name of a built-in tool changes that one. ``default`` is the configured tool.
    """

    def __init__(
        self,
        tools: Mapping[str, ToolSpec | Mapping[str, Any]] | None = None,
        *,
        environ: Mapping[str, str],
        default: str | None = None,
        executables: Executables | None = None,
        served: ServedTools | None = None,
    ) -> None:
        self._environ = environ
        self._default = default
        self._executables = executables or Executables(environ)
        self._read: dict[str, ToolSpec] = {}
        self._resolved: dict[str | None, ToolSpec] = {}
        self._served = served or NoServedTools()
        self._names = (*BUILT_IN, *self._served.names)
        self._own = {
            name: tool if isinstance(tool, ToolSpec) else self._changed(name, tool)
            for name, tool in (tools or {}).items()
        }

    def resolve(self, tool: str | ToolSpec | None) -> ToolSpec:
        """See `ToolRegistry`."""
        if isinstance(tool, ToolSpec):
            return tool
        found = self._resolved.get(tool)
        if found is None:
            found = self._resolved[tool] = self._resolve(tool)
        return found

    def known(self) -> Sequence[ToolSpec]:
        """The user's tools, then the built-in ones that they don't replace."""
        built_in = (name for name in self._names if name not in self._own)
        return (*self._own.values(), *map(self._built_in, built_in))

    def detect(self) -> list[DetectedTool]:
        """The known tools that are here. Starts nothing; asks servers of this machine."""
        return list(self._detected(self.known()))

    async def version(self, tool: DetectedTool) -> str | None:
        """The first line that the tool says of its version, None within 5 s without one."""
        try:
            process = await asyncio.create_subprocess_exec(
                tool.path,
                *tool.spec.version_args,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return None
        try:
            async with asyncio.timeout(presets.VERSION_TIMEOUT):
                assert process.stdout is not None  # noqa: S101 - asked for above
                line = await process.stdout.readline()
        except (TimeoutError, ValueError):
            return None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        return line.decode(errors="replace").strip() or None

    def _resolve(self, tool: str | None) -> ToolSpec:
        if tool is None:
            return self._default_tool()
        spec = self._own.get(tool)
        if spec is None and tool in self._names:
            spec = self._built_in(tool)
        if spec is None:
            return self._plain(tool)
        # What another adapter runs (the simulation) is no program on PATH.
        if not spec.shell and spec.adapter == _ADAPTER:
            self._check(spec)
        return spec

    def _check(self, spec: ToolSpec) -> None:
        command = spec.command[0] if spec.command else ""
        if "/" in command and not command.startswith("/"):
            return  # relative to the task's folder, which is not known yet
        try:
            self._executables.find(command, path=spec.env.get("PATH"))
        except NotExecutable as error:
            said = error.problem
            if command != spec.name:
                said = f"names '{command}', which {said}"
            hint = f" ({spec.install_hint})" if spec.install_hint else ""
            raise ToolNotFoundError(spec.name, said + hint) from error

    def _plain(self, tool: str) -> ToolSpec:
        try:
            path = self._executables.find(tool)
        except NotExecutable as error:
            raise ToolNotFoundError(tool, error.problem + self._advice(tool)) from error
        # A path is the user's, from where the user stands, whatever folder a task has.
        return ToolSpec(
            name=tool,
            command=(path if "/" in tool else tool,),
            interprets=Path(tool).name.rstrip("0123456789.") in _INTERPRETERS,
        )

    def _advice(self, tool: str) -> str:
        if " " in tool:
            return (
                "; a program with arguments is a tool of its own: "
                '[tools.NAME] command = ["program", "argument"]'
            )
        known = [*self._own, *self._names]
        return did_you_mean(tool, known) if nearest(tool, known) else ""

    def _default_tool(self) -> ToolSpec:
        if self._default is not None:
            return self.resolve(self._default)
        known = self.known()
        local = self._served.first_of_this_machine(known)
        if local is not None:
            return local
        programs = [each for each in known if each.adapter == _ADAPTER]
        here = [found for found in self._detected(programs) if found.spec.is_agent]
        for found in here:
            if found.logged_in:
                return found.spec
        if here:
            names = ", ".join(found.spec.name for found in here)
            hints = "; ".join(filter(None, (found.spec.login_hint for found in here)))
            problem = f"is needed, and {names} does not look logged in ({hints})"
        else:
            problem = f"is needed, and none of {', '.join(BUILT_IN)} is here"
        raise ToolNotFoundError("default", problem)

    def _detected(self, specs: Sequence[ToolSpec]) -> Iterator[DetectedTool]:
        for spec in specs:
            if spec.base_url and spec.adapter != _ADAPTER:
                if self._served.is_here(spec):
                    yield DetectedTool(spec, spec.base_url, self._has_key(spec))
                continue
            command = "/bin/sh" if spec.shell else (*spec.command, "")[0]
            try:
                path = self._executables.find(command, path=spec.env.get("PATH"))
            except NotExecutable:
                continue
            yield DetectedTool(spec, path, self.logged_in(spec))

    def _has_key(self, spec: ToolSpec) -> bool | None:
        return bool(self._environ.get(spec.api_key_env)) if spec.api_key_env else None

    def logged_in(self, spec: ToolSpec) -> bool | None:
        """Whether its login files or variables are there; None: it can't be told."""
        if not spec.login_env and not spec.login_files:
            return None
        environ = {
            **self._environ,
            **{k: v for k, v in spec.env.items() if v is not None},
        }
        if any(environ.get(name) for name in spec.login_env):
            return True
        home = environ.get("HOME", "")
        paths = [Path(file.replace("~", home, 1)) for file in spec.login_files]
        return any(path.is_file() for path in paths)

    def _built_in(self, name: str) -> ToolSpec:
        if name not in self._read:
            served = name in self._served.names
            self._read[name] = self._served.spec(name) if served else built_in(name)
        return self._read[name]

    def _changed(self, name: str, table: Mapping[str, Any]) -> ToolSpec:
        base = self._built_in(name) if name in self._names else None
        return self._served.checked(tool_spec(name, table, base=base))
