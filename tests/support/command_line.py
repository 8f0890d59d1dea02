"""Runs `muster` as people do: a process of its own, in a project and a home of its own."""

import json
import subprocess
import sys
from pathlib import Path

from attrs import define, field

MUSTER = str(Path(sys.executable).with_name("muster"))


@define
class Place:
    """A project and a home that hold nothing but what the test puts there."""

    root: Path
    environ: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for folder in (self.project, self.home, self.bin):
            folder.mkdir(exist_ok=True)

    @property
    def project(self) -> Path:
        """Where commands are called."""
        return self.root / "project"

    @property
    def home(self) -> Path:
        """The user's."""
        return self.root / "home"

    @property
    def bin(self) -> Path:
        """The first folder of PATH."""
        return self.root / "bin"

    def write(self, path: str, text: str, *, mode: int = 0o644) -> Path:
        """A file in the project."""
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def program(self, name: str, script: str) -> None:
        """A shell script on PATH."""
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """What the command gets."""
        path = f"{self.bin}:/usr/bin:/bin"
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", **self.environ}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """The command while it runs."""
        return subprocess.Popen(
            [MUSTER, *words],
            cwd=self.project,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def muster(self, *words: str, code: int = 0) -> "Said":
        """The command when it has ended, with this exit code."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == code, f"{process.returncode}: {out}\n{err}"
        return Said(out, err)


@define
class Said:
    """What a command has written."""

    out: str
    err: str

    @property
    def document(self):
        """Its stdout as JSON."""
        return json.loads(self.out)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def has_marks(run_id: str) -> list[int]:
    """The processes that bear the mark of a run."""
    mark = f"MUSTER_RUN_ID={run_id}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found
