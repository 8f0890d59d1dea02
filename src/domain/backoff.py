"""How long to wait before retry ``n``: a pure function of n and one draw."""

from typing import Literal

Strategy = Literal["exponential", "fixed", "linear", "immediate"]
Jitter = Literal["none", "full", "equal"]


def delay(
    n: int,
    draw: float = 1.0,
    *,
    strategy: Strategy = "exponential",
    base: float,
    maximum: float,
    factor: float,
    jitter: Jitter = "full",
) -> float:
    """Seconds before retry ``n`` (from 0), within [0, maximum].

    ``draw`` in [0, 1] is the jitter draw. "full" gives uniform 0..delay and
    "equal" delay/2..delay (Brooker, "Exponential Backoff And Jitter", 2015).
    The cap holds before and after jitter.
    """
    capped = min(maximum, _uncapped(n, strategy, base, maximum, factor))
    if jitter == "full":
        capped *= draw
    elif jitter == "equal":
        capped *= 0.5 + 0.5 * draw
    return min(maximum, capped)


def _uncapped(
    n: int, strategy: Strategy, base: float, maximum: float, factor: float
) -> float:
    if strategy == "immediate":
        return 0.0
    if strategy == "fixed":
        return base
    if strategy == "linear":
        return base * (1.0 + factor * n)
    try:
        return base * float(factor) ** n
    except OverflowError:
        # 2.0 ** 5000 has no float; any cap is smaller.
        return maximum
