"""What all tests share, which is little: a test says itself what it needs."""

import pytest
from hypothesis import settings

# A busy machine is slow, not broken: examples have no deadline in real time.
settings.register_profile("muster", deadline=None)
settings.load_profile("muster")


@pytest.fixture(autouse=True)
def _outside_of_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that run under muster behave as if they did not."""
    for name in ("MUSTER_DEPTH", "MUSTER_HOME", "MUSTER_TOOL", "MUSTER_MODEL"):
        monkeypatch.delenv(name, raising=False)
