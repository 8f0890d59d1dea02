"""The effective settings, and where each of them came from.

Defaults < the user's file < the project's file < ``MUSTER_*`` < flags.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import attrs
from attrs import field, frozen

from muster.domain.agent_profile import AgentProfile
from muster.domain.budget import BudgetLimits
from muster.domain.errors import ConfigError, UnknownPresetError
from muster.domain.presets import SPAWN_POLICIES
from muster.domain.recovery_policy import RecoveryPolicy
from muster.domain.spawn_policy import SpawnPolicy
from muster.domain.suggestion import nearest
from muster.infrastructure import setting_sources as sources
from muster.infrastructure.definitions import agent_of
from muster.infrastructure.secrets import MASK, Redactor
from muster.infrastructure.setting_fields import DEFAULTS, SETTINGS
from muster.infrastructure.setting_policies import (
    merge,
    recovery_policy,
    spawn_policy,
    value_at,
)
from muster.infrastructure.setting_sources import Layer, Project
from muster.infrastructure.strict_tables import (
    Kind,
    Named,
    Shape,
    Table,
    dotted,
    is_secret_name,
)
from muster.infrastructure.strict_tables import Path as Key

DEFAULT: Final = "default"


@frozen
class Limits:
    """What one run may use up; None is no limit."""

    agents: int | None = None
    minutes: float | None = None
    tokens: int | None = None
    budget_usd: float | None = None

    @property
    def budget(self) -> BudgetLimits:
        """The same, for the budget of a run."""
        return BudgetLimits(self.agents, self.minutes, self.tokens, self.budget_usd)


@frozen
class SettingRow:
    """One line of ``muster config show``, with secrets masked."""

    key: str
    value: Any
    origin: str


@frozen(kw_only=True)
class Settings:
    """Everything that can be set. None: each function has a default of its own.

    ``tools`` are checked tables, not specs: one with the name of a built-in tool
    changes that tool. ``circuit_breaker`` are the arguments of a `CircuitBreaker`.
    ``origins`` maps each key that was set to its place ("muster.toml:12",
    "MUSTER_POLICY", "--tool").
    """

    project: Path
    home: Path
    tool: str | None = None
    model: str | None = None
    policy: str | None = None
    max_concurrent: int | None = None
    fallback: bool | None = None
    strict_model: bool = False
    wait_for_reset: bool = False
    containment: str
    max_depth: int
    log_level: str
    confirm_after: float | None = None
    grace: float | None = None
    limits: Limits = Limits()
    circuit_breaker: Mapping[str, Any]
    recovery: RecoveryPolicy | None = None
    policies: Mapping[str, SpawnPolicy] = field(factory=dict)
    tools: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    agents: Mapping[str, AgentProfile] = field(factory=dict)
    origins: Mapping[str, str] = field(factory=dict)
    _table: Mapping[str, Any] = field(factory=dict, repr=False, alias="table")

    @classmethod
    def load(
        cls,
        cwd: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, Any] | None = None,
    ) -> Self:
        """What holds in a folder. Raises one `ConfigError` for all that is wrong.

        ``flags`` by dotted key (``{"limits.minutes": 5}``); None is not given.
        """
        environ = os.environ if environ is None else environ
        folder = Path(cwd or sources.here()).absolute()
        project = sources.find_project(folder, environ)
        files = []
        user_file = sources.user_file(environ)
        if user_file is not None:
            files.append(sources.file_layer(user_file, may_be_missing=True))
        if project.file is not None:
            files.append(sources.file_layer(project.file))
        above = [
            sources.environment_layer(environ, folder),
            sources.flag_layer(flags or {}, folder),
        ]
        return cls._from_layers([*files, *above], project)

    @classmethod
    def from_value(
        cls,
        value: "Settings | Mapping[str, Any] | str | os.PathLike[str] | None" = None,
        *,
        cwd: Path | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> "Settings":
        """What a host passes: settings as they are; None for what holds in ``cwd``;
        a dict or a file in place of the files that would be found. ``MUSTER_*``
        stands above those.
        """
        if isinstance(value, Settings):
            return value
        if value is None:
            return cls.load(cwd, environ)
        environ = os.environ if environ is None else environ
        folder = Path(cwd or sources.here()).absolute()
        if isinstance(value, str | os.PathLike):
            layer = sources.file_layer(Path(value).absolute())
        else:
            layer = sources.value_layer(value, "settings", folder)
        project = Project(sources.find_project(folder, environ).folder)
        above = sources.environment_layer(environ, folder)
        return cls._from_layers([layer, above], project)

    @classmethod
    def _from_layers(cls, layers: list[Layer], project: Project) -> Self:
        problems = [each for layer in layers for each in layer.problems]
        table: dict[str, Any] = dict(DEFAULTS)
        origins: dict[str, str] = {}
        home = project.folder / sources.DATA_FOLDER
        for layer in layers:
            table = merge(table, layer.values)
            for key in _keys(SETTINGS, layer.values, ()):
                origins[dotted(key)] = layer.origin_of(key)
            if "home" in layer.values:
                home = _home(layer, project, problems)
        built = _Building(table, origins, problems)
        fields = built.fields()
        sources.raise_problems(built.problems)
        table["home"] = str(home)
        return cls(
            project=project.folder, home=home, origins=origins, table=table, **fields
        )

    def spawn_policy(self, policy: str | SpawnPolicy | None = None) -> SpawnPolicy:
        """The policy of that name, or the configured one; ``grace`` and
        ``confirm_after`` of the settings applied. Raises `UnknownPresetError`.
        """
        chosen = policy or self.policy or "default"
        if not isinstance(chosen, SpawnPolicy):
            chosen = self.policies.get(chosen) or _preset(chosen, self.policies)
        changes = {
            name: value
            for name in ("grace", "confirm_after")
            if (value := getattr(self, name)) is not None
        }
        if not changes:
            return chosen
        return attrs.evolve(
            chosen, termination=attrs.evolve(chosen.termination, **changes)
        )

    def rows(self, redactor: Redactor | None = None) -> Iterator[SettingRow]:
        """Every setting with its origin, in a fixed order, secrets masked."""
        redactor = redactor or Redactor(os.environ)
        for key in sorted(_keys(SETTINGS, self._table, ())):
            value = _masked(value_at(self._table, key), key, redactor)
            origin = self.origins.get(dotted(key), DEFAULT)
            yield SettingRow(dotted(key), value, origin)


def _home(layer: Layer, project: Project, problems: list[ConfigError]) -> Path:
    written = Path(layer.values["home"])
    try:
        return (layer.folder or project.folder) / written.expanduser()
    except RuntimeError:
        problem = f"home names no user's folder: '{written}'; write the whole path"
        problems.append(ConfigError(problem, layer.origin_of(("home",))))
        return written


@frozen
class _Building:
    """From the merged table to what it means; complaints name the place."""

    table: Mapping[str, Any]
    origins: Mapping[str, str]
    problems: list[ConfigError]

    def fields(self) -> dict[str, Any]:
        plain = {
            name: self.table[name]
            for name, shape in SETTINGS.fields.items()
            if isinstance(shape, Kind) and name != "home"
        }
        policies = self._policies()
        self._check_policy(plain["policy"])
        recovery = self.table.get("recovery")
        return {
            **plain,
            "limits": Limits(**self.table["limits"]),
            "circuit_breaker": dict(self.table["circuit_breaker"]),
            "recovery": recovery and recovery_policy(recovery, self._complain),
            "policies": policies,
            "tools": self.table.get("tools", {}),
            "agents": {
                name: agent_of(name, each, self._place(("agents", name)))
                for name, each in self.table.get("agents", {}).items()
            },
        }

    def _policies(self) -> dict[str, SpawnPolicy]:
        built = {
            name: spawn_policy(name, table, self._complain)
            for name, table in self.table.get("policies", {}).items()
        }
        return {name: policy for name, policy in built.items() if policy is not None}

    def _check_policy(self, name: str | None) -> None:
        own = self.table.get("policies", {})
        if name is None or name in own or name in SPAWN_POLICIES:
            return
        problem = f"policy: {_unknown_policy(name, own)}"
        self.problems.append(UnknownPresetError(problem, self.origins.get("policy")))

    def _complain(self, path: Key, predicate: str) -> None:
        gap = "" if predicate.startswith(":") else " "
        problem = f"{dotted(path)}{gap}{predicate}"
        self.problems.append(ConfigError(problem, self._place(path)))

    def _place(self, path: Key) -> str | None:
        """Where the key stands, or anything below it."""
        name = dotted(path)
        below = (at for key, at in self.origins.items() if key.startswith(name + "."))
        return self.origins.get(name) or next(below, None)


def _preset(name: str, own: Mapping[str, Any]) -> SpawnPolicy:
    if name not in SPAWN_POLICIES:
        raise UnknownPresetError(_unknown_policy(name, own))
    return SpawnPolicy.preset(name)


def _unknown_policy(name: str, own: Mapping[str, Any]) -> str:
    known = [*SPAWN_POLICIES, *own]
    near = nearest(name, known)
    hint = f"; did you mean '{near}'?" if near else ";"
    return f"unknown policy '{name}'{hint} there are {', '.join(known)}"


def _keys(shape: Shape, values: Mapping[str, Any], path: Key) -> Iterator[Key]:
    """The path of every single value in a clean table."""
    for name, value in values.items():
        inner: Shape | None = None
        if isinstance(shape, Table):
            inner = shape.fields.get(name)
        elif isinstance(shape, Named):
            inner = shape.table
        if isinstance(inner, Table | Named) and isinstance(value, Mapping):
            yield from _keys(inner, value, (*path, name))
        else:
            yield (*path, name)


def _masked(value: Any, path: Key, redactor: Redactor) -> Any:
    if isinstance(value, str) and any(is_secret_name(str(part)) for part in path):
        return MASK
    if isinstance(value, Mapping):
        return {
            key: _masked(each, (*path, key), redactor) for key, each in value.items()
        }
    return redactor.redact_document(value)
