"""The JSON Schema of a plan, made from the same tables that read one."""

from typing import Any, Final

from muster.infrastructure.plan_files.fields import PLAN
from muster.infrastructure.strict_tables import Kind, Many, Named, Shape

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def plan_schema() -> dict[str, Any]:
    """The schema of plans in TOML, YAML and JSON."""
    return {
        "$schema": DIALECT,
        "title": "muster plan",
        "description": "Tasks for agents and programs, and what they wait for.",
        **_schema_of(PLAN),
    }


def _schema_of(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Kind):
        return {"description": shape.expected, **shape.schema}
    if isinstance(shape, Many):
        return {"type": "array", "items": _schema_of(shape.table)}
    if isinstance(shape, Named):
        return {"type": "object", "additionalProperties": _schema_of(shape.table)}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _schema_of(each) for name, each in shape.fields.items()},
        "additionalProperties": shape.extra,
    }
    if shape.required:
        schema["required"] = list(shape.required)
    return schema
