"""`muster verify`: whether what the agents of a run said is still what was recorded."""

from typing import TYPE_CHECKING

from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.stored import UnknownRunError, run_called

if TYPE_CHECKING:
    from pathlib import Path


def verify(run: str = "last", /, *, flags: OutputFlags | None = None) -> int:
    """Recompute the witness log of a run; name the first record that does not hold.

    Exit code 0: every record and every output is as it was recorded. 1: one is not.
    """
    from muster.domain.errors import JournalError  # noqa: PLC0415
    from muster.infrastructure import witness_reading  # noqa: PLC0415
    from muster.infrastructure.settings import Settings  # noqa: PLC0415

    out, home = Output.of(flags), Settings.load().home
    try:
        run_id = _witnessed(home, run)
        found = witness_reading.verify(home, run_id)
    except (UnknownRunError, JournalError) as error:
        out.warn(f"muster verify: {error}")
        is_unknown = isinstance(error, UnknownRunError)
        return ExitCode.USAGE if is_unknown else ExitCode.FAILED
    broken = found.broken
    if out.is_json:
        out.document(
            {
                "run_id": run_id,
                "intact": broken is None,
                "records": found.count,
                "head": found.head,
                "broken": broken and {"record": broken.number, "why": broken.problem},
            }
        )
    elif broken is None:
        out.line(f"run {run_id}: {found.count} records hold; head {found.head}")
    else:
        out.line(f"run {run_id}: BROKEN at {broken}; {found.count} records before hold")
    return ExitCode.FAILED if broken else ExitCode.SUCCEEDED


def _witnessed(home: "Path", name: str) -> str:
    from muster.infrastructure.witness_reading import witnessed_runs  # noqa: PLC0415

    known = witnessed_runs(home)
    if name == "last" and known:
        return known[-1]
    found = [name] if name in known else [each for each in known if name in each]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownRunError(f"'{name}' may be {', '.join(found)}")
    # It says what is nearest, or that there is no such run.
    run_id = run_called(home, name)
    raise UnknownRunError(
        f"run {run_id} has no witness log: `muster deliberate` and services with a "
        "witness write one; `muster show` checks results as it reads them"
    )
