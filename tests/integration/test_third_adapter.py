"""Whoever follows CONTRIBUTING to the letter gets an adapter that passes the suite."""

import re
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "CONTRIBUTING.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE
)


def classes_of_the_document() -> dict[str, Any]:
    """What the blocks define, run one after the other as a reader would."""
    names: dict[str, Any] = {"__name__": "a_third_adapter"}
    for block in BLOCKS:
        exec(compile(block, DOCUMENT, "exec"), names)  # noqa: S102 - our own document
    return names


TestThirdAdapter = classes_of_the_document()["TestFunctions"]


@pytest.mark.parametrize(
    ("block", "what"), [*zip(BLOCKS, ("adapter", "test"), strict=True)]
)
def test_it_is_short(block: str, what: str) -> None:
    """Under 40 lines each: the suite and the supervisor do the rest."""
    assert len(block.splitlines()) < 40, what


def test_it_needs_the_port_and_the_domain_only() -> None:
    """No module of muster but those that an adapter may see, and the public kit."""
    imported = re.findall(r"^from (muster[\w.]*)", "\n".join(BLOCKS), re.MULTILINE)

    allowed = ("muster.application.ports", "muster.domain", "muster.testing")
    assert imported
    assert all(name.startswith(allowed) for name in imported)
