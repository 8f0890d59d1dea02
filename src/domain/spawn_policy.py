"""How one task is supervised: time limits, retries, and when to end it early."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from attrs import Attribute, evolve, field, frozen

from muster.domain import backoff, presets
from muster.domain.errors import UnknownPresetError

_GREATEST = 1.7976931348623157e308  # what a float can hold


def seconds(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Validator: a finite, non-negative number of seconds, or None for never."""
    if value is None:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared, not isfinite(): that raises for an int that is beyond all floats.
    if not is_number or not 0 <= value <= _GREATEST:  # type: ignore[operator]
        problem = f"{attribute.name} must be seconds >= 0 or None, not {value!r}"
        raise ValueError(problem)


def count(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Validator: a whole number of at least 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        problem = f"{attribute.name} must be a whole number >= 0, not {value!r}"
        raise ValueError(problem)


def duration(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Validator: a finite, non-negative number of seconds; never None."""
    seconds(instance, attribute, value)
    if value is None:
        problem = f"{attribute.name} must be seconds >= 0, not None"
        raise ValueError(problem)


def at_least_one(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Validator: a whole number of at least 1."""
    count(instance, attribute, value)
    if value == 0:
        problem = f"{attribute.name} must be a whole number >= 1, not 0"
        raise ValueError(problem)


def positive(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """Validator: a number above 0."""
    seconds(instance, attribute, value)
    if not value:
        problem = f"{attribute.name} must be > 0, not {value!r}"
        raise ValueError(problem)


@frozen
class EarlyDetectionConfig:
    """When silence after some output is a stall: seen at two checks running."""

    enabled: bool = True
    check_interval: float = field(
        default=presets.STALL_CHECK_INTERVAL, validator=positive
    )
    stall_threshold: float = field(default=presets.STALL_THRESHOLD, validator=duration)
    min_output_bytes: int = field(
        default=presets.STALL_MIN_OUTPUT_BYTES, validator=count
    )


@frozen
class TimeoutPolicy:
    """The time limits of one attempt, in seconds; None is never.

    "fixed" ends the attempt at ``timeout``. "progressive" begins with
    ``initial_timeout`` and is extended, up to ``max_timeout``, each time its
    deadline is reached and there was output within ``extension_threshold``.
    """

    mode: Literal["progressive", "fixed"] = "progressive"
    timeout: float = field(default=presets.TIMEOUT, validator=duration)
    initial_timeout: float = field(default=presets.INITIAL_TIMEOUT, validator=duration)
    max_timeout: float = field(default=presets.MAX_TIMEOUT, validator=duration)
    extension_threshold: float = field(
        default=presets.EXTENSION_THRESHOLD, validator=duration
    )
    first_output_timeout: float | None = field(
        default=presets.FIRST_OUTPUT_TIMEOUT, validator=seconds
    )
    no_activity_timeout: float | None = field(
        default=presets.NO_ACTIVITY_TIMEOUT, validator=seconds
    )

    def __attrs_post_init__(self) -> None:
        if self.mode not in ("progressive", "fixed"):
            problem = f"mode must be 'progressive' or 'fixed', not {self.mode!r}"
            raise ValueError(problem)
        if self.mode == "progressive" and self.initial_timeout > self.max_timeout:
            problem = (
                f"initial_timeout ({self.initial_timeout:g}) is above "
                f"max_timeout ({self.max_timeout:g})"
            )
            raise ValueError(problem)

    @property
    def hard_limit(self) -> float:
        """The longest that one attempt can last."""
        return self.timeout if self.mode == "fixed" else self.max_timeout

    def between_turns(self) -> "TimeoutPolicy":
        """The same for who is as silent in every turn as before the first output."""
        silence, first = self.no_activity_timeout, self.first_output_timeout
        if silence is None or first is None:
            return evolve(self, no_activity_timeout=None)
        return evolve(self, no_activity_timeout=max(silence, first))


@frozen
class RetryPolicy:
    """How often to try and how long to wait in between."""

    max_attempts: int = field(default=presets.MAX_ATTEMPTS, validator=count)
    strategy: backoff.Strategy = "exponential"
    base_delay: float = field(default=presets.BASE_DELAY, validator=duration)
    max_delay: float = field(default=presets.MAX_DELAY, validator=duration)
    backoff_factor: float = field(default=presets.BACKOFF_FACTOR, validator=duration)
    jitter: backoff.Jitter = "full"

    def delay(self, n: int, draw: float = 1.0) -> float:
        """Seconds before retry ``n`` (from 0); ``draw`` in [0, 1] is the jitter draw."""
        return backoff.delay(
            n,
            draw,
            strategy=self.strategy,
            base=self.base_delay,
            maximum=self.max_delay,
            factor=self.backoff_factor,
            jitter=self.jitter,
        )


Predicate = Callable[[str], str | None]


@frozen
class TerminationPolicy:
    """When an attempt is ended before its time, and how gently.

    ``patterns`` are further regular expressions of failure lines; ``predicates``
    get a stderr line and return a reason, or None. ``confirm_after`` overrides
    both waits before a matched line counts.
    """

    enabled: bool = True
    patterns: tuple[str, ...] = field(default=(), converter=tuple)
    confirm_after: float | None = field(default=None, validator=seconds)
    grace: float = field(default=presets.GRACE, validator=duration)
    stall: EarlyDetectionConfig = EarlyDetectionConfig()
    predicates: tuple[Predicate, ...] = field(default=(), converter=tuple)


@frozen
class SpawnPolicy:
    """One name for a way to supervise a task. `preset` gives the built-in ones."""

    name: str = "custom"
    timeout: TimeoutPolicy = TimeoutPolicy()
    retry: RetryPolicy = RetryPolicy()
    termination: TerminationPolicy = TerminationPolicy()
    breaker_enabled: bool = True

    @classmethod
    def preset(cls, name: str) -> Self:
        """The preset of that name; `UnknownPresetError` lists the names that exist."""
        table = presets.SPAWN_POLICIES.get(name)
        if table is None:
            known = ", ".join(presets.SPAWN_POLICIES)
            raise UnknownPresetError(
                f"unknown spawn policy '{name}'; there are {known}"
            )
        return cls.from_table(name, table)

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any]) -> Self:
        """From plain values, as in `presets` and in settings files."""
        termination = dict(table.get("termination", {}))
        if "stall" in termination:
            termination["stall"] = EarlyDetectionConfig(**termination["stall"])
        return cls(
            name=name,
            timeout=TimeoutPolicy(**table.get("timeout", {})),
            retry=RetryPolicy(**table.get("retry", {})),
            termination=TerminationPolicy(**termination),
            breaker_enabled=table.get("breaker_enabled", True),
        )

    @classmethod
    def default(cls) -> Self:
        """The preset "default"."""
        return cls.preset("default")

    @classmethod
    def production(cls) -> Self:
        """The preset "production": long runs, only the stall detector for silence."""
        return cls.preset("production")

    @classmethod
    def fast_fail(cls) -> Self:
        """The preset "fast_fail": one attempt, one minute."""
        return cls.preset("fast_fail")

    @classmethod
    def patient(cls) -> Self:
        """The preset "patient": long silences are fine."""
        return cls.preset("patient")

    @classmethod
    def development(cls) -> Self:
        """The preset "development": half an hour, no detection, no breaker."""
        return cls.preset("development")

    @classmethod
    def test(cls) -> Self:
        """The preset "test": seconds, no breaker."""
        return cls.preset("test")
