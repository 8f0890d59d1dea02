"""Errors: one tree, readable, and they survive the way to another process."""

import copy
import pickle
from collections.abc import Callable

import pytest
from attrs import NOTHING, fields

from muster.domain import errors
from muster.domain.events import AgentEnded
from muster.domain.outcome import Failure, FailureCause

FAMILY = {
    "MusterError": "Exception",
    "ConfigError": "MusterError",
    "UnknownPresetError": "ConfigError ValueError",
    "PlanError": "MusterError",
    "CyclicPlanError": "PlanError",
    "ToolNotFoundError": "MusterError",
    "AgentNotFoundError": "MusterError",
    "AgentInvocationError": "MusterError",
    "AgentPoolExhaustedError": "MusterError",
    "AgentBusyError": "MusterError",
    "DuplicateAgentError": "AgentBusyError ValueError",
    "CircuitOpenError": "MusterError",
    "SystemHaltedError": "MusterError",
    "JournalError": "MusterError",
    "BudgetExceededError": "MusterError",
    "InvalidTransitionError": "MusterError",
    "OrchestratorError": "MusterError",
}
FOUND = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.MusterError)
]
SAMPLES: dict[str, object] = {
    "unrecorded": (),
    "problem": "went wrong",
    "where": "file.toml:3",
    "problems": (errors.ConfigError("one"), errors.ConfigError("two")),
    "file": "plan.md",
    "line": 7,
    "cycle": ("a", "b", "a"),
    "tool": "claude",
    "agent": "planner",
    "known": ("writer", "tester"),
    "agent_id": "planner",
    "failure": Failure(FailureCause.AUTH, "log in"),
    "ended": AgentEnded(exit_code=1),
    "active": 72,
    "max_concurrent": 72,
    "wanted": 1,
    "reason": "Circuit open",
    "retry_after": 90.0,
    "path": "/tmp/journal",  # noqa: S108 (a name, no file)
    "limit": "tokens",
    "allowed": 1e6,
    "needed": 1.5e6,
    "source": "initial",
    "target": "failed",
}


def names_of(error: type[errors.MusterError]) -> list[str]:
    """Its fields, in order; a new field needs a sample above."""
    if error is errors.MusterError:
        return []
    return [each.name for each in fields(error)]


def _piped(error: errors.MusterError) -> errors.MusterError:
    travelled = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert isinstance(travelled, errors.MusterError)
    return travelled


def facts(error: errors.MusterError) -> object:
    """Everything that should survive; nested errors compare by their text."""
    values = [getattr(error, name) for name in names_of(type(error))]
    return type(error), str(error), repr(values)


@pytest.mark.parametrize("error", FOUND)
def test_the_tree_is_the_promised_one(error: type[errors.MusterError]) -> None:
    """Every error of the module, and its parents."""
    assert FAMILY[error.__name__] == " ".join(each.__name__ for each in error.__bases__)
    assert set(FAMILY) == {each.__name__ for each in FOUND}
    assert error.__doc__


@pytest.mark.parametrize("error", FOUND)
@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, _piped])
def test_errors_survive_copy_and_pickle(
    error: type[errors.MusterError],
    travel: Callable[[errors.MusterError], errors.MusterError],
) -> None:
    """With all fields, and the same text."""
    original = error(*(SAMPLES[name] for name in names_of(error)))

    assert facts(travel(original)) == facts(original)


@pytest.mark.parametrize("error", FOUND[1:])
def test_errors_can_be_made_with_what_is_necessary(
    error: type[errors.MusterError],
) -> None:
    """Fields with a default may be left out; there is always a text."""
    required = [each.name for each in fields(error) if each.default is NOTHING]

    made = error(*(SAMPLES[name] for name in required))

    assert str(made).strip()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.ConfigError("bad"), "bad"),
        (errors.ConfigError("bad", "MUSTER_X"), "MUSTER_X: bad"),
        (errors.UnknownPresetError("bad", "x.toml:2"), "x.toml:2: bad"),
        (errors.PlanError("bad"), "bad"),
        (errors.PlanError("bad", "p.md"), "p.md: bad"),
        (errors.PlanError("bad", "p.md", 3), "p.md:3: bad"),
        (errors.CyclicPlanError("a > a", "p.md", 3), "p.md:3: a > a"),
        (
            errors.ToolNotFoundError("x"),
            (
                "tool 'x' was not found on PATH; install it, or name a program "
                "with --tool (`muster tools` lists what is here)"
            ),
        ),
        (
            errors.AgentNotFoundError("a", ["b", "c"]),
            "agent 'a' is unknown; known agents: b, c",
        ),
        (errors.AgentNotFoundError("a"), "agent 'a' is unknown; known agents: none"),
        (
            errors.AgentPoolExhaustedError(3, 4),
            (
                "agent pool exhausted: 3 of 4 slots are in use; ask for fewer agents "
                "at once or queue them"
            ),
        ),
        (
            errors.BudgetExceededError("tokens", 10.0, 20.5),
            "budget 'tokens' allows 10, 20.5 needed",
        ),
        (
            errors.InvalidTransitionError("initial", "failed"),
            "illegal transition from initial to failed",
        ),
        (errors.JournalError("disk full"), "disk full"),
        (errors.JournalError("disk full", "/j"), "/j: disk full"),
        (
            errors.CircuitOpenError("a", "Circuit open: 2 failures", 90.0),
            "agent 'a' is not started. Circuit open: 2 failures",
        ),
        (
            errors.AgentInvocationError("a", Failure(FailureCause.AUTH, "log in")),
            "agent 'a' failed: log in",
        ),
    ],
)
def test_texts(error: errors.MusterError, text: str) -> None:
    """One sentence, with what is known."""
    assert str(error) == text
