"""`muster plan schema`."""

from muster.infrastructure.cli.output import Output, OutputFlags


def schema() -> None:
    """Print the JSON Schema of plan files in TOML, YAML and JSON."""
    from muster.infrastructure.plan_files.schema import plan_schema  # noqa: PLC0415

    Output.of(OutputFlags(json=True)).document(plan_schema())
