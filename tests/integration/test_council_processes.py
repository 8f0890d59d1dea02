"""Many real agents at once: together, halted in time, nothing left, all recorded."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from muster import AgentRequest, JournalError, SystemHaltedError, WitnessLog
from muster.domain.witness import Statement, content_hash
from muster.infrastructure import witness_reading
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.halt_file import HaltFile
from muster.infrastructure.secrets import Redactor
from muster.infrastructure.witness_log import head_path
from tests.support.weather import fleet, sh

EXAMPLE = Path(__file__).parents[2] / "examples" / "council.py"
SLACK = 5.0  # of a busy machine


def at(data: Path) -> dict[str, str]:
    """An environment in which muster keeps its data there."""
    return {"MUSTER_HOME": str(data)}


def asked(count: int, script: str, **request: Any) -> list[AgentRequest]:
    """That many agents that run a shell script."""
    tool = sh(script)
    return [
        AgentRequest(f"a{number}", prompt=f"{number}\n", tool=tool, **request)
        for number in range(count)
    ]


async def test_agents_answer_and_are_recorded(tmp_path: Path) -> None:
    """Real answers, in order, each in the log with its hash before it is returned."""
    async with fleet(tmp_path, at(tmp_path / "data")) as mine:
        service = mine.deliberation_service(run_id="r1")

        result = await service.invoke_concurrent(asked(12, "cat"), batch_id="b1")

    assert [each.content.strip() for each in result.outputs] == [
        str(number) for number in range(12)
    ]
    kept = list(witness_reading.records(mine.home, "r1"))
    found = {record.request_id: record for record, _ in kept}
    assert {record.batch_id for record, _ in kept} == {"b1"}
    for output in result.outputs:
        assert found[output.request_id].sha256 == content_hash(output.content)
    verified = witness_reading.verify(mine.home, "r1")
    assert (verified.count, verified.broken) == (12, None)


@pytest.mark.parametrize("channel", ["file", "event"])
async def test_a_halt_ends_running_agents(tmp_path: Path, channel: str) -> None:
    """Within the grace; what was finished is kept; a new batch is refused."""
    data = tmp_path / "data"
    stubborn = "trap '' TERM; echo up >&2; while :; do sleep 0.1; done"
    grace = 0.3

    async with fleet(tmp_path, at(data), grace=grace) as mine:
        service = mine.deliberation_service()
        wanted = [AgentRequest("quick", prompt="done", tool=sh("cat"))]
        wanted += asked(6, stubborn)
        loop = asyncio.get_running_loop()
        pulled_at = 0.0

        async def pull() -> None:
            nonlocal pulled_at
            await asyncio.sleep(1.0)
            pulled_at = loop.time()
            if channel == "file":
                HaltFile(data / "halt").pull("drill")
            else:
                mine.halt_checker.halt("drill")

        async with asyncio.TaskGroup() as group:
            batch = group.create_task(service.invoke_concurrent(wanted))
            group.create_task(pull())
        took = loop.time() - pulled_at
        result = batch.result()

        with pytest.raises(SystemHaltedError, match="drill"):
            await service.invoke_concurrent(asked(1, "cat"))

    assert took <= grace + 0.5 + SLACK
    assert (result.halted, result.halt_reason) == (True, "drill")
    assert [each.agent_id for each in result.outputs] == ["quick"]
    assert {each.failure.cause.value for each in result.failures} == {"halted"}


async def test_a_batch_that_its_host_cancels_leaves_no_child(tmp_path: Path) -> None:
    """The fleet of the test would find one."""
    async with fleet(tmp_path, at(tmp_path / "data"), grace=0.2) as mine:
        service = mine.deliberation_service(on_exhausted="queue")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await service.invoke_concurrent(asked(8, "sleep 60 & sleep 60"))

        assert service.pool_status()["active_count"] == 0


async def test_a_missing_tool_is_one_agents_failure(tmp_path: Path) -> None:
    """Not the batch's."""
    async with fleet(tmp_path, at(tmp_path / "data")) as mine:
        service = mine.deliberation_service(tool="sim")

        result = await service.invoke_concurrent(
            [AgentRequest("a", prompt="x"), AgentRequest("b", prompt="x", tool="no")]
        )

    assert [each.agent_id for each in result.outputs] == ["a"]
    assert result.failures[0].failure.cause.value == "tool_not_found"


