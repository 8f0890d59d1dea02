"""The halt in two independent channels: an event in this process, and a file."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from muster.domain import presets
from muster.infrastructure.halt_file import HaltFile, Mark

OnHalt = Callable[[str], object]
_UNNAMED = "no reason was given"


def _halt_file(path: str | os.PathLike[str]) -> HaltFile:
    return HaltFile(Path(path))


@define(eq=False)
class _Watch:
    on_halt: OnHalt
    mark: Mark


@define(eq=False)
class DualChannelHaltChecker:
    """Halted if either channel says so; a file that can't be read says so, too.

    ``path`` is the halt file. `halt` and `resume_operations` belong to the channel of
    this process and may be called from any thread; the file is `muster halt`'s.
    """

    file: HaltFile = field(converter=_halt_file, alias="path")
    look: float = field(default=presets.HALT_LOOK, kw_only=True)
    _reason: str | None = field(default=None, init=False)
    _lookouts: "dict[asyncio.AbstractEventLoop, _Lookout]" = field(
        factory=dict, init=False, repr=False
    )

    def halt(self, reason: str) -> None:
        """Halts this process. Whoever watches is told, even if it is lifted at once."""
        self._reason = reason or _UNNAMED
        for lookout in list(self._lookouts.values()):
            lookout.call_out(self._reason)

    def resume_operations(self) -> None:
        """Lifts what `halt` did; the file is not touched."""
        self._reason = None

    async def is_halted(self) -> bool:
        """See `HaltChecker`."""
        return self.reason() is not None

    async def halt_reason(self) -> str | None:
        """See `HaltChecker`. Both reasons, where both channels halt."""
        return self.reason()

    def reason(self) -> str | None:
        """What `halt_reason` says, for those who can't wait."""
        said = [each for each in (self._reason, self.file.reason()) if each]
        return "; ".join(said) or None

    def watch(self, on_halt: OnHalt) -> Callable[[], None]:
        """See `HaltNotifier`. While somebody watches, the file is looked at."""
        loop = asyncio.get_running_loop()
        lookout = self._lookouts.get(loop)
        if lookout is None:
            lookout = self._lookouts[loop] = _Lookout(self, loop)
        watch = _Watch(on_halt, self.file.mark())
        lookout.add(watch)

        def end() -> None:
            lookout.remove(watch)
            if lookout.is_idle:
                self._lookouts.pop(loop, None)

        return end


@define(eq=False)
class _Lookout:
    """Those who watch in one event loop, and the timer that looks for them."""

    checker: DualChannelHaltChecker
    loop: asyncio.AbstractEventLoop
    _watches: list[_Watch] = field(factory=list, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    @property
    def is_idle(self) -> bool:
        return not self._watches

    def add(self, watch: _Watch) -> None:
        self._watches.append(watch)
        reason = self.checker.reason()
        if reason is not None:
            self.loop.call_soon(self._tell, [watch], reason)
        if self._timer is None:
            self._arm()

    def remove(self, watch: _Watch) -> None:
        if watch in self._watches:
            self._watches.remove(watch)
        if self.is_idle and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def call_out(self, reason: str) -> None:
        # Those who watch now: who comes when the halt is lifted again is not meant.
        told = list(self._watches)
        # A loop that is closed has nobody left.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._tell, told, reason)

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.checker.look, self._look)

    def _look(self) -> None:
        file = self.checker.file
        reason, mark = self.checker.reason(), file.mark()
        if reason is not None:
            self._tell(list(self._watches), reason)
        else:
            # A halt that came and went between two looks was a halt all the same.
            missed = [each for each in self._watches if each.mark != mark]
            if missed:
                self._tell(missed, file.lifted_reason())
        if self.is_idle:
            self._timer = None
        else:
            self._arm()

    def _tell(self, watches: list[_Watch], reason: str) -> None:
        for each in watches:
            if each in self._watches:
                self._watches.remove(each)
                each.on_halt(reason)
