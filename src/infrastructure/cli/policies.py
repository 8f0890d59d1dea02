"""`muster policies`: the spawn and recovery policies with their numbers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen

from muster.infrastructure.cli.columns import aligned, screen_width, wrapped
from muster.infrastructure.cli.output import Output, OutputFlags

if TYPE_CHECKING:
    from muster.domain.recovery_policy import RecoveryPolicy
    from muster.domain.spawn_policy import RetryPolicy, SpawnPolicy, TimeoutPolicy
    from muster.infrastructure.settings import Settings

SPAWN_HEAD: Final = (
    "POLICY",
    "LIMIT",
    "FIRST/SILENCE",
    "TRIES",
    "BACK-OFF",
    "BREAKER",
    "EARLY",
)
RECOVERY_HEAD: Final = ("POLICY", "RETRIES", "BACK-OFF", "THEN")


@frozen
class Policies:
    """Every policy that a name can mean here, and which one holds without a name."""

    spawn: "Mapping[str, SpawnPolicy]"
    recovery: "Mapping[str, RecoveryPolicy]"
    origins: Mapping[str, str]
    chosen: str
    configured_recovery: "RecoveryPolicy | None"

    @classmethod
    def of(cls, settings: "Settings") -> "Policies":
        """The presets, and what the settings add to or put over them."""
        from muster.domain import presets  # noqa: PLC0415
        from muster.domain.recovery_policy import RecoveryPolicy  # noqa: PLC0415

        names = dict.fromkeys((*presets.SPAWN_POLICIES, *settings.policies))
        return cls(
            spawn={name: settings.spawn_policy(name) for name in names},
            recovery={
                name: RecoveryPolicy.preset(name) for name in presets.RECOVERY_POLICIES
            },
            origins={name: _origin(settings, name) for name in settings.policies},
            chosen=settings.policy or presets.SPAWN_POLICY,
            configured_recovery=settings.recovery,
        )


def policies(*, flags: OutputFlags | None = None) -> None:
    """List the spawn policies and the recovery policies with their numbers (seconds)."""
    from muster.infrastructure.settings import Settings  # noqa: PLC0415

    out = Output.of(flags)
    found = Policies.of(Settings.load())
    if out.is_json:
        out.document(document(found))
        return
    for line in screen(found, screen_width()):
        out.line(line)


def document(found: Policies) -> dict[str, Any]:
    """As JSON-ready values."""
    recovery = found.configured_recovery
    return {
        "spawn": {
            name: {
                **asdict(policy, filter=lambda field, _: field.name != "predicates"),
                "origin": found.origins.get(name, "built in"),
            }
            for name, policy in found.spawn.items()
        },
        "recovery": {name: each.to_dict() for name, each in found.recovery.items()},
        "policy": found.chosen,
        "configured_recovery": recovery and recovery.to_dict(),
    }


def screen(found: Policies, width: int) -> Iterator[str]:
    """What a person reads: two tables, and what the words in them mean."""
    yield "Spawn policies (--policy, seconds; * holds where none is named):"
    rows = [_spawn_row(found, name, each) for name, each in found.spawn.items()]
    yield from aligned(rows, width=width, head=SPAWN_HEAD)
    yield ""
    yield "Recovery policies ([recovery] preset, seconds):"
    recovery: dict[str, RecoveryPolicy] = dict(found.recovery)
    if found.configured_recovery is not None:
        recovery["settings *"] = found.configured_recovery
    cells = [_recovery_row(name, each) for name, each in recovery.items()]
    yield from aligned(cells, width=width, head=RECOVERY_HEAD)
    yield ""
    yield from wrapped(_LEGEND, width=width)
    for name, origin in found.origins.items():
        yield from wrapped(f"'{name}' is from {origin}.", width=width)


def _spawn_row(found: Policies, name: str, policy: "SpawnPolicy") -> Sequence[str]:
    return (
        name + (" *" if name == found.chosen else ""),
        _limit(policy.timeout),
        f"{_or_never(policy.timeout.first_output_timeout)} / {_silence(policy)}",
        str(policy.retry.max_attempts),
        _retry(policy.retry),
        "on" if policy.breaker_enabled else "off",
        "on" if policy.termination.enabled else "off",
    )


def _recovery_row(name: str, policy: "RecoveryPolicy") -> Sequence[str]:
    steps = f"{policy.base_delay:g} to {policy.max_delay:g}, x{policy.backoff_factor:g}"
    then = "fails"
    if policy.fallback_to_llm:
        tool = policy.fallback_tool
        then = f"asks {tool}" if tool else "asks without the agent's persona"
    return (
        name,
        str(policy.max_retries),
        steps if policy.max_retries else "-",
        then,
    )


def _limit(timeout: "TimeoutPolicy") -> str:
    if timeout.mode == "fixed":
        return f"{timeout.timeout:g}"
    return (
        f"{timeout.initial_timeout:g}->{timeout.max_timeout:g}"
        f" +{timeout.extension_threshold:g}"
    )


def _silence(policy: "SpawnPolicy") -> str:
    limit = policy.timeout.no_activity_timeout
    stall = policy.termination.stall
    if limit is None and policy.termination.enabled and stall.enabled:
        return f"stall {stall.stall_threshold:g}"
    return _or_never(limit)


def _retry(retry: "RetryPolicy") -> str:
    if retry.max_attempts <= 1:
        return "-"
    if retry.strategy == "immediate":
        return "none"
    if retry.strategy == "fixed":
        return f"{retry.base_delay:g}"
    short = {"exponential": "exp", "linear": "lin"}[retry.strategy]
    return f"{short} {retry.base_delay:g}/{retry.max_delay:g}"


def _or_never(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:g}"


def _origin(settings: "Settings", name: str) -> str:
    prefix = f"policies.{name}."
    own = (at for key, at in settings.origins.items() if key.startswith(prefix))
    return next(own, "the settings")


_LEGEND: Final = (
    "LIMIT a->b +t: a seconds, extended up to b while there was output in the last t. "
    "FIRST/SILENCE: how long an agent may say nothing at first, and later. BACK-OFF "
    "base/max grows with each try. BREAKER keeps an agent that fails again and again "
    "from being started. EARLY ends an agent at a failure line, before its time is over."
)
