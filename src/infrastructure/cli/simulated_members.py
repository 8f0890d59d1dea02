"""What `--tool sim` answers as a member of a council: the same every time, and no vote of
anybody. It shows how a council goes without asking a model.
"""

import json
from hashlib import sha256

from muster.domain.council import AGAIN, Council, Phase
from muster.domain.task import AgentRequest
from muster.infrastructure.adapters.stub.behaviours import Behaviour, replies, waits

THINKS = 0.2  # seconds, at least; and up to so much more
STUBBORN = 0.75  # of those who differ, how many stay with it in the next vote


def simulated(council: Council, request: AgentRequest) -> str:
    """The answer of a simulated member."""
    task_id = str(request.task_id)
    number = int(task_id.split("-", 1)[0])
    phase = council.phase(number)
    is_again = task_id.startswith(f"{number}-{AGAIN}-")
    label = AGAIN if is_again else phase.value
    name = task_id.removeprefix(f"{number}-{label}-")
    choice = _choice(council, _draw(council.topic, name), number)
    if phase is Phase.VOTE:
        vote = {
            "choice": choice,
            "confidence": round(0.5 + _draw(name, council.topic) / 2, 2),
            "reason": f"simulated: {name} drew this choice",
        }
        return f"This vote is simulated.\n{json.dumps(vote, ensure_ascii=False)}\n"
    return f"Simulated {phase.value}: {name} leans to '{choice}'."


def behaviour(council: Council) -> Behaviour:
    """The same for the stub, after a moment of thought."""
    return waits(THINKS) + replies(lambda request: simulated(council, request))


def _choice(council: Council, draw: float, number: int) -> str:
    # Most favour the first choice, and from vote to vote more of them do: a council
    # that is simulated should show its verdict, not a deadlock.
    votes_before = max(0, number - len(council.opening) - 1)
    share = 0.4 * STUBBORN**votes_before
    if draw >= share:
        return council.choices[0]
    others = council.choices[1:]
    return others[int(draw / share * len(others)) % len(others)]


def _draw(*words: str) -> float:
    digest = sha256("\0".join(words).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
