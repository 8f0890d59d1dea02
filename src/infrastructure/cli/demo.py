"""`muster demo`: a fleet in bad weather, with real processes, and what became of it."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import asdict, define

from muster.infrastructure.cli.columns import aligned, screen_width
from muster.infrastructure.cli.exit_codes import ExitCode
from muster.infrastructure.cli.output import Output, OutputFlags
from muster.infrastructure.cli.words import took

if TYPE_CHECKING:
    from muster.domain.plan import Plan
    from muster.domain.run_report import RunReport
    from muster.infrastructure.cli.demo_fleet import Check
    from muster.infrastructure.cli.views import View
    from muster.infrastructure.run_store import RunStore

AT_ONCE: Final = 8
DEADLINE: Final = 60.0
_INTRODUCTION: Final = (
    "Nine agents: most are about to go wrong. No key, no network; real processes."
)


def demo(*, flags: OutputFlags | None = None) -> int:
    """Watch a fleet survive: a refused key, a crash, a hang, a rate limit, a flood.

    Takes less than ten seconds and needs no key, no network and no git. Exits with 0
    when everything went as designed.
    """
    out = Output.of(flags)
    folder = Path(tempfile.mkdtemp(prefix="muster-demo-"))
    if not out.is_json:
        out.say(_INTRODUCTION)
    show = Show(folder, out)
    began = time.monotonic()
    report = asyncio.run(show.run())
    seconds = time.monotonic() - began
    if show.code is not None:
        return show.code
    return _tell(show, report, seconds)


def _tell(show: "Show", report: "RunReport", seconds: float) -> int:
    from muster.infrastructure.cli.demo_fleet import Judgement  # noqa: PLC0415

    checks = list(Judgement(report, show.notes).checks())
    is_ok = all(each.is_ok for each in checks)
    out = show.out
    if out.is_json:
        out.document(
            {
                "ok": is_ok,
                "duration_s": round(seconds, 3),
                "home": str(show.folder),
                "checks": [asdict(each) for each in checks],
                "report": report.to_dict(),
            }
        )
    else:
        for line in screen(checks, report, show.folder, seconds, screen_width()):
            out.line(line)
    return ExitCode.SUCCEEDED if is_ok else ExitCode.FAILED


@define(eq=False)
class Show:
    """One performance. ``code`` is set when somebody interrupts it."""

    folder: Path
    out: Output
    code: int | None = None

    @property
    def notes(self) -> Path:
        """Where the agents write down what happens to them."""
        return self.folder / "notes"

    async def run(self) -> "RunReport":
        """The fleet's run, shown while it goes on."""
        from muster.infrastructure.cli import demo_fleet  # noqa: PLC0415
        from muster.infrastructure.cli.signals import Interruptions  # noqa: PLC0415
        from muster.infrastructure.host import Fleet  # noqa: PLC0415
        from muster.infrastructure.settings import Settings  # noqa: PLC0415

        self.notes.mkdir()
        environ = demo_fleet.environment(os.environ, self.folder)
        settings = Settings.from_value({}, cwd=self.folder, environ=environ)
        plan = demo_fleet.plan_in(self.notes)
        fleet = Fleet.open(settings, environ=environ)
        store = self._store(demo_fleet.written(plan))
        view = self._view(plan)
        signals = Interruptions(fleet, view.say, lambda: AT_ONCE)
        try:
            async with fleet:
                with signals.handled(asyncio.get_running_loop()):
                    return await fleet.run_plan(
                        plan,
                        max_concurrent=AT_ONCE,
                        recovery_policy=demo_fleet.RECOVERY,
                        deadline=DEADLINE,
                        journal=store,
                        sink=view,
                    )
        finally:
            self.code = signals.code
            await store.aclose()
            view.close()

    def _store(self, plan: str) -> "RunStore":
        from muster.infrastructure.clock import SystemClock  # noqa: PLC0415
        from muster.infrastructure.randomness import SystemRandomness  # noqa: PLC0415
        from muster.infrastructure.run_store import RunStore  # noqa: PLC0415

        return RunStore.create(
            self.folder,
            clock=SystemClock(),
            randomness=SystemRandomness(),
            plan=plan,
        )

    def _view(self, plan: "Plan") -> "View":
        if not self.out.is_live:
            from muster.infrastructure.cli.plain import PlainView  # noqa: PLC0415

            return PlainView(time.monotonic, is_quiet=self.out.is_json)
        from rich.console import Console  # noqa: PLC0415

        from muster.infrastructure.cli.board import Board, names_of  # noqa: PLC0415
        from muster.infrastructure.cli.live import LiveView  # noqa: PLC0415

        tasks = ((at, each.id, each.agent) for at, each in enumerate(plan.tasks))
        board = Board.of(names_of(tasks), AT_ONCE, time.monotonic())
        view = LiveView(board, Console(stderr=True, highlight=False), time.monotonic)
        view.start()
        return view


def screen(
    checks: "Sequence[Check]",
    report: "RunReport",
    folder: Path,
    seconds: float,
    width: int,
) -> Iterator[str]:
    """What a person reads afterwards."""
    done = sum(each.success for each in report.results.values())
    verdict = "as designed" if all(each.is_ok for each in checks) else "NOT as designed"
    yield ""
    yield f"{done} of {len(report.results)} tasks done in {took(seconds)}, {verdict}:"
    yield ""
    rows = [("ok" if each.is_ok else "WRONG", each.name, each.what) for each in checks]
    yield from aligned(rows, width=width)
    yield ""
    yield f"results  {folder}"
    yield f"next     MUSTER_HOME={folder} muster show last"
    yield f"         MUSTER_HOME={folder} muster logs last research"
    yield f"         rm -r {folder}"
