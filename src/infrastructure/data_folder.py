"""The project's data folder, made where it is missing."""

from pathlib import Path

from muster.infrastructure.durable_file import FOLDER_MODE


def make_home(home: Path) -> None:
    """Private, and out of version control. Raises OSError."""
    is_new = not home.exists()
    # One by one: with `parents=True` the mode holds for the last folder only.
    home.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if is_new:
        # What agents said must not be committed by accident.
        (home / ".gitignore").write_text("*\n", "ascii")
