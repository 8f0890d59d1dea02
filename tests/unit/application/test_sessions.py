"""What a session that goes on has used, as far as its own task knows."""

import pytest

from muster.application.batch import Job
from muster.application.sessions import used_in_session
from muster.domain.outcome import Attempt, Usage
from muster.domain.task import SpawnTask


def attempt(session_id: str | None, usage: Usage | None) -> Attempt:
    """One that is over."""
    return Attempt(1, "a", "t", 0.0, 1.0, session_id=session_id, usage=usage)


@pytest.mark.parametrize(
    ("given", "made", "used"),
    [
        (None, [], Usage()),
        (None, [attempt("s", None)], Usage()),
        (None, [attempt("s", Usage(3)), attempt("s", Usage(4, 1))], Usage(7, 1)),
        # What was used in another conversation is not in this one's sum.
        (None, [attempt("other", Usage(9)), attempt("s", Usage(3))], Usage(3)),
        (None, [attempt(None, Usage(9))], Usage()),
        # Begun by somebody else, who alone knows what it has used.
        ("s", [attempt("s", Usage(3))], None),
        ("other", [attempt("s", Usage(3))], Usage(3)),
    ],
)
def test_used_before(
    given: str | None, made: list[Attempt], used: Usage | None
) -> None:
    """By the attempts of the task itself, in that very session."""
    job = Job(0, SpawnTask("x", session_id=given), attempts=tuple(made))

    assert used_in_session(job, "s") == used
