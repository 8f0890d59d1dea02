"""The failure of a run that has ended: structured record, final text, exit code, in that order."""

from itertools import islice
from typing import Final

from muster.domain import final_message, reset_time, retry_notice
from muster.domain.classification_line import Match, match, match_line
from muster.domain.final_message import Message
from muster.domain.outcome import Evidence, Failure, FailureCategory, FailureCause

_SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT",
    7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM",
    15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip
_SENT_FROM_OUTSIDE: Final = frozenset((1, 2, 15))
_SHELL_SIGNAL_BASE: Final = 128
_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127
_SIGKILL: Final = 9
_MAX_MESSAGE: Final = 500
_MAX_MESSAGES: Final = 150
_LIMITED: Final = frozenset(
    (FailureCause.RATE_LIMIT, FailureCause.QUOTA, FailureCause.OVERLOADED)
)


def judge_exit(
    exit_code: int | None,
    stderr_tail: str,
    stdout_tail: str,
    *,
    tool: str | None = None,
    oom_killed: bool | None = None,
    now_epoch: float | None = None,
) -> Failure:
    """Why a run that is known to have failed did so; never None, never raises.

    ``oom_killed``: whether the kernel's out-of-memory killer struck meanwhile, as
    far as the host can tell; where it can't (None), a SIGKILL that nobody asked
    for is taken for its work. Negative exit codes are signals.
    """
    number = signal_number(exit_code)
    if number in _SENT_FROM_OUTSIDE or exit_code in (_NOT_EXECUTABLE, _NOT_FOUND):
        return _by_exit_code(exit_code, stderr_tail, stdout_tail, oom_killed=oom_killed)
    for judge, text, stream in (
        (judge_records, stdout_tail, "stdout"),
        (judge_text, stderr_tail, "stderr"),
        (judge_text, stdout_tail, "stdout"),
    ):
        failure = judge(text, stream, now_epoch)
        if failure is not None and _explains(failure, number):
            return failure
    failure = _judge_last_words(stderr_tail) if exit_code and number is None else None
    return failure or _by_exit_code(
        exit_code, stderr_tail, stdout_tail, oom_killed=oom_killed, tool=tool
    )


def _explains(failure: Failure, number: int | None) -> bool:
    # Nobody is killed for a 404: of all that was said, only a lack of means counts.
    return number != _SIGKILL or failure.cause.category is FailureCategory.RESOURCE


def _judge_last_words(text: str) -> Failure | None:
    """The last line of a failed program is its reason, even if it doesn't call it error."""
    last = final_message.last_line(text)
    found = match(last) if last else None
    if found is None:
        return None
    start = max(0, text.rfind(last[:20]))
    return _failure(found, Message(last, start), text, "stderr", None)


def signal_number(exit_code: int | None) -> int | None:
    """The signal behind an exit code: -n, or 128 + n as shells say it; None if none."""
    if exit_code is None:
        return None
    if exit_code < 0:
        return -exit_code
    number = exit_code - _SHELL_SIGNAL_BASE
    return number if number in _SIGNALS else None


def judge_records(
    text: str, stream: str, now_epoch: float | None = None
) -> Failure | None:
    """The failure that the last error record of a structured stream names, or None."""
    message = final_message.structured(text)
    if message is None:
        return None
    found = match(message.text) or match(f"{message.text} {message.details}")
    if found is None:
        return None
    return _failure(found, message, text, stream, now_epoch)


def judge_text(
    text: str, stream: str, now_epoch: float | None = None, *, retries: bool = True
) -> Failure | None:
    """The failure that the newest error text of a plain stream names, or None.

    Without ``retries`` what a program said before it tried again doesn't count.
    """
    failure = judge_records(text, stream, now_epoch)
    if failure is not None:
        return failure
    for message in islice(final_message.plain(text, retries=retries), _MAX_MESSAGES):
        found = match(message.text) if message.firm else match_line(message.text)
        if found is not None:
            return _failure(found, message, text, stream, now_epoch)
    return None


