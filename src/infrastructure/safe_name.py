"""A file name for any id: distinct ids never share one, whatever the file system."""

import hashlib
import re
from typing import Final

MAX_NAME: Final = 100
_KEPT_OF_LONG: Final = 60
_DIGEST: Final = 24  # hexadecimal digits

# Of all spellings that differ only in case, one may keep its plain name: a file
# system that folds case would put the others into the same file.
_NUMBERED: Final = re.compile(r"t[0-9]+(\.[0-9]+)*")
_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._-]")
_RESERVED: Final = re.compile(
    r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE
)


def safe_name(text: str) -> str:
    """The name of a file for this id: ASCII, short, inside its folder on any system.

    Plain ids stay as they are; other characters become ``%xx``; what is long, in
    mixed case or reserved carries a hash after ``~``.
    """
    escaped = _UNSAFE.sub(_escaped, text.encode("utf-8", "surrogatepass")).decode()
    if escaped.startswith("."):
        escaped = "%2e" + escaped[1:]
    if escaped.endswith("."):
        escaped = escaped[:-1] + "%2e"
    is_plain = (
        escaped == _spelling(escaped)
        and len(escaped) <= MAX_NAME
        and escaped
        and not _RESERVED.fullmatch(escaped)
    )
    if is_plain:
        return escaped
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{escaped[:_KEPT_OF_LONG]}~{digest[:_DIGEST]}"


def numbered_name(number: int) -> str:
    """A name for something without an id; no id gets it."""
    return f"~{number}"


def _escaped(match: re.Match[bytes]) -> bytes:
    return f"%{match[0][0]:02x}".encode()


def _spelling(text: str) -> str:
    lower = text.lower()
    return lower.upper() if _NUMBERED.fullmatch(lower) else lower
