"""The pytest plugin is loaded in other people's projects, where it must be no burden."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody else's project, with one test."""
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "def test_theirs():\n"
        "    heavy = {'asyncio', 'attrs', 'structlog', 'dependency_injector'}\n"
        "    heavy |= {'muster.infrastructure.adapters', 'muster.domain.presets'}\n"
        "    assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "def test_ours(muster_stub, muster_virtual_time):\n"
        "    assert muster_stub.capabilities.simulated\n"
    )
    return tmp_path


def test_unused_it_imports_nothing_and_used_it_works(project: Path) -> None:
    """Two fixtures; none of muster's modules before one of them is used."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio"]
    command += [
        "-p",
        "no:anyio",
        "-p",
        "no:hypothesispytest",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
    ]

    run = subprocess.run(command, cwd=project, capture_output=True, check=False)

    assert b"2 passed" in run.stdout, run.stdout.decode()
