"""A council as it is kept in its run's folder, in the place of a plan."""

import json
from typing import Any, Final

from muster.domain.council import Council, Member
from muster.domain.errors import JournalError
from muster.domain.voting_rule import MAJORITY, UNANIMITY

KEY: Final = "council"


def to_text(council: Council) -> bytes:
    """The document."""
    members = [
        {
            name: value
            for name in ("name", "agent", "tool", "model")
            if (value := getattr(each, name)) is not None
        }
        for each in council.members
    ]
    document = {
        "topic": council.topic,
        "choices": list(council.choices),
        "rule": _rule(council),
        "quorum": _quorum(council),
        "rounds": council.max_rounds,
        "members": members,
    }
    return json.dumps({KEY: document}, ensure_ascii=False, indent=1).encode(
        "utf-8", "replace"
    )


def from_text(text: bytes, where: str) -> Council:
    """The council of a document. Raises `JournalError`."""
    try:
        document: dict[str, Any] = json.loads(text)[KEY]
        return Council(
            document["topic"],
            [Member(**each) for each in document["members"]],
            document["choices"],
            document["rule"],
            document["quorum"],
            document["rounds"],
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"is no council that can be taken up ({error})"
        raise JournalError(problem, where) from error


def _rule(council: Council) -> str:
    rule = council.rule
    return rule.name if rule.strict or rule.name == UNANIMITY else str(rule.share)


def _quorum(council: Council) -> str | int:
    quorum = council.quorum
    if quorum.share is None:
        return quorum.count
    if quorum.strict:
        return MAJORITY
    # As a whole number it would be read as one member.
    return "all" if quorum.share == 1 else str(quorum.share)
