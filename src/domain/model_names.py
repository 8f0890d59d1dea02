"""Whether the model that answers is the one that was asked for."""

import re
from typing import Final

# Versions by date: "claude-opus-4-1-20250805", "gpt-5-2025-08-07", "...-latest".
_EDITION: Final = re.compile(
    r"[-@:](?:\d{8}|\d{4}-\d{2}-\d{2}|latest|preview(?:-\d+)*)$"
)


def is_same_model(requested: str, served: str) -> bool:
    """Whether ``served`` is ``requested``, an edition of it, or what its alias stands for.

    Providers in front ("openai/gpt-5") and editions behind don't count. An alias of one
    word ("sonnet") is any model with that word in its name.
    """
    wanted, got = _plain(requested), _plain(served)
    if wanted == got:
        return True
    words = re.split(r"[-_.]", got)
    return wanted.isalpha() and wanted in words


def _plain(name: str) -> str:
    bare = name.strip().lower().rpartition("/")[2]
    return _EDITION.sub("", bare.partition("[")[0])
