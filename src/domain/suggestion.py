"""What somebody may have meant: the nearest known word to an unknown one."""

import difflib
from collections.abc import Collection

# SequenceMatcher is quadratic in the words' lengths and runs once per known word:
# a hostile file must not buy minutes of it.
MAX_KNOWN = 2_000
MAX_LENGTH = 80
MAX_LISTED = 30


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that is most like ``word``, or None when none is near."""
    if len(word) > MAX_LENGTH or len(known) > MAX_KNOWN:
        return None
    by_fold = {each.casefold(): each for each in known if len(each) <= MAX_LENGTH}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A tail for an error message: the nearest word, else the known ones, else nothing."""
    near = nearest(word, known)
    if near is not None:
        return f"; did you mean '{near}'?"
    if 0 < len(known) <= MAX_LISTED:
        return f"; there are {', '.join(known)}"
    return ""
