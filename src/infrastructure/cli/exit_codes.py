"""Every number that muster exits with, and which error means which."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What a script that runs muster can rely on."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    BUDGET = 4
    PREFLIGHT = 5
    PARKED = 6
    HALTED = 7
    INTERNAL = 70
    OUTPUT_LOST = 74
    DEADLINE = 124
    HUNG_UP = 129
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


MEANING: Final[Mapping[ExitCode, str]] = {
    ExitCode.SUCCEEDED: "all succeeded",
    ExitCode.FAILED: "some task failed",
    ExitCode.USAGE: "usage, configuration or plan invalid",
    ExitCode.PARTIAL: "finished, with something left out by request",
    ExitCode.BUDGET: "budget reached",
    ExitCode.PREFLIGHT: "preflight failed: a tool is missing or not logged in",
    ExitCode.PARKED: "parked on a limit: try again later",
    ExitCode.HALTED: "halted",
    ExitCode.INTERNAL: "internal error: a fault of muster",
    ExitCode.OUTPUT_LOST: "results could not be written (disk full), or nobody read them as they came",
    ExitCode.DEADLINE: "deadline of the run",
    ExitCode.HUNG_UP: "hung up (SIGHUP)",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.PIPE_CLOSED: "nobody reads stdout to its end (SIGPIPE)",
    ExitCode.TERMINATED: "terminated (SIGTERM)",
}


def code_of(error: BaseException) -> ExitCode:
    """The code of an error that muster raises on purpose.

    An error of the command line itself says it in ``exit_code``.
    """
    # Here and not above: `--help` prints this table and needs no error.
    from muster.domain import errors  # noqa: PLC0415

    table: tuple[tuple[type[BaseException], ExitCode], ...] = (
        (errors.ToolNotFoundError, ExitCode.PREFLIGHT),
        (errors.ConfigError, ExitCode.USAGE),
        (errors.PlanError, ExitCode.USAGE),
        (errors.AgentNotFoundError, ExitCode.USAGE),
        (errors.SystemHaltedError, ExitCode.HALTED),
        (errors.BudgetExceededError, ExitCode.BUDGET),
    )
    found = (code for kind, code in table if isinstance(error, kind))
    own: ExitCode = getattr(error, "exit_code", ExitCode.FAILED)
    return next(found, own)
