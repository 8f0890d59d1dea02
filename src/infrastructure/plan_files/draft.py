"""Subgoals as a Markdown plan, for a person to read and edit before anything runs.

What a model has said can only become text of a task here: never a field, another task or
the place of somebody's output.
"""

import re
from collections.abc import Sequence
from typing import Final

from muster.domain.assignment import Assignment
from muster.domain.plan import NO_AGENT
from muster.domain.plan_context import without_places
from muster.domain.subgoals import Subgoal

MAX_GOAL: Final = 500
_DEPENDS_ON: Final = re.compile(r"\(\s*depends\s+on", re.IGNORECASE)
_PARALLEL: Final = re.compile(r"\[P\]")


def to_markdown(
    goal: str, subgoals: Sequence[Subgoal], assignments: Sequence[Assignment]
) -> str:
    """The plan, with one task per subgoal, which `muster run` reads."""
    told = _one_line(goal)
    told = told if len(told) <= MAX_GOAL else f"{told[:MAX_GOAL]}..."
    lines = [f"# {told}", ""]
    for number, (subgoal, assigned) in enumerate(
        zip(subgoals, assignments, strict=True), start=1
    ):
        lines.append(f"- [ ] {number}. {_one_line(subgoal.description)}")
        lines.append(f"  This is a part of: {told}")
        if assigned.persona:
            lines.append(f"  {_one_line(assigned.persona)}")
        agent = NO_AGENT if assigned.agent is None else f"@{assigned.agent}"
        lines.append(f"  - Agent: {agent}")
        if subgoal.depends_on:
            lines.append(f"  - Depends: {', '.join(map(str, subgoal.depends_on))}")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    text = without_places(" ".join(text.replace("\0", " ").split()))
    return _PARALLEL.sub("(P)", _DEPENDS_ON.sub("(after", text))
