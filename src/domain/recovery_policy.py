"""What to do about a failed attempt: how many retries, how far apart, and then."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from attrs import Attribute, asdict, evolve, field, fields, frozen

from muster.domain import backoff, presets
from muster.domain.errors import ConfigError, UnknownPresetError
from muster.domain.spawn_policy import count, duration
from muster.domain.suggestion import did_you_mean, nearest

_JITTERS = ("none", "full", "equal")
_WHERE = "spawner.recovery"

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _checked(check: Validator) -> Validator:
    """The same check, as a `ConfigError`."""

    def validator(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
        try:
            check(instance, attribute, value)
        except ValueError as exc:
            raise ConfigError(str(exc)) from exc

    return validator


def _flag(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        problem = f"{attribute.name} must be true or false, not {value!r}"
        raise ConfigError(problem)


def _jitter(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value not in _JITTERS:
        problem = f"jitter must be one of {', '.join(_JITTERS)}, not {value!r}"
        raise ConfigError(problem)


def _tool(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None and not _is_name(value):
        problem = f"fallback_tool must be the name of a tool, not {value!r}"
        raise ConfigError(problem)


def _table(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, Mapping):
        problem = f"overrides must map agents to fields, not {value!r}"
        raise ConfigError(problem)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value[0] != "-"


def _copies(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        agent: dict(changes) if isinstance(changes, Mapping) else changes
        for agent, changes in value.items()
    }


@frozen
class RecoveryPolicy:
    """Retries, then perhaps a direct call without the agent's persona.

    ``overrides`` maps an agent to fields that differ for it. Whatever is wrong
    in it raises a `ConfigError` that names the field.
    """

    max_retries: int = field(default=presets.MAX_RETRIES, validator=_checked(count))
    fallback_to_llm: bool = field(default=True, validator=_flag)
    base_delay: float = field(default=presets.BASE_DELAY, validator=_checked(duration))
    max_delay: float = field(
        default=presets.RECOVERY_MAX_DELAY, validator=_checked(duration)
    )
    backoff_factor: float = field(
        default=presets.BACKOFF_FACTOR, validator=_checked(duration)
    )
    jitter: backoff.Jitter = field(default="full", validator=_jitter)
    fallback_tool: str | None = field(default=None, validator=_tool)
    overrides: Mapping[str, Mapping[str, Any]] = field(
        factory=dict, converter=_copies, validator=_table, hash=False
    )

    def __attrs_post_init__(self) -> None:
        for agent, changes in self.overrides.items():
            self._check_override(agent, changes)

    def _check_override(self, agent: object, changes: Mapping[str, Any]) -> None:
        if not _is_name(agent):
            problem = f"overrides must name an agent, not {agent!r}"
            raise ConfigError(problem)
        _refuse_unknown(changes, _OVERRIDABLE, f"overrides.{agent}")
        try:
            self._changed(changes)
        except ConfigError as exc:
            raise ConfigError(exc.problem, f"overrides.{agent}") from exc

    def _changed(self, changes: Mapping[str, Any]) -> Self:
        return evolve(self, **{**changes, "overrides": {}})

    def for_agent(self, agent: str | None) -> Self:
        """What holds for this agent: its overrides applied, and none left."""
        changes = None if agent is None else self.overrides.get(agent)
        return self if changes is None else self._changed(changes)

    def with_override(self, agent: str, **changes: Any) -> Self:
        """A new policy in which ``agent`` differs, on top of what already did."""
        merged = {**self.overrides.get(agent, {}), **changes}
        return evolve(self, overrides={**self.overrides, agent: merged})

    def delay(self, n: int, draw: float = 1.0) -> float:
        """Seconds before retry ``n`` (from 0); ``draw`` in [0, 1] is the jitter draw."""
        return backoff.delay(
            n,
            draw,
            base=self.base_delay,
            maximum=self.max_delay,
            factor=self.backoff_factor,
            jitter=self.jitter,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; what is left out is as in the preset "default"."""
        _refuse_unknown(document, _FIELDS, None)
        return cls(**document)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """From ``{"spawner": {"recovery": {"preset": NAME, field: value, ...}}}``.

        The preset is "default" where none is named; fields change it. Other
        sections are not looked at.
        """
        section = _section(_section(config, "spawner", ""), "recovery", "spawner.")
        changes = {key: value for key, value in section.items() if key != "preset"}
        _refuse_unknown(changes, (*_FIELDS, "preset"), _WHERE)
        try:
            return evolve(cls.preset(section.get("preset", "default")), **changes)
        except UnknownPresetError as exc:
            raise UnknownPresetError(exc.problem, f"{_WHERE}.preset") from exc
        except ConfigError as exc:
            where = f"{_WHERE}.{exc.where}" if exc.where else _WHERE
            raise ConfigError(exc.problem, where) from exc

    @classmethod
    def preset(cls, name: str) -> Self:
        """The preset of that name; `UnknownPresetError` lists the names that exist."""
        known = presets.RECOVERY_POLICIES
        table = known.get(name) if isinstance(name, str) else None
        if table is None:
            names = ", ".join(known)
            near = nearest(str(name), known)
            hint = f"; did you mean '{near}'?" if near else ""
            problem = f"unknown recovery policy {name!r}; there are {names}{hint}"
            raise UnknownPresetError(problem)
        return cls(**table)

    @classmethod
    def default(cls) -> Self:
        """Two retries, then the fallback."""
        return cls.preset("default")

    @classmethod
    def aggressive_retry(cls) -> Self:
        """Five retries from half a second on, no fallback."""
        return cls.preset("aggressive_retry")

    @classmethod
    def fast_fallback(cls) -> Self:
        """No retry, the fallback at once."""
        return cls.preset("fast_fallback")

    @classmethod
    def no_recovery(cls) -> Self:
        """A failure is final."""
        return cls.preset("no_recovery")

    @classmethod
    def patient(cls) -> Self:
        """Three retries up to two minutes apart, then the fallback."""
        return cls.preset("patient")


_FIELDS = tuple(each.name for each in fields(RecoveryPolicy))
_OVERRIDABLE = tuple(name for name in _FIELDS if name != "overrides")


def _refuse_unknown(
    document: object, known: tuple[str, ...], where: str | None
) -> None:
    if not isinstance(document, Mapping):
        problem = f"must be a table of keys, not {document!r}"
        raise ConfigError(problem, where)
    for key in document:
        if key not in known:
            hint = did_you_mean(str(key), known)
            problem = f"unknown key {key!r}{hint}"
            raise ConfigError(problem, where)


def _section(config: object, name: str, path: str) -> Mapping[str, Any]:
    if not isinstance(config, Mapping):
        problem = f"a section must be a table of keys, not {config!r}"
        raise ConfigError(problem, path.rstrip(".") or None)
    if name not in config:
        for key in config:
            # Other sections are none of our business, a misspelt one is.
            if nearest(str(key), (name,)):
                problem = f"unknown key {key!r}; did you mean '{name}'?"
                raise ConfigError(problem, path.rstrip(".") or None)
        return {}
    section = config[name]
    if not isinstance(section, Mapping):
        problem = f"must be a table of keys, not {section!r}"
        raise ConfigError(problem, path + name)
    return section
