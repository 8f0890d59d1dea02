"""What is told of a question's phases, in a line each."""

from typing import Any

from muster.domain.outcome import Usage
from muster.domain.soar_events import (
    PhaseBegan,
    PhaseEnded,
    SoarEvent,
    SubgoalsRouted,
    Warned,
)
from muster.infrastructure.cli.words import one_line, plural, took


def soar_words(event: SoarEvent) -> str | None:
    """The event for people; None for one that is not worth a line."""
    if isinstance(event, PhaseBegan):
        return None
    if isinstance(event, Warned):
        return f"warning: {one_line(event.text)}"
    if isinstance(event, SubgoalsRouted):
        return "subgoals: " + "; ".join(
            f"s{number} {name}: {one_line(text, 80)}"
            for number, name, text in event.subgoals
        )
    words = f"{event.phase.value}: {one_line(event.detail)}"
    if event.recalled:
        return f"{words} (known from before)"
    asked = f", {plural(event.asked, 'agent')} asked" if event.asked else ""
    return f"{words} ({took(event.seconds)}{asked}{cost_words(event.usage)})"


def cost_words(usage: Usage | None) -> str:
    """Tokens and money, as far as they are known."""
    if usage is None:
        return ""
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    words = f", {tokens:,} tokens" if tokens else ""
    return words + (f", ${usage.cost_usd:.4f}" if usage.cost_usd is not None else "")


def soar_document(event: SoarEvent) -> dict[str, Any]:
    """The event's fields as JSON-ready values."""
    if isinstance(event, PhaseEnded):
        return event.to_dict()
    if isinstance(event, PhaseBegan):
        return {"phase": event.phase.value}
    if isinstance(event, Warned):
        return {"text": event.text}
    return {
        "subgoals": [
            {"subgoal": number, "agent": name, "description": text}
            for number, name, text in event.subgoals
        ]
    }
