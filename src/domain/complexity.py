"""How hard a question is, judged by its words alone: no model is asked.

Every sign that is found takes its share of what is left between the score and 1, so
more never counts for less, and a score stays within [0, 1].
"""

import re
from enum import Enum
from typing import Final

from attrs import frozen

from muster.domain import presets
from muster.domain.complexity_signs import RISK, SIGNS, Mood, Sign, mood_of

_FADE: Final = 0.6  # of each further word of one sign
_STEP: Final = 0.09
_MOST_STEPS: Final = 6
_LENGTH: Final = 0.004  # of a word; forty words are one more clause or two
_MOST_LENGTH: Final = 0.3
_NAME: Final = 0.04  # of a piece of code that is named
_MOST_NAMES: Final = 4
_CLEAR: Final = 0.15  # so far from a border nobody would doubt the level
_MANY: Final = 8  # words of which none is known: another language, or no question

_SENTENCE: Final = re.compile(r"[.!?;:](?=\s|$)|[\n\r]+")
_STEP_WORD: Final = re.compile(
    r"\b(?:and|then|also|afterwards|plus|as well as|followed by|finally|including)\b|,(?=\s)"
    r"|^\s*(?:[-*]|\d{1,3}[.)])\s"
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
    text = query[: presets.ASSESSED_CHARS]
    return _judged(text)


def _judged(text: str) -> Assessment:
    words = len(text.split())
    shares, reasons = _signs(text)
    is_risky = any(RISK.reason in reason for reason in reasons)
    steps = _steps(text) if shares else 0
    names = min(len(_CODE.findall(text)), _MOST_NAMES)
    shares += [_STEP] * min(steps, _MOST_STEPS) + [_NAME] * names
    shares.append(min(words * _LENGTH, _MOST_LENGTH))
    if steps > 1:
        reasons.append(f"has {steps + 1} parts")
    if names:
        reasons.append("names code")
    score = _combined(shares)
    score = _risen(score) if is_risky else min(score, _below(presets.CRITICAL_FROM))
    level = _level(score)
    return Assessment(
        level,
        score,
        _confidence(score, words, reasons),
        tuple(reasons) or ("is short",),
    )


def _signs(text: str) -> tuple[list[float], list[str]]:
    found: dict[Sign, dict[str, None]] = {sign: {} for sign in SIGNS}
    for sentence in _SENTENCE.split(text.lower()):
        bare = sentence.strip()
        mood = mood_of(bare) if bare else Mood.LOOK_UP
        for sign in SIGNS:
            if bare and mood in sign.moods:
                found[sign] |= dict.fromkeys(sign.pattern.findall(bare))
    shares: list[float] = []
    reasons: list[str] = []
    for sign, words in found.items():
        counted = list(words)[: sign.most]
        shares += [sign.weight * _FADE**place for place in range(len(counted))]
        if counted:
            reasons.append(f"{sign.reason}: {', '.join(counted)}")
    return shares, reasons


def _steps(text: str) -> int:
    return len(_STEP_WORD.findall(text.lower())) + sum(
        1 for each in _SENTENCE.split(text)[1:] if each.strip()
    )


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


def _below(border: float) -> float:
    return border - 0.01


def _level(score: float) -> Complexity:
    if score >= presets.CRITICAL_FROM:
        return Complexity.CRITICAL
    if score >= presets.COMPLEX_FROM:
        return Complexity.COMPLEX
    return Complexity.MEDIUM if score >= presets.MEDIUM_FROM else Complexity.SIMPLE


def _confidence(score: float, words: int, reasons: list[str]) -> float:
    borders = (presets.MEDIUM_FROM, presets.COMPLEX_FROM, presets.CRITICAL_FROM)
    margin = min(abs(score - border) for border in borders)
    confidence = 0.5 + 0.5 * min(1.0, margin / _CLEAR)
    return confidence / 2 if words >= _MANY and not reasons else confidence
