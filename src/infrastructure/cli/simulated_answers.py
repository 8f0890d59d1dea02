"""What `--tool sim` answers on the way from a question to an answer: the same every time.

It shows how a question goes through its phases without asking a model.
"""

import json
import re
from typing import Final

from muster.domain.task import AgentRequest
from muster.infrastructure.adapters.stub.behaviours import Behaviour, replies, waits

THINKS: Final = 0.2  # seconds
CONFIDENCE: Final = 0.4  # too little to be used again, and rightly so
_LIMIT: Final = re.compile(r"at most (\d+), as few")
_NUMBER: Final = re.compile(r"^Subgoal (\d+) \(", re.MULTILINE)
_PARTS: Final = (
    "Look at what is there",
    "Think about what follows",
    "Check the result",
)


def simulated(request: AgentRequest) -> str:
    """The answer of a simulated model or agent."""
    task_id, text = str(request.task_id), request.text
    if task_id.startswith("decompose"):
        found = _LIMIT.search(text)
        return _subgoals(int(found[1]) if found else 1)
    if task_id.startswith(("synthesize", "answer")):
        numbers = [int(each) for each in _NUMBER.findall(text)]
        claims = [{"claim": "This was simulated.", "subgoals": numbers}]
        document = {
            "answer": "This answer is simulated: no model was asked.",
            "confidence": CONFIDENCE,
            "claims": claims if numbers else [],
            "gaps": ["everything: no model was asked"],
        }
        return json.dumps(document)
    return f"Simulated: nobody has worked on {task_id}."


def behaviour() -> Behaviour:
    """The same for the stub, after a moment of thought."""
    return waits(THINKS) + replies(simulated)


def _subgoals(limit: int) -> str:
    parts = _PARTS[:limit]
    listed = [
        {
            "description": f"{text} (simulated)",
            "ideal_agent": "simulated analyst",
            "ideal_agent_desc": "does as if it worked",
            "assigned_agent": None,
            "match_quality": "insufficient",
            "is_critical": False,
            "depends_on": [len(parts) - 1] if number == len(parts) > 2 else [],  # noqa: PLR2004
        }
        for number, text in enumerate(parts, start=1)
    ]
    return json.dumps({"subgoals": listed})
