"""Command-line tests that read like a session: ``cli.args("run", "p.md").run()``."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

from attrs import define, field

TIMEOUT = 60.0
PROGRAM = (sys.executable, "-m", "muster")


def wait_until(is_true: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Waits for something that another process does."""
    end = monotonic() + timeout
    while not is_true():
        assert monotonic() < end, f"not within {timeout} s: {what}"
        sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether that process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@define
class Finished:
    """A command that ended; each check returns the same object."""

    code: int
    out: str
    err: str

    def status(self, code: int) -> Self:
        """It ended with this exit code."""
        assert self.code == code, (
            f"{self.code}\n--- out\n{self.out}\n--- err\n{self.err}"
        )
        return self

    def prints(self, *texts: str) -> Self:
        """Each text stands on stdout."""
        for text in texts:
            assert text in self.out, f"no {text!r} in stdout:\n{self.out}"
        return self

    def says(self, *texts: str) -> Self:
        """Each text stands on stderr."""
        for text in texts:
            assert text in self.err, f"no {text!r} in stderr:\n{self.err}"
        return self

    def stdout(self, text: str) -> Self:
        """stdout is exactly this."""
        assert self.out == text
        return self

    def is_civil(self) -> Self:
        """No traceback and nothing that drives a terminal, on either stream."""
        both = self.out + self.err
        assert "Traceback" not in both, both
        assert "\x1b" not in both, repr(both)
        return self

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@define
class Cli:
    """A folder with files, an environment of its own, and a command line."""

    folder: Path
    words: tuple[str, ...] = ()
    environ: dict[str, str] = field(factory=dict)
    given: bytes = b""

    def __attrs_post_init__(self) -> None:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        self.environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            **self.environ,
        }

    def file(self, name: str, text: str) -> Self:
        """Writes a file into the folder."""
        (self.folder / name).write_text(text)
        return self

    def args(self, *words: str) -> Self:
        """What is typed behind ``muster``."""
        self.words = words
        return self

    def env(self, **variables: str) -> Self:
        """More variables."""
        self.environ |= variables
        return self

    def stdin(self, data: bytes | str) -> Self:
        """What the command reads."""
        self.given = data.encode() if isinstance(data, str) else data
        return self

    def run(self, program: Sequence[str] = PROGRAM) -> Finished:
        """Runs the command to its end; ``program`` stands for ``muster``."""
        ended = subprocess.run(
            [*program, *self.words],
            cwd=self.folder,
            env=self.environ,
            input=self.given,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Finished(ended.returncode, _text(ended.stdout), _text(ended.stderr))

    def start(self, **options: Any) -> "Running":
        """Starts the command and goes on."""
        out, err = self.folder / "stdout.txt", self.folder / "stderr.txt"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            streams: Mapping[str, Any] = {
                "stdin": subprocess.DEVNULL,
                "stdout": stdout,
                "stderr": stderr,
                **options,
            }
            process = subprocess.Popen(
                [*PROGRAM, *self.words], cwd=self.folder, env=self.environ, **streams
            )
        return Running(process, out, err)

    @property
    def runs(self) -> list[Path]:
        """The folders of the runs so far."""
        return sorted((self.folder / ".muster" / "runs").glob("*"))


@define
class Running:
    """A command that goes on."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    def wait_for(self, text: str) -> Self:
        """Until stderr or stdout says so."""
        wait_until(lambda: text in self.heard(), f"{text!r} in {self.heard()!r}")
        return self

    def heard(self) -> str:
        """Both streams as far as they are written."""
        return _text(self.out.read_bytes() + self.err.read_bytes())

    def send(self, number: signal.Signals) -> Self:
        """Sends a signal to the command alone."""
        os.kill(self.process.pid, number)
        return self

    def end(self) -> Finished:
        """Waits for its end."""
        try:
            code = self.process.wait(TIMEOUT)
        finally:
            if self.process.returncode is None:
                self.process.kill()
                self.process.wait()
        return Finished(
            code, _text(self.out.read_bytes()), _text(self.err.read_bytes())
        )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
