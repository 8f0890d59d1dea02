"""How far the clocks of a zone are from UTC."""

import time


def zone_offset(zone: str | None, epoch: float) -> float | None:
    """Seconds east of UTC at ``epoch``; None for a zone that this machine doesn't know.

    ``zone`` is an IANA name, or None for the machine's own. Never raises.
    """
    # Here and not above: who never meets a limit needs no calendar.
    from datetime import UTC, datetime  # noqa: PLC0415
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    try:
        if zone is None:
            return float(time.localtime(epoch).tm_gmtoff)
        there = datetime.fromtimestamp(epoch, UTC).astimezone(ZoneInfo(zone))
    except (LookupError, ValueError, OverflowError, OSError):
        return None
    offset = there.utcoffset()
    return None if offset is None else offset.total_seconds()
