"""The project's folder: where runs are kept, and what its settings and profiles say."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from muster.domain import presets
from muster.domain.errors import ConfigError
from muster.infrastructure.adapters.local_process.environment import depth
from muster.infrastructure.agent_profiles import AgentProfiles
from muster.infrastructure.doctor.finding import Finding
from muster.infrastructure.lane_gate import FileLaneGate
from muster.infrastructure.run_store import RUNS
from muster.infrastructure.settings import Settings

LOW_DISK: Final = 1024 * presets.MIB
NO_DISK: Final = 100 * presets.MIB
GIT_BOUND: Final = 5.0
_PROBE: Final = "doctor"  # a lane that no tool is called


def settings(error: ConfigError | None) -> list[Finding]:
    """What is wrong in the settings, all of it."""
    if error is None:
        return [Finding("settings", "ok", "can be read")]
    advice = "correct it; `muster config show --origin` tells what holds"
    return [
        Finding("settings", "problem", str(each), advice)
        for each in error.problems or (error,)
    ]


def profiles(found: AgentProfiles) -> Finding:
    """Whether agent profiles are broken."""
    broken = [each for each in found.problems if each.hidden_by is None]
    if broken:
        what = f"{len(broken)} profile problems, the first: {broken[0]}"
        return Finding("agents", "warning", what, "`muster agents` lists them all")
    return Finding("agents", "ok", f"{len(found.profiles)} profiles")


def nesting(environ: Mapping[str, str], max_depth: int) -> Finding:
    """Whether muster may start agents from here."""
    levels = depth(environ)
    if levels >= max_depth:
        what = f"{levels} levels of muster inside muster, {max_depth} are allowed"
        advice = "an agent is probably starting itself; else raise max_depth"
        return Finding("depth", "problem", what, advice)
    what = f"inside {levels} muster(s), {max_depth} allowed" if levels else "not nested"
    return Finding("depth", "ok", what)


def home(folder: Path) -> list[Finding]:
    """Whether results can be kept there. Leaves nothing behind."""
    there = _nearest(folder)
    try:
        # The access bits are not the truth: file systems are read-only or full.
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"muster")
    except OSError as error:
        what = f"{folder}: can't be written ({error.strerror})"
        advice = "make it yours, or name another folder with MUSTER_HOME"
        return [Finding("home", "problem", what, advice)]
    what = str(folder) if there == folder else f"{folder} (made by the first run)"
    return [Finding("home", "ok", what), _disk(there)]


def ignored(folder: Path) -> Finding | None:
    """Whether git would commit what agents said; None outside of a repository."""
    if not any((each / ".git").exists() for each in folder.parents):
        return None
    answer = _check_ignore(folder / RUNS / "x")
    if answer is None:
        return None
    if answer:
        return Finding("git", "ok", f"ignores {folder.name}/{RUNS}")
    if not folder.exists():
        return Finding("git", "ok", f"a new {folder.name} gets a .gitignore")
    what = f"{folder.name}/{RUNS} is not ignored: outputs of agents may be committed"
    advice = f"echo '{RUNS}/' >> {folder}/.gitignore"
    return Finding("git", "warning", what, advice)


def lanes(gate: FileLaneGate | None) -> Finding:
    """Whether rate limits are shared with the other processes of this user."""
    if gate is None:
        what = "HOME is not set: rate limits are not shared between processes"
        return Finding("lanes", "warning", what, "set HOME or XDG_CACHE_HOME")
    advice = f"make {gate.folder} a folder of your own, or remove it"
    folder = _nearest(gate.folder)
    if folder == gate.folder:
        gate.read(_PROBE)
    if gate.problem is not None:
        return Finding("lanes", "warning", gate.problem, advice)
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        what = f"rate limits are not shared: {folder} can't be written"
        return Finding("lanes", "warning", what, advice)
    if folder == gate.folder and folder.stat().st_uid != os.geteuid():
        what = f"rate limits are not shared: {folder} is somebody else's"
        return Finding("lanes", "warning", what, advice)
    return Finding("lanes", "ok", f"rate limits are shared in {gate.folder}")


def without_settings(environ: Mapping[str, str], folder: Path) -> Settings:
    """What holds where the settings can't be read: the defaults."""
    plain = {name: environ[name] for name in _UNSET & environ.keys()}
    return Settings.from_value({}, cwd=folder, environ=plain)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    what = f"{_size(free)} free"
    advice = f"make room on the file system of {folder}"
    if free < NO_DISK:
        return Finding("disk", "problem", what, advice)
    if free < LOW_DISK:
        return Finding("disk", "warning", f"only {what}", advice)
    return Finding("disk", "ok", what)


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < presets.KIB:
            return f"{size:.0f} {unit}"
        size /= presets.KIB
    return f"{size:.1f} TiB"


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(each for each in _upwards(folder) if each.exists())


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.absolute().parents


def _check_ignore(path: Path) -> bool | None:
    """What git says of a path; None without git, or where it knows of no repository."""
    inside = _nearest(path)
    try:
        answer = subprocess.run(  # noqa: S603 - a list, no shell
            ["git", "-C", str(inside), "check-ignore", "-q", "--", str(path)],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_BOUND,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {0: True, 1: False}.get(answer.returncode)


_UNSET: Final = frozenset({"HOME", "XDG_CONFIG_HOME", "PATH"})
