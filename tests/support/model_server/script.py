"""What a model server does with each request: turns, in order, by model.

The last turn of a row goes on for ever. As JSON, a turn is its name or a table::

    {"turns": ["ok"], "models": {"flaky": [{"do": "rate_limit", "retry_after": 2}, "ok"]}}
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from attrs import Attribute, define, field, fields, frozen

ANSWERS: Final = ("ok", "drip", "tool_call", "empty")
REFUSALS: Final = (
    "unauthorized",
    "forbidden",
    "not_found",
    "bad_request",
    "context_length",
    "rate_limit",
    "usage_limit",
    "quota",
    "server_error",
    "overloaded",
)
BREAKDOWNS: Final = (
    "reset",
    "reset_in_stream",
    "hang",
    "hang_in_stream",
    "cut",
    "error_in_stream",
    "malformed",
    "html",
)
DRIP_INTERVAL: Final = 0.2


def _known(instance: object, attribute: "Attribute[str]", value: str) -> None:
    if value not in (*ANSWERS, *REFUSALS, *BREAKDOWNS):
        names = ", ".join((*ANSWERS, *REFUSALS, *BREAKDOWNS))
        problem = f"no turn '{value}'; there are {names}"
        raise ValueError(problem)


@frozen
class Turn:
    """One answer. Times in seconds.

    ``{prompt}`` in ``text`` stands for what the user said last, or for the part of it
    that stands between the two texts of ``within``. ``delay`` passes
    before the first byte, ``interval`` between the ``pieces`` of a stream. A
    ``tool_call`` runs ``command`` with the shell tool that the request offers, and
    gives ``text`` once the request holds the result. ``status`` and ``message``
    replace those of a refusal; ``closing`` ends the connection behind the answer.
    """

    do: str = field(default="ok", validator=_known)
    text: str = "pong"
    within: tuple[str, str] | None = None
    delay: float = 0.0
    interval: float | None = None
    pieces: int = 3
    retry_after: float | None = None
    resets_in: float | None = None
    status: int | None = None
    message: str | None = None
    command: str = "echo from the tool"
    input_tokens: int = 11
    output_tokens: int = 7
    cached_tokens: int = 0
    closing: bool = False

    @classmethod
    def of(cls, value: "str | Mapping[str, Any] | Turn") -> "Turn":
        """From its name or a table. Raises `ValueError`."""
        if isinstance(value, Turn):
            return value
        table = {"do": value} if isinstance(value, str) else dict(value)
        if unknown := set(table) - {each.name for each in fields(cls)}:
            problem = f"a turn has no {', '.join(sorted(unknown))}"
            raise ValueError(problem)
        return cls(**table)

    def answer_to(self, prompt: str) -> str:
        """The text, with the prompt in it."""
        if self.within is not None:
            start, end = self.within
            prompt = prompt.partition(start)[2].rpartition(end)[0]
        return self.text.replace("{prompt}", prompt)

    @property
    def pause(self) -> float:
        """Between two pieces of a stream."""
        if self.interval is not None:
            return self.interval
        return DRIP_INTERVAL if self.do == "drip" else 0.0


@define
class _Row:
    turns: tuple[Turn, ...]
    place: int = 0

    def next(self) -> Turn:
        turn = self.turns[min(self.place, len(self.turns) - 1)]
        self.place += 1
        return turn


@define
class Script:
    """Rows of turns: one for each model that has its own, one for all others.

    With ``tools_only`` a request that offers no tools is answered and moves no row:
    the calls by which agent CLIs name a session or check a key stay out of the way.
    """

    turns: tuple[Turn, ...] = (Turn(),)
    models: Mapping[str, tuple[Turn, ...]] = field(factory=dict)
    tools_only: bool = False
    _rows: dict[str, _Row] = field(factory=dict, init=False)

    @classmethod
    def of(cls, *turns: str | Mapping[str, Any] | Turn, **options: Any) -> Self:
        """The same row for every model."""
        return cls(tuple(map(Turn.of, turns)) or (Turn(),), **options)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """From JSON. Raises `ValueError`."""
        rows = document.get("models", {})
        models = {name: tuple(map(Turn.of, row)) for name, row in rows.items()}
        turns = document.get("turns", ["ok"])
        tools_only = bool(document.get("tools_only", False))
        return cls.of(*turns, models=models, tools_only=tools_only)

    def next(self, model: str, *, offers_tools: bool) -> Turn:
        """The turn for the next request to that model."""
        if self.tools_only and not offers_tools:
            return Turn()
        name = model if model in self.models else ""
        if name not in self._rows:
            self._rows[name] = _Row(self.models.get(name) or self.turns)
        return self._rows[name].next()
