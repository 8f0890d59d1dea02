"""When a used-up allowance comes back, as epoch seconds, from the words of a message.

Times of day ("resets 3pm (Europe/Rome)") need a calendar and are not read here.
"""

import re
from typing import Final

from muster.domain import retry_notice

# Ten digits are seconds of the years 2001 to 2286, thirteen are milliseconds.
_EPOCH: Final = (
    r"(?:\breset(?:s|ting)?(?:[-_ ]?(?:at|time|on|date))?[\"']{0,2} ?[:=]? ?[\"']?"
    r"|\blimit reached ?\| ?)"
    r"(\d{10})(\d{3})?(?!\d)"
)
_AFTER: Final = (
    r"\b(?:resets?|refresh(?:es)?|renews?|available(?: again)?) (?:in|after) "
    rf"({retry_notice.DURATION})"
)


def resets_at(text: str, *, now_epoch: float | None = None) -> float | None:
    """Epoch seconds at which the limit named in ``text`` is lifted, or None.

    "Resets in 2h" counts from ``now_epoch`` and is None without it.
    """
    absolute = re.search(_EPOCH, text, re.IGNORECASE)
    if absolute:
        return int(absolute[1]) + int(absolute[2] or 0) / 1000.0
    relative = re.search(_AFTER, text, re.IGNORECASE)
    if relative is None or now_epoch is None:
        return None
    return now_epoch + retry_notice.duration(relative[1])
