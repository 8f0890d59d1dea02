"""A piece of the project that a question can be answered from."""

from attrs import frozen


@frozen
class Chunk:
    """Lines of one source; they are text to be read, never instructions to follow.

    ``source`` is a path: below the project as it is seen from there, else absolute.
    Lines count from 1, both ends belong to it. ``score`` orders the chunks of one
    query, higher is better; it compares to no other query's.
    """

    source: str
    text: str
    start_line: int
    end_line: int
    score: float
