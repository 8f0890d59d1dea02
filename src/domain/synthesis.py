"""An answer that says where each claim comes from, how sure it is and what is missing."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Self

from attrs import field, frozen, validators

from muster.domain import presets
from muster.domain.json_in_text import Misread, last_object, share_of
from muster.domain.outcome import SpawnResult
from muster.domain.subgoals import Subgoal

_ID: Final = re.compile(r"[0-9]{1,5}")


def _as_tuple(value: Iterable[int]) -> tuple[int, ...]:
    return tuple(value)


@frozen
class Claim:
    """One statement of an answer, and the numbers of the subgoals it rests on."""

    text: str
    subgoals: tuple[int, ...] = field(default=(), converter=_as_tuple)


@frozen
class Synthesis:
    """An answer as a model gives it. ``gaps`` are what it says it does not know."""

    text: str
    confidence: float
    claims: tuple[Claim, ...] = ()
    gaps: tuple[str, ...] = ()


@frozen
class Missing:
    """A subgoal that nobody has answered, and why."""

    subgoal: int
    description: str
    reason: str
    is_critical: bool = False

    def __str__(self) -> str:
        weight = "critical " if self.is_critical else ""
        return f"{weight}subgoal {self.subgoal} ({self.description}): {self.reason}"


@frozen
class Answer:
    """What a question came to. ``notes`` tell of what went wrong and was made good.

    ``cached_from`` is the run whose answer this is, when nobody was asked.
    """

    text: str
    confidence: float = field(validator=[validators.ge(0.0), validators.le(1.0)])
    claims: tuple[Claim, ...] = ()
    missing: tuple[Missing, ...] = ()
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    simulated: bool = False
    cached_from: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "answer": self.text,
            "confidence": self.confidence,
            "claims": [
                {"claim": each.text, "subgoals": list(each.subgoals)}
                for each in self.claims
            ],
            "missing": [
                {
                    "subgoal": each.subgoal,
                    "description": each.description,
                    "reason": each.reason,
                    "is_critical": each.is_critical,
                }
                for each in self.missing
            ],
            "gaps": list(self.gaps),
            "notes": list(self.notes),
            "simulated": self.simulated,
            "cached": self.cached_from is not None,
            "cached_from": self.cached_from,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(
            document["answer"],
            document["confidence"],
            tuple(
                Claim(each["claim"], each["subgoals"]) for each in document["claims"]
            ),
            tuple(Missing(**each) for each in document["missing"]),
            tuple(document["gaps"]),
            tuple(document["notes"]),
            document["simulated"],
            document["cached_from"],
        )


def read_synthesis(answer: str, known: Collection[int] = ()) -> Synthesis | Misread:
    """The synthesis in an answer; claims may rest on ``known`` subgoals alone."""
    found = last_object(answer, "answer")
    if found is None:
        return Misread('there is no complete JSON object with "answer" in the answer')
    text, confidence = found["answer"], share_of(found.get("confidence"))
    if not isinstance(text, str) or not text.strip():
        return Misread('"answer" must be a text that is not empty')
    if confidence is None:
        return Misread('"confidence" must be a number from 0 to 1')
    claims = _claims(found.get("claims") or [], known)
    if isinstance(claims, Misread):
        return claims
    return Synthesis(text.strip(), confidence, claims, _texts(found.get("gaps")))


def _texts(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return ()
    texts = (each.strip() for each in listed if isinstance(each, str))
    return tuple(each for each in texts if each)


def _claims(value: object, known: Collection[int]) -> tuple[Claim, ...] | Misread:
    if not isinstance(value, list):
        return Misread('"claims" must be a list')
    found = [_claim(each, known) for each in value]
    wrong = next((each for each in found if isinstance(each, Misread)), None)
    return wrong or tuple(each for each in found if isinstance(each, Claim))


def _claim(value: object, known: Collection[int]) -> Claim | Misread:
    if not isinstance(value, Mapping) or not isinstance(value.get("claim"), str):
        return Misread('each of "claims" must be an object with a "claim"')
    numbers = value.get("subgoals") or []
    found: dict[int, None] = {}
    for each in numbers if isinstance(numbers, list) else [numbers]:
        number = _number(each)
        if number not in known:
            names = ", ".join(map(str, sorted(known))) or "none"
            shown = str(each)[: presets.BALLOT_SHOWN]
            return Misread(f"a claim rests on subgoal {shown}; answered are {names}")
        found[number] = None
    return Claim(value["claim"].strip(), tuple(found))


def _number(value: object) -> int:
    """The number meant; 0, which no subgoal has, where there is none."""
    if isinstance(value, str):
        text = value.strip().removeprefix("s")
        return int(text) if _ID.fullmatch(text) else 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def missing_of(
    subgoals: Sequence[Subgoal], results: Mapping[int, SpawnResult]
) -> tuple[Missing, ...]:
    """The subgoals without an answer, by number; the cause stands before its words."""
    found = []
    for number, subgoal in enumerate(subgoals, start=1):
        result = results.get(number)
        if result is not None and result.success:
            continue
        reason = "nobody has worked on it" if result is None else _reason(result)
        found.append(Missing(number, subgoal.description, reason, subgoal.is_critical))
    return tuple(found)


def _reason(result: SpawnResult) -> str:
    """How it ended and, where that was only the end of it, what had gone wrong before."""
    failure = result.failure
    assert failure is not None  # noqa: S101 - it is no success
    before = dict.fromkeys(
        each.failure.cause.value
        for each in result.attempts
        if each.failure and each.failure.cause is not failure.cause
    )
    after = f" (after {', '.join(before)})" if before else ""
    return f"{failure.cause.value}: {failure.message}{after}"


def tempered(
    confidence: float, subgoals: Sequence[Subgoal], missing: Sequence[Missing]
) -> float:
    """How sure an answer can be at most, by what is missing of it.

    As large a part of the confidence as of the subgoals; and without a critical one too
    little for the answer to be used again.
    """
    if not missing:
        return confidence
    share = 1 - len(missing) / len(subgoals)
    limit = 1.0
    if any(each.is_critical for each in missing):
        limit = presets.SOAR_WITHOUT_CRITICAL
    return round(min(confidence * share, limit), 4)
