"""`muster halt` and `muster resume-operations`: the halt that every muster here obeys."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags

if TYPE_CHECKING:
    from muster.infrastructure.halt_file import HaltFile


def halt(
    *reason: Annotated[str, Parameter(help="Why, in words; everybody is told.")],
    flags: OutputFlags | None = None,
) -> int:
    """Stop all operations of this project: nothing starts, what runs is ended.

    Every muster that works in this data folder obeys, until `resume-operations`.
    """
    out, file = Output.of(flags), _file()
    text = " ".join(" ".join(reason).split())
    if not text:
        out.warn("muster halt: say why: `muster halt REASON`")
        return ExitCode.USAGE
    try:
        file.pull(text)
    except OSError as error:
        out.warn(f"muster halt: NOT halted: {file.path}: {error.strerror}")
        return ExitCode.FAILED
    return _told(out, file, f"halted: {text}; `muster resume-operations` lifts it")


def resume_operations(*, flags: OutputFlags | None = None) -> int:
    """Lift the halt of this project. Runs go on with `muster resume`."""
    out, file = Output.of(flags), _file()
    try:
        was_halted = file.lift()
    except OSError as error:
        out.warn(
            f"muster resume-operations: still halted: {file.path}: {error.strerror}; "
            "remove it by hand"
        )
        return ExitCode.FAILED
    text = "the halt is lifted" if was_halted else "nothing was halted"
    return _told(out, file, text)


def _file() -> "HaltFile":
    from muster.infrastructure.halt_file import NAME, HaltFile  # noqa: PLC0415
    from muster.infrastructure.settings import Settings  # noqa: PLC0415

    return HaltFile(Settings.load().home / NAME)


def _told(out: Output, file: "HaltFile", text: str) -> int:
    reason = file.reason()
    if out.is_json:
        document = {"halted": reason is not None, "reason": reason}
        out.document({**document, "file": str(file.path)})
    else:
        out.line(text)
    return ExitCode.SUCCEEDED
