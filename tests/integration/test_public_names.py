"""The stable interface: what is in ``__all__`` is there, and costs little to reach."""

import subprocess
import sys

import pytest

import muster
import muster.errors
import muster.testing
from muster import Plan


@pytest.mark.parametrize("name", muster.__all__)
def test_public_names_exist(name: str) -> None:
    """Every name of ``__all__`` can be imported and documents itself."""
    found = getattr(muster, name)

    assert found.__doc__, name


@pytest.mark.parametrize("module", [muster.errors, muster.testing])
def test_public_modules_export_what_they_say(module: object) -> None:
    """``muster.errors`` and ``muster.testing`` hold what they list."""
    for name in module.__all__:  # type: ignore[attr-defined]
        assert hasattr(module, name)


def test_unknown_names_are_attribute_errors() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'Flet'"):
        _ = muster.Flet


def test_names_are_listed() -> None:
    """``dir(muster)`` shows the public names."""
    assert dir(muster) == sorted(muster.__all__)


def test_a_plan_loads_itself(tmp_path: object) -> None:
    """``Plan.load`` reads any of the formats."""
    from pathlib import Path  # noqa: PLC0415

    file = Path(str(tmp_path)) / "tasks.md"
    file.write_text("- [ ] 1. first\n- [ ] 2. second\n  - Depends: 1\n")

    plan = Plan.load(file)

    assert isinstance(plan, Plan)
    assert plan.waves() == [["1"], ["2"]]


def test_import_pulls_in_nothing_slow() -> None:
    """``import muster`` alone loads no event loop, no container, no screen."""
    slow = "asyncio rich structlog dependency_injector cyclopts yaml sqlite3"
    code = (
        f"import sys, muster; print([m for m in '{slow}'.split() if m in sys.modules])"
    )

    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[]"
