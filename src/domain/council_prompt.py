"""What a member of a council is asked in each round.

It remembers nothing between rounds, so that each prompt holds all that it needs: the
topic, what it said itself, and what the others have committed, within bounds. Others'
words stand behind "> " on every line: none of them can pass for an instruction of ours.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from muster.domain import presets
from muster.domain.council import Council, Phase
from muster.domain.deliberation import Poll, Round

_TASKS: Final[Mapping[Phase, str]] = {
    Phase.ASSESS: (
        "Assess the topic by yourself: the facts that matter, what is uncertain, what "
        "each choice would bring. Do not choose yet. At most 300 words."
    ),
    Phase.POSITION: (
        "Take a position: which choice you favour, your two or three strongest "
        "reasons, and what would change your mind. At most 300 words."
    ),
    Phase.CROSS_EXAMINE: (
        "Cross-examine: name the weakest point of the positions that differ from yours "
        "and say why it is weak; answer the best objection to your own; end with your "
        "position as it stands now. At most 300 words."
    ),
    Phase.VOTE: "Vote.",
}


def prompt_for(council: Council, name: str, before: Sequence[Round]) -> str:
    """What ``name`` is asked in the round after those ``before``."""
    number = len(before) + 1
    phase = council.phase(number)
    parts = [
        _head(council, name),
        f"Topic:\n{council.topic.strip()}",
        "Choices: " + ", ".join(council.choices),
        f"Round {number} of at most {council.max_rounds}: {phase.value}.",
        *_own(name, before),
        *_others(council, name, before),
        *_last_vote(council, before),
        _TASKS[phase],
    ]
    if phase is Phase.VOTE:
        parts.append(ballot_text(council))
    return "\n\n".join(parts) + "\n"


def ballot_text(council: Council) -> str:
    """How a vote has to look. It is no vote itself, should an agent repeat it."""
    choices = ", ".join(
        json.dumps(each, ensure_ascii=False) for each in council.choices
    )
    return (
        "End your answer with one JSON object, and write nothing after it:\n"
        '{"choice": <one of: ' + choices + ">, "
        '"confidence": <a number from 0 to 1>, "reason": "<one or two sentences>"}\n'
        'Write the choice exactly as it stands here, or "abstain" with your reason.'
    )


def second_ask(prompt: str, council: Council, answer: str, problem: str) -> str:
    """The same question to one whose vote could not be read."""
    return (
        f"{prompt}\n"
        f"You were asked this before, and your vote could not be read: {problem}.\n"
        f"You answered:\n{_quoted(answer, presets.COUNCIL_OTHER_CHARS)}\n\n"
        f"{ballot_text(council)}\n"
    )


def excerpt(text: str, limit: int) -> str:
    """The text if it is short enough; else its beginning and its end, where it ends up."""
    text = text.strip()
    if len(text) <= limit:
        return text
    mark = " [...] "
    room = max(0, limit - len(mark))
    tail = room // 2
    return text[: room - tail] + mark + (text[-tail:] if tail else "")


def _head(council: Council, name: str) -> str:
    others = len(council.members) - 1
    company = f"one of {others + 1} members" if others else "the only member"
    return (
        f"You are {name}, {company} of a council that decides by {council.rule}. "
        "Answer as yourself and from what stands here; nobody can ask you back."
    )


def _own(name: str, before: Sequence[Round]) -> list[str]:
    said = _statement(name, before)
    if said is None:
        return []
    own = _quoted(said, presets.COUNCIL_OWN_CHARS)
    return [f"What you said before:\n{own}"]


def _others(council: Council, name: str, before: Sequence[Round]) -> list[str]:
    """What the others said last, beginning with whoever sits next in the circle.

    Where not all have room, everybody then sees others, and nobody is seen by none.
    """
    names = [each.name for each in council.members]
    at = names.index(name)
    circle = names[at + 1 :] + names[:at]
    said = {each: _statement(each, before) for each in circle}
    known = {each: text for each, text in said.items() if text is not None}
    if not known:
        return []
    total, most = presets.COUNCIL_OTHERS_CHARS, presets.COUNCIL_OTHER_CHARS
    shown = list(known)[: total // presets.COUNCIL_OTHER_LEAST]
    room = min(most, total // len(shown))
    blocks = [f"{each}:\n{_quoted(known[each], room)}" for each in shown]
    rest = len(known) - len(shown)
    if rest:
        blocks.append(f"(and {rest} more, left out for want of room)")
    return ["What the others said:\n\n" + "\n\n".join(blocks)]


def _statement(name: str, before: Sequence[Round]) -> str | None:
    """The last that a member has said; of a vote, its choice and reason."""
    for each in reversed(before):
        if each.poll is not None:
            vote = each.poll.votes.get(name)
            if vote is not None:
                return f"I voted '{vote.choice}'. {vote.reason}".strip()
        elif name in each.statements:
            return each.statements[name]
    return None


def _last_vote(council: Council, before: Sequence[Round]) -> list[str]:
    poll = before[-1].poll if before else None
    if poll is None:
        return []
    told = (
        f"The last vote decided nothing: {_counts(council, poll)}. Say what would have "
        "to be true for the other side to be right, and vote again; keep your vote if "
        "nothing has convinced you."
    )
    return [told]


def _counts(council: Council, poll: Poll) -> str:
    counts = [f"{votes} for '{each}'" for each, votes in poll.tally(council).items()]
    if poll.abstentions:
        counts.append(f"{len(poll.abstentions)} abstained")
    return ", ".join(counts)


def _quoted(text: str, limit: int) -> str:
    lines = excerpt(text, limit).splitlines() or [""]
    return "\n".join(f"> {line}" for line in lines)
