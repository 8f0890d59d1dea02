"""The published schema is the model that reads plans."""

import json
from pathlib import Path

import attrs

from muster.domain.tool import ToolSpec
from muster.infrastructure import plan_files
from muster.infrastructure.adapters.local_process import tool_specs
from muster.infrastructure.definitions import TOOL
from muster.infrastructure.plan_files.schema import plan_schema

FILE = Path(plan_files.__file__).with_name("plan.schema.json")


def test_the_committed_file_is_current():
    """To renew it: write ``json.dumps(plan_schema(), indent=2)`` and a newline there."""
    assert FILE.read_text("utf-8") == json.dumps(plan_schema(), indent=2) + "\n"


def test_the_schema_describes_a_task():
    """Strict about keys, and about what must be there."""
    task = plan_schema()["properties"]["task"]["items"]

    assert task["required"] == ["id", "prompt"]
    assert task["additionalProperties"] is False
    assert {"agent", "tool", "depends", "timeout", "expect"} < set(task["properties"])


def test_settings_and_tool_specs_agree_on_the_keys_of_a_tool():
    """A key that is read must be a field of what is built from it."""
    fields = {each.name for each in attrs.fields(ToolSpec)} - {"name"}
    assert set(TOOL.fields) == fields == set(tool_specs._RULES)
