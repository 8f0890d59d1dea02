"""`--wait-for-reset` from the outside: who waits until when, and how one gets out of it."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from muster.infrastructure.clock import SystemClock
from tests.support.cli import Cli

# An agent whose account has used up its window, as long as there is a file that says so.
AGENT = """#!/bin/sh
cat >/dev/null
if [ -e resets ]; then
  echo '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected",
"resetsAt":'$(cat resets)',"rateLimitType":"five_hour"}}' | tr -d '\\n'
  echo
  echo '{"type":"result","is_error":true,"subtype":"success","api_error_status":429,
"result":"You have hit your session limit"}' | tr -d '\\n'
  echo
  exit 1
fi
echo '{"type":"result","subtype":"success","is_error":false,"result":"fine"}'
"""
TOOL = '[tools.model]\ncommand = "./agent.sh"\noutput = "claude_stream_json"\nis_agent = true\n'
RUN = ("run", "plan.json", "--tool", "model", "--no-fallback", "--sequential")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Three tasks for an agent that is at its limit for three hours."""
    tasks = [{"id": each, "prompt": each} for each in "abc"]
    found = Cli(tmp_path).file("agent.sh", AGENT).file("muster.toml", TOOL)
    (tmp_path / "agent.sh").chmod(0o755)
    found.file("resets", str(int(SystemClock().epoch()) + 3 * 3600))
    return found.file("plan.json", json.dumps({"tasks": tasks}))


def test_waits_until_it_is_interrupted_and_goes_on_later(cli: Cli) -> None:
    """One line says who waits until when; after Ctrl-C nothing is lost."""
    running = cli.args(*RUN, "--wait-for-reset").start().wait_for("waits until")
    ended = running.send(signal.SIGINT).end().is_civil()

    assert ended.code == 130
    (line,) = [each for each in ended.err.splitlines() if "waits until" in each]
    assert "model: waits until" in line
    assert "(in 2:59:" in line
    _reset(cli)
    cli.args("resume").run().status(0).prints("3 of 3 done")


def test_without_the_flag_the_summary_says_when_to_resume(cli: Cli) -> None:
    """Exit 6: what was not begun is parked."""
    ended = cli.args(*RUN).run().status(6).is_civil()

    ended.prints("2 not done", "limit    model until ", "--wait-for-reset")
    _reset(cli)
    cli.args("resume", "--retry-failed").run().status(0).prints("3 of 3 done")


def _reset(cli: Cli) -> None:
    (cli.folder / "resets").unlink()
    # What processes of this user told each other of the limit.
    shutil.rmtree(cli.folder / "home", ignore_errors=True)
    (cli.folder / "home").mkdir()
