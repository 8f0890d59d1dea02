"""The public `Plan`: the domain's, and able to read itself from a file."""

import os
from typing import Self

from attrs import frozen

from muster.domain import plan
from muster.infrastructure import plan_files


@frozen
class Plan(plan.Plan):
    """Tasks in the order of their file, of which every dependency exists."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The plan in a Markdown, TOML, YAML or JSON file.

        Raises one `PlanError` that lists all problems of the file with their lines.
        """
        found = plan_files.load(path)
        return cls(found.tasks, found.defaults, found.tools, found.agents)
