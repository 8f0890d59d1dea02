"""How hard a question is, judged by its words alone: no model is asked.

Every sign that is found takes its share of what is left between the score and 1, so
more never counts for less, and a score stays within [0, 1].
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Final

from attrs import frozen

from muster.domain import presets
from muster.domain.complexity_signs import (
    BIG_WORK,
    RISK,
    SIGNS,
    SMALL_WORK,
    Mood,
    Sign,
    mood_of,
)

_FADE: Final = 0.6  # of each further word of one sign
_STEP: Final = 0.09
_MOST_STEPS: Final = 6
_LENGTH: Final = 0.004  # of a word; forty words are one more clause or two
_MOST_LENGTH: Final = 0.3
_ORDER: Final = 0.25  # to do something that no sign knows: less than any known work
_ORDER_WORDS: Final = 3  # fewer are a greeting
_NAME: Final = 0.04  # of a piece of code that is named
_MOST_NAMES: Final = 4
_CLEAR: Final = 0.15  # so far from a border nobody would doubt the level
_MANY: Final = 8  # words of which none is known: another language, or no question

_Sentences = Sequence[tuple[str, Mood]]
_BORDERS: Final = (
    presets.MEDIUM_FROM,
    presets.COMPLEX_FROM,
    presets.CRITICAL_FROM,
)
_MOST_WITHOUT_RISK: Final = presets.CRITICAL_FROM - 0.01

_SENTENCE: Final = re.compile(r"[.!?;:](?=\s|$)|[\n\r]+")
_STEP_WORD: Final = re.compile(
    r"\b(?:and|then|also|afterwards|plus|as well as|followed by|finally|including)\b"
    r"|,(?=\s)"
)
_CODE: Final = re.compile(
    r"`[^`\n]{1,80}`|\b[A-Za-z]+_[A-Za-z_0-9]+|\b[a-z]+[A-Z][A-Za-z0-9]+|\b[\w/]+\.(?:py|js|ts|go|rs|c|h|"
    r"java|md|toml|json|ya?ml|sql|sh)\b|\b\w+\(\)"
)


class Complexity(Enum):
    """How many agents a question deserves."""

    SIMPLE = "SIMPLE"
    MEDIUM = "MEDIUM"
    COMPLEX = "COMPLEX"
    CRITICAL = "CRITICAL"

    @property
    def max_subgoals(self) -> int:
        """Into how many parts it may be taken; 0: it is answered directly."""
        return presets.MAX_SUBGOALS[self.value]

    @property
    def max_chunks(self) -> int:
        """How much of the project is shown with it."""
        return presets.MAX_CHUNKS[self.value]


@frozen
class Assessment:
    """``score`` and ``confidence`` lie in [0, 1]; ``reasons`` are made for people."""

    level: Complexity
    score: float
    confidence: float
    reasons: tuple[str, ...] = ()


def assess(query: str) -> Assessment:
    """The level of any text, the same for the same text. Never raises.

    Only work that touches a risk is critical, however much of it there is; to ask
    about a risk is not to take it.
    """
    return _judged(query[: presets.ASSESSED_CHARS])


def _judged(text: str) -> Assessment:
    sentences = [(each, mood_of(each)) for each in _sentences(text)]
    found = _found(sentences)
    shares, reasons = _weighed(found)
    if not (found[BIG_WORK] or found[SMALL_WORK]) and _is_order(sentences):
        shares.append(_ORDER)
    steps = _steps(sentences) if shares else 0
    names = min(len(_CODE.findall(text)), _MOST_NAMES)
    words = len(text.split())
    length = min(words * _LENGTH, _MOST_LENGTH)
    if steps > 1:
        reasons.append(f"has {steps + 1} parts")
    if names:
        reasons.append("names code")
    score = _combined([*shares, *[_STEP] * steps, *[_NAME] * names, length])
    score = _risen(score) if found[RISK] else min(score, _MOST_WITHOUT_RISK)
    confidence = _confidence(score)
    if words >= _MANY and not reasons:
        confidence /= 2
    reasons = reasons or ["no sign of work"]
    return Assessment(_level(score), score, confidence, tuple(reasons))


def _sentences(text: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(text.lower()):
        bare = sentence.strip(" \t-*")
        if any(map(str.isalpha, bare)):
            yield bare


def _found(sentences: _Sentences) -> dict[Sign, tuple[str, ...]]:
    words: dict[Sign, dict[str, None]] = {sign: {} for sign in SIGNS}
    for sentence, mood in sentences:
        for sign in SIGNS:
            if mood in sign.moods:
                words[sign] |= dict.fromkeys(sign.pattern.findall(sentence))
    return {sign: tuple(each)[: sign.most] for sign, each in words.items()}


def _weighed(found: Mapping[Sign, Sequence[str]]) -> tuple[list[float], list[str]]:
    shares: list[float] = []
    reasons: list[str] = []
    for sign, words in found.items():
        shares += [sign.weight * _FADE**place for place in range(len(words))]
        if words:
            reasons.append(f"{sign.reason}: {', '.join(words)}")
    return shares, reasons


def _is_order(sentences: _Sentences) -> bool:
    return any(
        mood is Mood.WORK and len(sentence.split()) >= _ORDER_WORDS
        for sentence, mood in sentences
    )


def _steps(sentences: _Sentences) -> int:
    joined = sum(len(_STEP_WORD.findall(sentence)) for sentence, _ in sentences)
    return min(joined + len(sentences) - 1, _MOST_STEPS)


def _combined(shares: list[float]) -> float:
    left = 1.0
    for share in shares:
        left *= 1.0 - share
    return 1.0 - left


def _risen(score: float) -> float:
    """Work at a risk that would be complex without it is critical."""
    if score < presets.COMPLEX_FROM:
        return score
    return presets.CRITICAL_FROM + (1.0 - presets.CRITICAL_FROM) * score


def _level(score: float) -> Complexity:
    if score >= presets.CRITICAL_FROM:
        return Complexity.CRITICAL
    if score >= presets.COMPLEX_FROM:
        return Complexity.COMPLEX
    return Complexity.MEDIUM if score >= presets.MEDIUM_FROM else Complexity.SIMPLE


def _confidence(score: float) -> float:
    margin = min(abs(score - border) for border in _BORDERS)
    return 0.5 + 0.5 * min(1.0, margin / _CLEAR)
