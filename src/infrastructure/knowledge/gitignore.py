"""What `.gitignore` files say, for projects that git is not asked about."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from attrs import frozen

from muster.infrastructure.text_file import UnreadableTextError, read_text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

NAME: Final = ".gitignore"
_MOST_BYTES: Final = 256 * 1024


@frozen
class Rules:
    """The files of a folder and of those above it; the nearest has the last word."""

    specs: "tuple[tuple[str, GitIgnoreSpec], ...]" = ()

    def within(self, project: Path, folder: str) -> Self:
        """These rules and those in ``folder``, which is "" or ends with a slash."""
        try:
            text = read_text(project / folder / NAME, _MOST_BYTES)
        except UnreadableTextError:
            return self
        # Not needed where git is, which is nearly everywhere.
        from pathspec import GitIgnoreSpec  # noqa: PLC0415

        spec = GitIgnoreSpec.from_lines(_lines(text))
        return type(self)((*self.specs, (folder, spec)))

    def ignores(self, name: str) -> bool:
        """Whether a path from the project is ignored; a folder's ends with a slash."""
        for folder, spec in reversed(self.specs):
            verdict = spec.check_file(name.removeprefix(folder)).include
            if verdict is not None:
                return verdict
        return False


def _lines(text: str) -> list[str]:
    """Without those that are no pattern: for git they say nothing, too."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    kept = []
    for line in text.split("\n"):
        with suppress(ValueError):
            GitIgnoreSpec.from_lines([line])
            kept.append(line)
    return kept
