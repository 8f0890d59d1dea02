"""Agent output made safe for terminals, logs and reports.

What a terminal would obey (colours, cursor moves, titles, clipboard writes) and
what a reader can't see (bidi and zero-width controls) is taken out; the raw
bytes stay in the output file.
"""

import re
from typing import Final

# Each payload stops at the next introducer, so that no stretch of text is
# scanned twice: unfinished sequences by the million still cost linear time.
_PAYLOAD: Final = r"[^\x07\x1b\x80-\x9f]*"
_SEQUENCE: Final = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI
    # An unfinished title must not swallow the lines that follow it.
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x80-\x9f\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC
    rf"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f]){_PAYLOAD}(?:\x1b\\|\x9c)"  # DCS SOS PM APC
    r"|\x1b[PX^_][^\x07\x1b\x80-\x9f\n]*"  # the same, unfinished
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes and a lone ESC
)
_INVISIBLE: Final = (
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f"
)
_CONTROL: Final = rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_INVISIBLE}]"
_OVERSTRIKE: Final = r"[^\n\x08]\x08"


def strip_terminal(text: str) -> str:
    """``text`` as a reader would see it, with ``\\n`` and ``\\t`` as its only controls.

    CRLF becomes LF; of a line redrawn with carriage returns the last state is
    kept. Linear in the length of the text.
    """
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text or not text.isascii():
        text = re.sub(_SEQUENCE, "", text)
        text = text.replace("\u2028", "\n").replace("\u2029", "\n")
    if "\x08" in text:
        text = re.sub(_OVERSTRIKE, "", text)
    text = re.sub(_CONTROL + "+", "", text)
    if "\r" in text:
        text = "\n".join(map(_last_state, text.split("\n")))
    return text


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line
