"""What a structured stream came to, and whether its run succeeded."""

from typing import Final

from attrs import evolve, field, frozen

from muster.domain import presets
from muster.domain.classification_exit import judge_exit, signal_number
from muster.domain.outcome import Failure, FailureCategory, FailureCause, Usage

_SENT_FROM_OUTSIDE: Final = frozenset((1, 2, 15))
_NEVER_RAN: Final = frozenset((126, 127))
_SIGKILL: Final = 9
_SHOWN_DENIALS: Final = 3


@frozen
class StreamOutcome:
    """All that a stream has said by its end.

    ``complete``: its terminal record was seen; ``success``: that record says success.
    ``text`` is the answer. ``failure`` is the last error that no progress followed,
    or what the terminal record names. ``unread`` is the tail of what was no record,
    ``unknown`` names the kinds of records that nobody knows. ``denied`` is what the
    agent was not allowed to do; ``blocked`` says that it stopped for that reason.
    """

    complete: bool = False
    success: bool = False
    text: str = ""
    failure: Failure | None = None
    usage: Usage | None = None
    session_id: str | None = None
    served_models: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    blocked: bool = False
    unread: str = ""
    unknown: tuple[str, ...] = field(default=())
    truncated: bool = False


def judge_stream(
    outcome: StreamOutcome,
    *,
    exit_code: int | None,
    stderr: str = "",
    tool: str | None = None,
    stopped: bool = False,
    oom_killed: bool | None = None,
    now_epoch: float | None = None,
) -> Failure | None:
    """Why the run failed, or None: it succeeded.

    A success has a terminal record that says so, an answer, and an exit code of 0,
    unless we ended the process after that record (``stopped``). ``stderr`` is asked
    only where the stream has said nothing.
    """
    if _is_good(outcome):
        if exit_code == 0 or stopped:
            return None
    elif exit_code in (0, 1) and _wants_consent(outcome):
        return needs_approval(outcome.denied)
    elif outcome.complete and not outcome.success:
        return outcome.failure or _unexplained(outcome, tool)
    elif exit_code == 0 or (stopped and outcome.complete):
        return outcome.failure or _without_answer(outcome, tool)
    return _by_exit(outcome, exit_code, stderr, tool, oom_killed, now_epoch)


def _is_good(outcome: StreamOutcome) -> bool:
    said_so = outcome.complete and outcome.success and not outcome.blocked
    return said_so and bool(outcome.text.strip())


def _wants_consent(outcome: StreamOutcome) -> bool:
    # An agent that was refused something and found another way has an answer; one
    # that failed for another reason has that reason.
    if outcome.blocked:
        return True
    has_failed = outcome.complete and not outcome.success
    return bool(outcome.denied) and not has_failed and not outcome.text.strip()


def needs_approval(denied: tuple[str, ...]) -> Failure:
    """The agent stopped because nobody could be asked."""
    asked = "; ".join(denied[:_SHOWN_DENIALS])
    message = (
        f"stopped for an approval that nobody could give: {asked}; allow it in the "
        'tool\'s own settings, or set permissions = "bypass" for it'
    )
    return Failure(FailureCause.NEEDS_APPROVAL, message[: presets.JUDGED_LINE_CHARS])


def _by_exit(
    outcome: StreamOutcome,
    exit_code: int | None,
    stderr: str,
    tool: str | None,
    oom_killed: bool | None,  # noqa: FBT001 - a state, not a switch
    now_epoch: float | None,
) -> Failure:
    number = signal_number(exit_code)
    said = outcome.failure
    # Who is killed from outside, or never ran, has not failed for what it said.
    by_itself = number not in _SENT_FROM_OUTSIDE and exit_code not in _NEVER_RAN
    # Nobody is killed for a 404: of all that was said only a lack of means counts.
    if (
        said is not None
        and by_itself
        and (number != _SIGKILL or said.cause.category is FailureCategory.RESOURCE)
    ):
        return said
    return judge_exit(
        exit_code, stderr, outcome.unread, tool=tool, oom_killed=oom_killed,
        now_epoch=now_epoch,
    )  # fmt: skip


def _without_answer(outcome: StreamOutcome, tool: str | None) -> Failure:
    who = f"'{tool}'" if tool else "the tool"
    if outcome.complete:
        return Failure(FailureCause.INFERENCE, f"{who} ended well and gave no answer")
    failure = Failure(
        FailureCause.INFERENCE,
        f"{who} exited with 0 before its stream had come to its end",
    )
    if not outcome.unknown:
        return failure
    kinds = ", ".join(outcome.unknown)
    hint = f"; records of unknown kinds: {kinds} (is this version known? muster doctor)"
    return evolve(failure, message=failure.message + hint)


def _unexplained(outcome: StreamOutcome, tool: str | None) -> Failure:
    who = f"'{tool}'" if tool else "the tool"
    message = outcome.text.strip() or f"{who} says that it failed, and not why"
    return Failure(FailureCause.INFERENCE, message[: presets.JUDGED_LINE_CHARS])