async def test_profiles_and_tools_of_their_own(tmp_path: Path) -> None:
    """An agent id that is a profile's name gets its tool and its persona."""
    settings = {
        "tools": {"echo": {"command": ["cat"], "is_agent": True}},
        "agents": {"sage": {"tool": "echo", "prompt": "You are wise."}},
    }
    async with fleet(tmp_path, at(tmp_path / "data"), **settings) as mine:
        service = mine.deliberation_service(tool=None, witness=False)

        result = await service.invoke_concurrent(
            [
                AgentRequest("sage", prompt="why?"),
                AgentRequest("sage-2", prompt="why?", agent="sage"),
                AgentRequest("other", prompt="why?", tool="sim"),
            ]
        )

    contents = [each.content for each in result.outputs]
    assert contents[0] == contents[1] == "You are wise.\n\nwhy?"
    assert [each.simulated for each in result.outputs] == [False, False, True]


@pytest.mark.parametrize("kind", ["stub", "processes"])
def test_the_example_runs(tmp_path: Path, kind: str) -> None:
    """One setting makes the difference."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), kind],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    members = [line.split()[0] for line in done.stdout.splitlines()]
    assert members == ["architect", "operator", "treasurer"]
    assert len(EXAMPLE.read_text().splitlines()) <= 50


# --- the log ------------------------------------------------------------------------


async def written(home: Path, count: int, run_id: str = "r1", **options: Any) -> None:
    """A log of so many records, by one writer."""
    log = WitnessLog.open(home, run_id, clock=SystemClock(), **options)
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                statement = Statement("b", f"a{number}", f"said {number}")
                group.create_task(log.commit(statement))
    finally:
        await log.aclose()


def altered(home: Path, *statements: str) -> None:
    """By somebody who has the file."""
    path = home / "witness" / "witness.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER never_changed")
        connection.execute("DROP TRIGGER never_removed")
        for each in statements:
            connection.execute(each)


async def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    """One chain per run, over many openings; runs do not mix."""
    for _ in range(3):
        await written(tmp_path, 5)
        await written(tmp_path, 2, "r2")

    assert witness_reading.verify(tmp_path, "r1").count == 15
    assert witness_reading.verify(tmp_path, "r2").count == 6
    assert witness_reading.witnessed_runs(tmp_path) == ["r1", "r2"]


_ANOTHER_AGENT = (
    "UPDATE records SET document = json_set(document, '$.agent_id', 'x') "
    "WHERE number = 3"
)
_ONE_MORE = (
    "INSERT INTO records (run_id, number, document, content) "
    "SELECT run_id, 7, document, content FROM records WHERE number = 6"
)


@pytest.mark.parametrize(
    ("statement", "number", "words"),
    [
        (
            "UPDATE records SET content = CAST('forged' AS BLOB) WHERE number = 3",
            3,
            "SHA-256",
        ),
        (_ANOTHER_AGENT, 3, "digest"),
        ("UPDATE records SET document = 'junk' WHERE number = 3", 3, "can't be read"),
        ("UPDATE records SET document = '{}' WHERE number = 3", 3, "can't be read"),
        ("UPDATE records SET content = x'ff' WHERE number = 3", 3, "can't be read"),
        ("UPDATE records SET content = NULL OR 7 WHERE number = 3", 3, "changed"),
        ("DELETE FROM records WHERE number = 3", 3, "missing"),
        ("DELETE FROM records WHERE number > 3", 4, "missing"),
        ("DELETE FROM records", 1, "missing"),
        ("UPDATE records SET number = 9 WHERE number = 3", 3, "missing, moved"),
        (_ONE_MORE, 7, "does not follow"),
        ("DELETE FROM heads", 1, "inserted"),
    ],
)
async def test_whatever_is_done_to_the_log_is_found(
    tmp_path: Path, statement: str, number: int, words: str
) -> None:
    """And the first record that does not hold is named."""
    await written(tmp_path, 6)
    altered(tmp_path, statement)

    found = witness_reading.verify(tmp_path, "r1")

    assert found.broken is not None
    assert found.broken.number == number, found
    assert words in found.broken.problem
    assert found.count == number - 1


async def test_head_and_tail_removed_together(tmp_path: Path) -> None:
    """The head is kept in a second place, for a chain that is gone as a whole, too."""
    await written(tmp_path, 6)
    altered(tmp_path, "DELETE FROM records", "DELETE FROM heads")

    assert witness_reading.witnessed_runs(tmp_path) == ["r1"]
    found = witness_reading.verify(tmp_path, "r1")
    assert found.broken is not None
    assert "had 6 records, 0 are left" in found.broken.problem


async def test_the_log_refuses_to_be_changed(tmp_path: Path) -> None:
    """By accident, that is."""
    await written(tmp_path, 2)
    path = tmp_path / "witness" / "witness.db"

    with closing(sqlite3.connect(path)) as connection:
        for statement in ("DELETE FROM records", "UPDATE records SET content = ''"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    for file in (path, head_path(tmp_path, "r1")):
        assert file.stat().st_mode & 0o077 == 0


async def test_secrets_are_not_kept(tmp_path: Path) -> None:
    """The hash of what was said is."""
    key = "sk-" + "a1" * 20
    log = WitnessLog.open(tmp_path, "r1", clock=SystemClock(), redactor=Redactor({}))
    said = f"my key is {key}"

    record = await log.commit(Statement("b", "a\ud800", said + "\ud800"))
    await log.aclose()

    ((_, kept),) = witness_reading.records(tmp_path, "r1")
    assert key not in kept
    assert record.sha256 == content_hash(said + "\ud800")
    assert witness_reading.verify(tmp_path, "r1").broken is None
    for file in (tmp_path / "witness").iterdir():
        assert key.encode() not in file.read_bytes()


async def test_two_writers_of_one_run_make_one_chain(tmp_path: Path) -> None:
    """In two threads, as two processes would."""
    threads = [
        threading.Thread(target=lambda: asyncio.run(written(tmp_path, 40)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = witness_reading.verify(tmp_path, "r1")
    assert (found.count, found.broken) == (80, None)


@pytest.mark.parametrize("obstacle", ["file", "damaged", "folder"])
async def test_a_log_that_can_not_be_opened(tmp_path: Path, obstacle: str) -> None:
    """An error that names the path, before anything is invoked."""
    folder = tmp_path / "witness"
    if obstacle == "file":
        folder.write_text("in the way")
    else:
        folder.mkdir()
        database = folder / "witness.db"
        if obstacle == "folder":
            database.mkdir()
        else:
            database.write_bytes(b"no database at all" * 100)

    with pytest.raises(JournalError, match="witness"):
        WitnessLog.open(tmp_path, "r1", clock=SystemClock())


_WRITER = """
import asyncio, os, sys
from pathlib import Path
from muster import WitnessLog
from muster.domain.witness import Statement
from muster.infrastructure.clock import SystemClock

async def main():
    log = WitnessLog.open(Path(sys.argv[1]), "r1", clock=SystemClock())
    async def say(number):
        while True:
            record = await log.commit(Statement("b", f"a{number}", "x" * 100))
            os.write(1, b"%d\\n" % record.number)
    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(say(number))

asyncio.run(main())
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """At any moment; the chain holds and goes on."""
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            said = b""
            while said.count(b"\n") < 50:
                said += os.read(writer.stdout.fileno(), 65536)
            writer.kill()
            said += writer.stdout.read()
        told = max(int(each) for each in said.splitlines())

        found = witness_reading.verify(tmp_path, "r1")

        assert found.broken is None
        assert found.count >= told
