"""Signs of life that cost the agent nothing: the CPU time that its family has used."""

from collections.abc import Sequence

from muster.infrastructure.adapters.local_process import processes


def cpu_seconds(root: int, *, with_root: bool = False) -> float | None:
    """CPU seconds of all descendants of `root`, of reaped ones too, or None.

    `root`'s own time is left out unless asked for: a keeper's is not the family's.
    """
    fields = processes.stat(root)
    if not fields:
        return None
    ticks = _ticks(fields, 11 if with_root else 13)
    for pid in processes.descent(root):
        ticks += _ticks(processes.stat(pid), 11)
    return ticks * processes.TICK


def _ticks(fields: Sequence[bytes], first: int) -> int:
    # A process waits for its children's times to be added to its own, so that live
    # and reaped ones are never counted twice.
    return sum(map(int, fields[first:15]))
