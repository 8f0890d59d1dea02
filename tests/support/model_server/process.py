"""The server in a process of its own, for tests that count descriptors, threads or CPU."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

_ROOT: Final = Path(__file__).parents[3]


@frozen
class Served:
    """A server elsewhere. ``url`` is where it listens, without a path."""

    url: str

    def stats(self) -> dict[str, Any]:
        """requests, open, peak_open, closed_by_client, other."""
        found: dict[str, Any] = self._ask("/_stats")
        return found

    def requests(self) -> list[dict[str, Any]]:
        """What it was asked, in order: the fields of `Seen`."""
        found: list[dict[str, Any]] = self._ask("/_requests")
        return found

    def rewrite(self, script: Mapping[str, Any]) -> None:
        """Another script from now on, and new books."""
        self._ask("/_script", script)

    def wait_for(
        self, is_true: Callable[[dict[str, Any]], bool], patience: float = 10.0
    ) -> dict[str, Any]:
        """The books, once they are so, or what they are when patience ends."""
        until = time.monotonic() + patience
        while not is_true(books := self.stats()) and time.monotonic() < until:
            time.sleep(0.01)
        return books

    def _ask(self, path: str, document: Any = None) -> Any:
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, data)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)


@contextmanager
def served(script: Mapping[str, Any] | None = None) -> Iterator[Served]:
    """A server that lives for the block."""
    command = [sys.executable, "-m", __package__, "--script", "-"]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(script or {}) + "\n")
            process.stdin.flush()
            yield Served(json.loads(process.stdout.readline())["url"])
        finally:
            # It ends with its stdin, so it ends with us, however we end.
            process.stdin.close()
            process.wait(timeout=30)
