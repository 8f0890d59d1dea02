"""Events become JSON lines; the fleet neither waits for them nor fails by them."""

import io
import json
import logging
import stat
import subprocess
import sys
import threading

import pytest

from muster.domain import fleet_events as events
from muster.domain.outcome import Attempt, Failure, FailureCause, SpawnResult, Usage
from muster.infrastructure.event_log import (
    EventLog,
    event_document,
    event_level,
    event_name,
)
from muster.infrastructure.secrets import Redactor

FAILURE = Failure(FailureCause.RATE_LIMIT, "429 \x1b[31mslow down\x1b[0m hunter2-value")
STARTED = events.AttemptStarted(3, "T1", "dana", "claude", 2, pid=7)
ENDED = events.AttemptEnded(3, "T1", "dana", 2, 1.5, None)
SUCCESS = SpawnResult(
    success=True,
    output="the answer",
    task_index=3,
    task_id="T1",
    agent="dana",
    usage=Usage(1, 2),
    attempts=(Attempt(1, "dana", "claude", 0.0, 1.0),),
)
FAILED = SpawnResult(success=False, failure=FAILURE, task_id="T2", agent="eve")


class StandingClock:
    """It is always the same moment."""

    def monotonic(self):
        return 5.0

    def epoch(self):
        return 1_700_000_000.5


def lines_of(*emitted, **options):
    """What a log writes for these events."""
    stream = io.StringIO()
    options.setdefault("level", "debug")
    log = EventLog.to_stream(stream, "run-1", StandingClock(), **options)
    for event in emitted:
        log.emit(event)
    log.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("event", "name", "level"),
    [
        (STARTED, "attempt_started", "info"),
        (events.AttemptProgressed(0, None, "a", "x", 1), "attempt_progressed", "debug"),
        (events.SilenceWarned(0, None, "a", 1.0, 2.0), "silence_warned", "warning"),
        (ENDED, "attempt_ended", "info"),
        (events.AttemptEnded(0, None, "a", 1, 1, FAILURE), "attempt_ended", "warning"),
        (
            events.RetryScheduled(0, None, "a", 1, 2.0, FAILURE),
            "retry_scheduled",
            "warning",
        ),
        (events.FallbackStarted(0, None, "a", "why"), "fallback_started", "warning"),
        (events.CircuitBlocked(0, None, "a", "why"), "circuit_blocked", "warning"),
        (events.LaneSlowed("l", "why", 1.0), "lane_slowed", "info"),
        (events.LaneParked("l", "why", None), "lane_parked", "error"),
        (events.TaskEnded(SUCCESS), "task_ended", "info"),
        (events.TaskEnded(FAILED), "task_ended", "error"),
    ],
)
def test_every_event_has_a_name_a_level_and_a_line(event, name, level):
    """All members of the closed set can be written."""
    assert (event_name(event), event_level(event)) == (name, level)
    json.dumps(event_document(event))

    (line,) = lines_of(event)
    assert (line["event"], line["level"], line["run_id"]) == (name, level, "run-1")
    assert line["time"] == "2023-11-14T22:13:20.500000+00:00"
    assert {"task_id", "agent", "attempt"} <= set(line)


def test_the_whole_set_is_in_the_table():
    """A new event needs a level."""
    from muster.infrastructure.event_log import _LEVEL_OF  # noqa: PLC0415

    assert set(_LEVEL_OF) == set(events.FleetEvent.__args__)


def test_events_between_attempts_know_their_attempt():
    """The number is bound until the task ends; other tasks have their own."""
    silence = events.SilenceWarned(3, "T1", "dana", 1.0, 2.0)
    other = events.SilenceWarned(4, "T2", "eve", 1.0, 2.0)

    lines = lines_of(STARTED, silence, other, events.TaskEnded(SUCCESS), silence)

    assert [line["attempt"] for line in lines] == [2, 2, None, 2, None]
    assert {(line["task_id"], line["agent"]) for line in lines} == {
        ("T1", "dana"),
        ("T2", "eve"),
    }


def test_outputs_stay_out_and_secrets_and_controls_too():
    """A log is no transcript."""
    redactor = Redactor({"MY_KEY": "hunter2-value"})
    long = events.AttemptProgressed(0, None, "a\x07", "hunter2-value " + "x" * 9_999, 1)

    lines = lines_of(
        events.TaskEnded(SUCCESS), events.TaskEnded(FAILED), long, redactor=redactor
    )

    assert "the answer" not in json.dumps(lines)
    assert lines[0]["usage"]["output_tokens"] == 2
    assert lines[1]["failure"]["message"] == "429 slow down ***"
    assert lines[2]["last_line"].startswith("*** xxx")
    assert len(lines[2]["last_line"]) == 2_000
    assert lines[2]["agent"] == "a"


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_quiet_levels(level, count):
    """What is below the level costs nothing."""
    found = lines_of(
        events.AttemptProgressed(0, None, "a", "x", 1),
        STARTED,
        events.SilenceWarned(0, None, "a", 1.0, 2.0),
        events.TaskEnded(FAILED),
        level=level,
    )

    assert len(found) == count


def test_a_writer_that_hangs_holds_nobody_up():
    """What it can't take is dropped and counted, and the gap is shown."""
    gate, written = threading.Event(), []

    def write(line):
        gate.wait(30)
        written.append(json.loads(line))

    log = EventLog("r", write, StandingClock(), max_waiting=3)
    for _ in range(50):
        log.emit(STARTED)
    log.close(timeout=0.01)
    dropped = log.dropped
    gate.set()
    log._thread.join(30)

    assert 46 <= dropped <= 47
    assert len(written) == 50 - dropped
    assert any("dropped_before" in line for line in written)


def test_a_writer_that_fails_hurts_nobody():
    """The events are lost and counted."""

    def write(line):
        raise OSError(28, "No space left on device")

    log = EventLog("r", write, StandingClock())
    log.emit(STARTED)
    log.emit(ENDED)
    log.close()
    log.emit(ENDED)
    log.close()

    assert log.dropped == 2


def test_a_file_is_private_and_appended_to(tmp_path):
    """It is opened once, closed at the end, and never a link to elsewhere."""
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        log = EventLog.to_file(path, "r", StandingClock())
        log.emit(STARTED)
        log.close()
    EventLog.to_file(path, "r", StandingClock()).close()

    assert len(path.read_text("utf-8").splitlines()) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic"):
        EventLog.to_file(link, "r", StandingClock())


def test_two_logs_share_nothing_and_leave_the_host_alone():
    """No global configuration of structlog or logging, no thread before an event."""
    import structlog  # noqa: PLC0415

    handlers = list(logging.getLogger().handlers)
    first = lines_of(STARTED)
    second = lines_of(ENDED)

    assert (len(first), len(second)) == (1, 1)
    assert not structlog.is_configured()
    assert logging.getLogger().handlers == handlers
    assert EventLog("r", print, StandingClock())._thread is None


def test_structlog_is_not_imported_before_an_event():
    """It is slow to import, and `muster --help` has 0.15 s."""
    code = (
        "import sys, muster.infrastructure.event_log as e; "
        "e.EventLog('r', print, None); print('structlog' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert said.stdout.strip() == b"False"
