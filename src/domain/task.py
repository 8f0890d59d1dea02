"""What is asked for: tasks by a user, requests to an orchestrator."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Attribute, define, field, fields, frozen

from muster.domain import presets
from muster.domain.agent_profile import AgentProfile
from muster.domain.budget import BudgetLimits
from muster.domain.kinds import must_be, shortly, table_of_texts
from muster.domain.outcome import Usage
from muster.domain.spawn_policy import SpawnPolicy, positive
from muster.domain.tool import ToolSpec

# C0, DEL and C1: the latter drive terminals too (U+009B is CSI).
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _name(instance: Any, attribute: "Attribute[Any]", value: str | None) -> None:
    # A name becomes an argument of a foreign program: it must not be an option.
    if value is None:
        return
    if not isinstance(value, str) or not value or value.startswith("-"):
        problem = (
            f"{attribute.name} must be a name without a leading '-', not {value!r}"
        )
        raise ValueError(problem)
    if _CONTROL.search(value):
        problem = f"{attribute.name} holds a control character: {value!r}"
        raise ValueError(problem)


def _no_nul(instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    words = value.items() if isinstance(value, Mapping) else [(value,)]
    if any("\0" in str(word) for pair in words for word in pair):
        problem = f"{attribute.name} holds a NUL byte"
        raise ValueError(problem)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _limit(instance: Any, attribute: "Attribute[Any]", value: float | None) -> None:
    if value is not None:
        positive(instance, attribute, value)


def _prompt(instance: Any, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, str):
        problem = f"the prompt of a task must be text, not {shortly(value)}"
        raise ValueError(problem)  # noqa: TRY004 - like every wrong field


def _ids(value: str | Iterable[str]) -> tuple[str, ...]:
    # "ab" is one dependency, not two.
    return (value,) if isinstance(value, str) else tuple(value)


def _words(value: str | Iterable[str] | None) -> tuple[str, ...] | None:
    # "pytest" is one word, not six.
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class Expectation:
    """What must hold for an exit to count as success. None is not asked for.

    ``file`` exists and is not empty (relative to the task's folder), ``regex``
    is found in the output, ``json_schema`` fits it, ``command`` exits with 0.
    """

    exit_code: int | None = None
    file: str | None = None
    regex: str | None = None
    json_schema: Mapping[str, Any] | None = None
    command: tuple[str, ...] | None = field(default=None, converter=_words)


def expectation(value: Any) -> Expectation | None:
    """Converter: a table of the same keys is an `Expectation`, too."""
    if value is None or isinstance(value, Expectation):
        return value
    if not isinstance(value, Mapping):
        problem = (
            f"expect must be an Expectation or a table of its fields, not {value!r}"
        )
        raise ValueError(problem)  # noqa: TRY004 - like every wrong field
    known = {each.name for each in fields(Expectation)}
    if unknown := sorted(map(str, set(value) - known)):
        problem = f"expect has no '{unknown[0]}'; there are {', '.join(sorted(known))}"
        raise ValueError(problem)
    return Expectation(**value)


def budget_limits(value: Any) -> BudgetLimits | None:
    """Converter: a table of the same keys is a `BudgetLimits`, too."""
    if value is None or isinstance(value, BudgetLimits):
        return value
    if not isinstance(value, Mapping):
        problem = f"limits must be BudgetLimits or a table of its fields, not {value!r}"
        raise ValueError(problem)  # noqa: TRY004 - like every wrong field
    known = {each.name for each in fields(BudgetLimits)}
    if unknown := sorted(map(str, set(value) - known)):
        problem = f"limits has no '{unknown[0]}'; there are {', '.join(sorted(known))}"
        raise ValueError(problem)
    return BudgetLimits(**value)


@frozen
class SpawnTask:
    """One prompt for one agent. ``agent=None`` is a direct call without a persona.

    ``timeout`` is a hard deadline in seconds over all attempts of the task, ``limits``
    is what they may use up together. ``policy`` is a `SpawnPolicy` or the name of a
    preset. ``session_id`` is a conversation of the tool that is continued, where the
    tool can.
    """

    prompt: str = field(validator=_prompt)
    agent: str | None = field(default=None, validator=_name)
    tool: str | ToolSpec | None = field(
        default=None,
        kw_only=True,
        validator=must_be("a name, a path or a ToolSpec", str, ToolSpec),
    )
    model: str | None = field(default=None, kw_only=True, validator=_name)
    timeout: float | None = field(default=None, kw_only=True, validator=_limit)
    policy: SpawnPolicy | str | None = field(
        default=None,
        kw_only=True,
        validator=must_be("a SpawnPolicy or the name of a preset", str, SpawnPolicy),
    )
    display_name: str | None = field(
        default=None, kw_only=True, validator=must_be("text", str)
    )
    task_id: str | None = field(
        default=None, kw_only=True, validator=[must_be("text", str), _no_nul]
    )
    cwd: str | None = field(
        default=None,
        kw_only=True,
        converter=_text,
        validator=_no_nul,
    )
    env: Mapping[str, str] | None = field(
        default=None, kw_only=True, validator=[table_of_texts, _no_nul]
    )
    depends: tuple[str, ...] = field(default=(), kw_only=True, converter=_ids)
    expect: Expectation | None = field(
        default=None, kw_only=True, converter=expectation
    )
    is_spawn: bool = field(default=False, kw_only=True)
    session_id: str | None = field(default=None, kw_only=True, validator=_name)
    limits: BudgetLimits | None = field(
        default=None, kw_only=True, converter=budget_limits
    )

    @property
    def label(self) -> str:
        """What people read: the display name, the agent, or the task's id."""
        return self.display_name or self.agent or self.task_id or "llm"


@frozen
class ContextBundle:
    """What one agent is given to look at; nobody else's copy is touched by it."""

    topic_id: str
    topic_content: str
    metadata: Mapping[str, Any] | None = None
    bundle_id: str | None = None
    created_at: float | None = None


# Not frozen: a frozen class sets its fields three times as slowly, and one request
# is made for each attempt of a million.
@define(eq=False)
class AgentRequest:
    """One invocation of one agent, as an orchestrator gets it.

    ``agent`` is the persona (None: none), ``agent_id`` names the invocation in
    reports and pools; ``profile`` is who the agent is, where a profile says it.
    ``grace`` is the seconds between the polite signal and the
    end. ``output_path`` (without suffix) says where an output that outgrows memory
    goes. Without ``wants_output``, stdout may be reported by its size alone.
    ``session_usage`` is what was used before in the session that is continued, for
    tools that count it again; None: not known.
    """

    agent_id: str
    context: ContextBundle | None = None
    prompt: str | None = field(default=None, kw_only=True)
    request_id: str | None = field(default=None, kw_only=True)
    agent: str | None = field(default=None, kw_only=True)
    tool: ToolSpec | None = field(default=None, kw_only=True)
    model: str | None = field(default=None, kw_only=True)
    profile: AgentProfile | None = field(default=None, kw_only=True)
    cwd: str | None = field(default=None, kw_only=True)
    env: Mapping[str, str] | None = field(default=None, kw_only=True)
    task_id: str | None = field(default=None, kw_only=True)
    run_id: str | None = field(default=None, kw_only=True)
    attempt: int = field(default=1, kw_only=True)
    session_id: str | None = field(default=None, kw_only=True)
    session_usage: Usage | None = field(default=None, kw_only=True)
    output_path: str | None = field(default=None, kw_only=True)
    grace: float = field(default=presets.GRACE, kw_only=True)
    wants_output: bool = field(default=True, kw_only=True)

    @property
    def text(self) -> str:
        """The prompt, or the context's topic where there is none."""
        if self.prompt is None:
            return self.context.topic_content if self.context else ""
        return self.prompt


@frozen
class AgentOutput:
    """An agent's answer. ``generated_at`` is epoch seconds."""

    content: str
    agent_id: str
    request_id: str | None = None
    output_id: str | None = None
    content_type: str = "text/plain"
    generated_at: float | None = None
    usage: Usage | None = None
    simulated: bool = False
