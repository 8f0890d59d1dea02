"""Python, the platform, the clock, PATH: what every run stands on."""

import os
import platform
import stat
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from muster.infrastructure.adapters.local_process import containment
from muster.infrastructure.doctor.finding import Finding

OLDEST_PYTHON: Final = (3, 11)
NEWEST_TRIED: Final = (3, 13)
# Before muster was written, no clock can be right.
OLDEST_TIME: Final = datetime(2025, 1, 1, tzinfo=UTC)
NEWEST_TIME: Final = datetime(2100, 1, 1, tzinfo=UTC)
SKEW: Final = timedelta(minutes=2)
_RUN_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"


def python(version: tuple[int, int] | None = None) -> Finding:
    """Whether this Python is one that muster was tried with."""
    version = version or sys.version_info[:2]
    what = f"{platform.python_implementation()} {platform.python_version()}"
    if version < OLDEST_PYTHON:
        return Finding("python", "problem", what, "use Python 3.11 or later")
    if version > NEWEST_TRIED:
        what += ", newer than what muster was tried with"
        return Finding("python", "warning", what, "if it misbehaves, try 3.13")
    return Finding("python", "ok", f"{what} ({sys.executable})")


def containing(kind: str, degradations: Iterable[str] | None = None) -> list[Finding]:
    """What may survive its agent on this platform. Blocks for ~20 ms."""
    subject = "containment"
    found = containment.degradations(kind) if degradations is None else degradations
    advice = "after a crash of muster, `muster doctor --reap` ends what it left"
    if kind == "group":
        advice = 'containment = "keeper" leaves nobody behind'
    worse = [Finding(subject, "warning", words, advice) for words in found]
    ok = f"{kind}: whatever an agent starts ends with it, whoever dies"
    return worse or [Finding(subject, "ok", ok)]


def clock(epoch: float, newest_run: str | None = None) -> Finding:
    """Whether run ids, which sort by time, will sort right."""
    now = datetime.fromtimestamp(epoch, UTC)
    if not OLDEST_TIME <= now < NEWEST_TIME:
        what = f"it is {now:%Y-%m-%d}, says this machine"
        return Finding("clock", "problem", what, "set the clock; runs sort by it")
    begun = _moment_of(newest_run)
    if begun is not None and begun > now + SKEW:
        what = f"the newest run began in the future ({begun:%Y-%m-%d %H:%M} UTC)"
        advice = "the clock went back, or still is wrong; `last` means that run"
        return Finding("clock", "warning", what, advice)
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def search_path(environ: Mapping[str, str]) -> list[Finding]:
    """Whether programs are found, and whether by others than the user."""
    path = environ.get("PATH")
    if not path:
        what, advice = "PATH is not set", "set PATH, or name programs by whole paths"
        return [Finding("PATH", "problem", what, advice)]
    folders = list(dict.fromkeys(path.split(os.pathsep)))
    found = [each for each in map(_suspicious, folders) if each is not None]
    there = sum(os.path.isdir(each) for each in folders if each)  # noqa: PTH112
    return found or [Finding("PATH", "ok", f"{there} folders")]


def _suspicious(folder: str) -> Finding | None:
    if not Path(folder).is_absolute():
        what = f"an entry is relative ('{folder or '.'}'): it means another folder "
        what += "for each task" if folder else "for each task, and muster skips it"
        return Finding("PATH", "warning", what, "write whole paths into PATH")
    try:
        mode = Path(folder).stat().st_mode
    except OSError:
        return None
    if mode & stat.S_IWOTH and stat.S_ISDIR(mode):
        what = f"anybody may put programs into {folder}"
        return Finding("PATH", "warning", what, f"chmod o-w {folder}")
    return None


def _moment_of(run_id: str | None) -> datetime | None:
    if run_id is None:
        return None
    try:
        moment = datetime.strptime(run_id.partition("-")[0], _RUN_STAMP)  # noqa: DTZ007
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC)