def _failure(
    found: Match, message: Message, text: str, stream: str, now_epoch: float | None
) -> Failure:
    cause = found.row.cause
    said = f"{message.text} {message.details}"
    evidence = Evidence(
        text=found.text,
        stream=stream,
        offset=_byte_offset(text, message.start),
        pattern=found.row.name,
    )
    return Failure.named(
        cause=cause,
        message=message.text[:_MAX_MESSAGE],
        evidence=evidence,
        retry_after=retry_notice.retry_after(said, bare=cause in _LIMITED),
        resets_at=(
            reset_time.resets_at(said, now_epoch=now_epoch)
            if cause in _LIMITED
            else None
        ),
    )


def _byte_offset(text: str, start: int) -> int:
    return len(text[:start].encode("utf-8", "surrogatepass"))


def _by_exit_code(
    exit_code: int | None,
    stderr_tail: str,
    stdout_tail: str,
    *,
    oom_killed: bool | None,
    tool: str | None = None,
) -> Failure:
    stream = "stderr" if stderr_tail.strip() else "stdout"
    text = stderr_tail if stream == "stderr" else stdout_tail
    last = _last_words(text, stream)
    number = signal_number(exit_code)
    if number is None:
        cause, sentence = _by_code(exit_code, tool)
    else:
        cause, sentence = _by_signal(number, oom_killed=oom_killed)
        where = " inside a shell" if exit_code and exit_code > 0 else ""
        sentence = f"ended by {sentence}{where} (exit code {exit_code})"
    message = f"{sentence}: {last}" if last else sentence
    evidence = Evidence(last, stream, pattern="exit_code") if last else None
    return Failure(cause, message[:_MAX_MESSAGE], evidence)


def _last_words(text: str, stream: str) -> str:
    record = final_message.structured(text)
    if record is not None and record.text:
        return record.text
    # The last line of a structured stream is a record, and tells a reader nothing.
    last = final_message.last_line(text)
    return "" if stream == "stdout" and last.startswith("{") else last


def _by_code(exit_code: int | None, tool: str | None) -> tuple[FailureCause, str]:
    if exit_code in _PLAIN_CODES:
        return _PLAIN_CODES[exit_code]
    cause = _STATUS_BYTES.get(exit_code or 0) if tool and "gemini" in tool else None
    return cause or FailureCause.CRASH, f"ended with exit code {exit_code}"


def _by_signal(number: int, *, oom_killed: bool | None) -> tuple[FailureCause, str]:
    name = _SIGNALS.get(number, f"signal {number}")
    if number == _SIGKILL and oom_killed is not False:
        likely = "" if oom_killed else "most likely "
        return (
            FailureCause.OUT_OF_MEMORY,
            f"{name}, {likely}from the out-of-memory killer,",
        )
    if number == _SIGKILL or number in _SENT_FROM_OUTSIDE:
        return FailureCause.KILLED, f"{name} from outside"
    return FailureCause.CRASH, f"{name}, a crash,"


_PLAIN_CODES: Final[dict[int | None, tuple[FailureCause, str]]] = {
    None: (FailureCause.UNKNOWN, "ended in an unknown way"),
    0: (FailureCause.INFERENCE, "ended with exit code 0 but without an answer"),
    _NOT_FOUND: (
        FailureCause.TOOL_NOT_FOUND,
        "a program was not found (exit code 127)",
    ),
    _NOT_EXECUTABLE: (
        FailureCause.TOOL_NOT_FOUND,
        "a program can't be executed (exit code 126)",
    ),
}
# gemini's exit code is the HTTP status cut to eight bits, where it is no code of its own.
_STATUS_BYTES: Final = {
    status & 0xFF: FailureCause(cause)
    for status, cause in {
        400: "invalid_request", 401: "auth", 402: "quota", 403: "forbidden",
        404: "not_found", 413: "invalid_request", 429: "rate_limit",
        500: "server_error", 502: "server_error", 503: "overloaded", 504: "server_error",
    }.items()
} | {
    41: FailureCause.AUTH,
    42: FailureCause.INVALID_REQUEST,
    44: FailureCause.INVALID_REQUEST,
    52: FailureCause.INVALID_REQUEST,
    53: FailureCause.INVALID_REQUEST,
    55: FailureCause.INVALID_REQUEST,
}  # fmt: skip
