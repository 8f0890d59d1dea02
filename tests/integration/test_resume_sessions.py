"""A resumed run goes on with the conversations that its agents were in."""

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from muster.infrastructure.stored_runs import read_run
from tests.support.cli import Cli, wait_until

CLAUDE = """#!/bin/sh
[ "$1" = --version ] && { echo "2.1.0"; exit; }
cat >/dev/null
echo "$*" >>words
echo '{"type":"system","subtype":"init","session_id":"s-7","model":"m"}'
echo '{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"half"}]}}'
touch talked
while [ -e hold ]; do sleep 0.05; done
echo '{"type":"result","subtype":"success","is_error":false,"result":"whole"}'
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_goes_on_with_its_session(tmp_path: Path, way: signal.Signals) -> None:
    """After a kill, and after a polite end; the result says so."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "claude"
    program.write_text(CLAUDE)
    program.chmod(0o755)
    cli = Cli(tmp_path, environ={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    cli.file("plan.json", json.dumps({"tasks": [{"id": "a", "prompt": "hi"}]}))
    cli.file("hold", "")

    running = cli.args("run", "plan.json", "--tool", "claude", "--no-fallback").start()
    wait_until((tmp_path / "talked").exists, "the agent talks")
    wait_until(lambda: _session_is_known(tmp_path), "the session is in the journal")
    running.send(way).process.wait()
    (tmp_path / "hold").unlink()
    cli.args("resume").run().status(0)

    first, second = (tmp_path / "words").read_text().splitlines()
    result = read_run(tmp_path / ".muster").results["a"]
    assert "--resume" not in first
    assert second.endswith("--resume s-7")
    assert (result.output, result.attempts[-1].continued) == ("whole", "s-7")


def _session_is_known(folder: Path) -> bool:
    try:
        with closing(sqlite3.connect(folder / ".muster" / "journal.db")) as reader:
            row = reader.execute("SELECT session_id FROM in_flight").fetchone()
    except sqlite3.OperationalError:
        return False
    return row is not None and row[0] == "s-7"
