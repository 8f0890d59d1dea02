"""The choice of a containment: how families of processes are held and ended.

`keeper` (the default) leaves nobody behind, whoever dies. `group` is cheaper to explain
to a system call filter, and lets escape what leaves its process group.
"""

from muster.infrastructure.adapters.local_process.child import (
    Child,
    Containment,
    Gone,
    Launch,
    LaunchError,
)

__all__ = [
    "Child",
    "Containment",
    "Gone",
    "Launch",
    "LaunchError",
]
