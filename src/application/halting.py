"""The halt, as whoever must obey it sees it: a checker in doubt is a halt."""

import asyncio

from muster.application.ports.halt_checker import HaltChecker
from muster.domain import presets
from muster.domain.outcome import Failure, FailureCause

_UNNAMED = "no reason was given"


def halted(reason: str) -> Failure:
    """What becomes of those who are halted."""
    text = f"{reason}; `muster resume-operations` lifts the halt"
    return Failure(FailureCause.HALTED, text)


async def why_halted(checker: HaltChecker) -> str | None:
    """The reason of the halt, or None. A checker that fails or is silent is a halt."""
    try:
        async with asyncio.timeout(presets.HALT_ANSWER):
            return await ask(checker)
    except TimeoutError:
        return f"the halt checker did not answer within {presets.HALT_ANSWER:g} s"


async def ask(checker: HaltChecker) -> str | None:
    """The same, however long it takes: for a checker that also tells by itself."""
    try:
        if not await checker.is_halted():
            return None
        return await checker.halt_reason() or _UNNAMED
    except Exception as error:  # noqa: BLE001 - what can't be asked counts as halted
        return f"the halt can't be checked ({type(error).__name__}: {error})"


async def wait_until_halted(checker: HaltChecker) -> str:
    """The reason, once a checker that can't tell by itself says that there is one."""
    while True:
        await asyncio.sleep(presets.HALT_LOOK)
        reason = await why_halted(checker)
        if reason is not None:
            return reason
