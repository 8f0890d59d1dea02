"""The pytest plugin of muster: two fixtures, and nothing is imported before one is used.

pytest loads it in every project that has muster installed, so it must cost nothing.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from muster.infrastructure.adapters.stub.orchestrator import AgentOrchestratorStub


@pytest.fixture
def muster_stub() -> "AgentOrchestratorStub":
    """A new stub: script it with `on`, look at its ``calls``."""
    from muster.infrastructure.adapters.stub.orchestrator import (  # noqa: PLC0415
        AgentOrchestratorStub,
    )

    return AgentOrchestratorStub()


@pytest.fixture
def muster_virtual_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """A function that runs a coroutine in virtual time and returns its result."""
    from muster.infrastructure.testing.virtual_time import (  # noqa: PLC0415
        run_in_virtual_time,
    )

    return run_in_virtual_time
