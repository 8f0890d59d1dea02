"""A tool of crewai, loaded only where crewai is."""

from crewai.tools import tool


@tool("look_up")
def look_up(word: str) -> str:
    """Looks a word up."""
    return f"seen: {word}"
