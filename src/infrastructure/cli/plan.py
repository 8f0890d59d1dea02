"""`muster plan schema` and `muster plan draft`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.soar_flags import SoarFlags, question_of


def schema() -> None:
    """Print the JSON Schema of plan files in TOML, YAML and JSON."""
    from muster.infrastructure.plan_files.schema import plan_schema  # noqa: PLC0415

    Output.of(OutputFlags(json=True)).document(plan_schema())


def draft(
    goal: Annotated[str, Parameter(help="What is to be reached, or - for stdin.")],
    /,
    *,
    context: Annotated[
        list[Path] | None,
        Parameter(help="A file that belongs to it; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        Parameter(
            name=("--output", "-o"), help="Write the plan to this file, a new one."
        ),
    ] = None,
    who: SoarFlags | None = None,
    flags: OutputFlags | None = None,
) -> int:
    """Draft a plan file from a goal, to be read and edited before it is run.

    An agent splits the goal into tasks, and each gets an agent known here or one made up
    for it. Nothing works on the tasks before `muster run`.
    """
    from muster.infrastructure.cli.plan_drafting import draft as drafted  # noqa: PLC0415

    console = Output.of(flags)
    question = question_of(goal, context)
    return drafted(question, who or SoarFlags(), console, output=output)
