"""Results on a real disk: durable when acknowledged, whole or absent, private."""

import asyncio
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from muster.domain.errors import JournalError
from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.infrastructure import durable_file, run_store
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.run_store import RunStore
from muster.infrastructure.safe_name import numbered_name, safe_name
from muster.infrastructure.secrets import Redactor
from muster.infrastructure.stored_runs import find_run, list_runs, read_run

WRITER = """
import asyncio, sys
from pathlib import Path
from muster.domain.outcome import SpawnResult
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.run_store import RunStore

async def main(home, stop_after):
    store = RunStore.create(home, clock=SystemClock(), randomness=SystemRandomness())
    for place in range(6):
        if place == stop_after:
            print("stop", flush=True)
            await asyncio.sleep(60)
        result = SpawnResult(True, f"answer {place}", task_id=f"t{place}", task_index=place)
        await store.record(result)
        print(place, flush=True)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


class FixedClock:
    """A clock that stands."""

    def __init__(self, epoch=1_700_000_000.25):
        self.now = epoch

    def monotonic(self):
        return self.now

    def epoch(self):
        return self.now


class Tokens:
    """Names in a given order."""

    def __init__(self, *tokens):
        self.left = list(tokens)

    def draw(self):
        return 0.5

    def token(self):
        return self.left.pop(0)


def create(home, **changes):
    """A store of a new run."""
    parts = {"clock": SystemClock(), "randomness": SystemRandomness()} | changes
    return RunStore.create(home, **parts)


def success(place, task_id=None, output="fine"):
    """A result."""
    return SpawnResult(success=True, output=output, task_index=place, task_id=task_id)


def texts(folder):
    """What the files of a folder say."""
    return {path.name: path.read_text() for path in folder.iterdir()}


async def test_what_a_task_said_is_there_to_be_read(tmp_path):
    """Masked; a second attempt's words replace the first's; what is whole stays."""
    redactor = Redactor({"MY_TOKEN": "hunter2-hunter2"})
    store = create(tmp_path / ".muster", redactor=redactor)
    prefix = store.output_path("big")
    Path(prefix + ".out").write_text("the whole of it")  # noqa: ASYNC240
    failure = Failure(FailureCause.CRASH, "no")
    first = SpawnResult(
        success=False, failure=failure, task_id="a", output="long words", stderr="oh"
    )
    again = evolve(first, output="key hunter2-hunter2")
    big = evolve(success(1, "big"), truncated=True, output_path=prefix + ".out")

    for each in (first, again, big):
        await store.record(each)
    await store.aclose()

    said = texts(store.folder / "output")
    assert said == {"a.out": "key ***", "a.err": "oh", "big.out": "the whole of it"}


async def test_a_run_on_disk(tmp_path):
    """Plan, results, summary come back as they were; nobody else can read them."""
    failure = Failure(FailureCause.AUTH, "log in")
    failed = SpawnResult(success=False, failure=failure, task_id="b/../c", task_index=1)
    store = create(tmp_path / ".muster", plan="- [ ] 1. a")

    await asyncio.gather(store.record(success(0, "T001")), store.record(failed))  # noqa: TID251
    store.write_summary({"total": 2})
    await store.aclose()

    run = read_run(tmp_path / ".muster")
    assert run.results == {"T001": success(0, "T001"), "b/../c": failed}
    assert (run.summary, run.problems) == ({"total": 2}, ())
    assert run.plan.read_text() == "- [ ] 1. a"
    assert (store.folder / "results" / "T001.json").exists()
    assert texts(store.folder / "output") == {"T001.out": "fine"}
    for path in [tmp_path / ".muster", *(tmp_path / ".muster").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name != ".gitignore":
            assert mode == (0o700 if path.is_dir() else 0o600), path
    assert not list(store.folder.rglob("*.partial"))


@pytest.mark.parametrize("stop_after", [0, 3, 5])
def test_killed_writer_leaves_what_it_acknowledged(tmp_path, stop_after):
    """SIGKILL in the middle of a run: each result that was recorded can be read."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(stop_after)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert writer.stdout
        said = []
        while "stop" not in said:
            said.append(writer.stdout.readline().strip())
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()

    run = read_run(tmp_path, "last")
    assert list(run.results) == [f"t{place}" for place in range(stop_after)]
    assert [each.output for each in run.results.values()] == [
        f"answer {place}" for place in range(stop_after)
    ]
    assert (run.summary, run.problems) == (None, ())


async def test_72_at_once_are_written_by_one_thread(tmp_path):
    """What waits together is synced together, and the loop goes on meanwhile."""
    store = create(tmp_path)
    folders_synced = []
    real = run_store.sync_folders
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    try:
        run_store.sync_folders = lambda each: (folders_synced.append(1), real(each))[1]
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(tick())
            async with asyncio.TaskGroup() as records:
                for place in range(72):
                    records.create_task(store.record(success(place, f"t{place}")))
            threads = [t for t in threading.enumerate() if store.run_id in t.name]
            ticking.cancel()
    finally:
        run_store.sync_folders = real
    await store.aclose()

    assert len(read_run(tmp_path).results) == 72
    assert len(threads) == 1
    assert len(folders_synced) <= 3
    assert ticks > 1
    assert not [t for t in threading.enumerate() if store.run_id in t.name]


async def test_a_cancelled_caller_takes_nothing_with_it(tmp_path):
    """Its result is written all the same, and so are the others."""
    store = create(tmp_path)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(store.record(success(0, "a")))
        group.create_task(store.record(success(1, "b")))
        await asyncio.sleep(0)
        first.cancel()
    await store.aclose()

    assert list(read_run(tmp_path).results) == ["a", "b"]


async def test_a_failed_write_breaks_the_store_for_good(tmp_path):
    """A result that may be lost is never called recorded, now or later."""
    store = create(tmp_path)
    await store.record(success(0, "a"))
    real = run_store.sync_folders

    def fail(folders):
        raise OSError(errno.EIO, "Input/output error")

    try:
        run_store.sync_folders = fail
        with pytest.raises(JournalError, match="Input/output error"):
            await store.record(success(1, "b"))
    finally:
        run_store.sync_folders = real
    with pytest.raises(JournalError, match="the run stops here"):
        await store.record(success(2, "c"))
    await store.aclose()
    assert "c" not in read_run(tmp_path).results


async def test_results_folder_gone(tmp_path):
    """Somebody removed the run while it went on."""
    store = create(tmp_path)
    store.folder.rename(tmp_path / "moved")

    with pytest.raises(JournalError, match="No such file"):
        await store.record(success(0, "a"))
    with pytest.raises(JournalError):
        store.write_summary({})
    await store.aclose()


def test_a_home_that_cannot_hold_a_run(tmp_path):
    """A file, a file on the way, a dangling link: an error before anything starts."""
    file = tmp_path / "file"
    file.write_text("")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere" / "else")
    for home in (file, file / "below", link):
        with pytest.raises(JournalError, match="results can't be kept here"):
            create(home)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_home(tmp_path):
    """An error before anything starts."""
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="Permission denied"):
        create(tmp_path)


def test_a_full_disk(tmp_path):
    """The folder is there, and nothing can be written into it."""
    real = durable_file.os.write

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    try:
        durable_file.os.write = full
        with pytest.raises(JournalError, match="No space left"):
            create(tmp_path, plan="x")
    finally:
        durable_file.os.write = real


def test_run_ids_sort_by_time_and_never_collide(tmp_path):
    """Two at the same microsecond; a token that was given before."""
    clock = FixedClock()
    first = create(tmp_path, clock=clock, randomness=Tokens("aa"))
    second = create(tmp_path, clock=clock, randomness=Tokens("aa", "aa", "bb"))
    clock.now += 0.000_01
    third = create(tmp_path, clock=clock, randomness=Tokens("00"))

    ids = (first.run_id, second.run_id, third.run_id)
    assert ids[0] == "20231114T221320.250000Z-aa"
    assert list_runs(tmp_path) == ids
    (tmp_path / "runs" / "notes").mkdir()
    assert list_runs(tmp_path) == ids
    with pytest.raises(JournalError, match="no unused run id"):
        create(tmp_path, clock=clock, randomness=Tokens(*["00"] * 10))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (None, "20231114T221321.000000Z-bb"),
        ("last", "20231114T221321.000000Z-bb"),
        ("20231114T221320.000000Z-aa", "20231114T221320.000000Z-aa"),
        ("20231114T221320", "20231114T221320.000000Z-aa"),
        ("aa", "20231114T221320.000000Z-aa"),
        ("2023", "write more of the id"),
        ("zz", "no run is called 'zz'"),
        ("", "no run is called ''"),
        ("../x", "no run is called"),
    ],
)
def test_finding_a_run(tmp_path, name, found):
    """By id, by the beginning or end of one, or the last."""
    for second, token in enumerate(["aa", "bb"]):
        clock = FixedClock(1_700_000_000.0 + second)
        create(tmp_path, clock=clock, randomness=Tokens(token))

    if found.startswith("2023"):
        assert find_run(tmp_path, name) == found
        return
    with pytest.raises(JournalError, match=found):
        find_run(tmp_path, name)


def test_no_runs_yet(tmp_path):
    """Nothing to list, and a plain sentence for whoever asks for one."""
    assert list_runs(tmp_path / "none") == ()
    with pytest.raises(JournalError, match="no runs here yet"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "torn",
    [b"", b'{"success": tr', b"\xff\xfe", b"[]", b"null", b'{"x": 1}', b"[" * 99_999],
)
async def test_torn_files_are_named_and_the_rest_is_kept(tmp_path, torn):
    """Whatever stands in one file, the others can be read."""
    store = create(tmp_path)
    await store.record(success(0, "good"))
    await store.aclose()
    (store.folder / "results" / "bad.json").write_bytes(torn)
    (store.folder / "results" / "old.json.partial").write_bytes(b"{")
    (store.folder / "summary.json").write_bytes(torn or b"{")

    run = read_run(tmp_path)

    assert list(run.results) == ["good"]
    assert any("bad.json" in problem for problem in run.problems)


async def test_every_cut_of_a_result_is_either_whole_or_named(tmp_path):
    """No prefix of a file passes for a result."""
    store = create(tmp_path)
    await store.record(success(0, "a"))
    await store.aclose()
    path = store.result_path(success(0, "a"))
    whole = path.read_bytes().rstrip()

    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        run = read_run(tmp_path)
        assert (dict(run.results), len(run.problems)) == ({}, 1)


async def test_secrets_never_reach_the_disk(tmp_path):
    """Plan, results and summary are masked, and stay JSON."""
    hidden = 'hunter2"value'
    redactor = Redactor({"MY_KEY": hidden})
    store = create(tmp_path, redactor=redactor, plan=f"use {hidden} now")
    await store.record(success(0, "a", output=f"x {hidden} y" * 20_000))
    store.write_summary({"note": hidden})
    await store.aclose()

    run = read_run(tmp_path)
    assert run.results["a"].output == "x *** y" * 20_000
    assert run.plan.read_text() == "use *** now"
    for path in store.folder.rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes()


async def test_ids_stay_inside_the_folder(tmp_path):
    """Whatever a task is called, its files lie where they belong."""
    store = create(tmp_path)
    for place, task_id in enumerate(
        ["../../x", "/etc/x", "a\0b", ".", "..", "", "é" * 300]
    ):
        await store.record(success(place, task_id))
        output = Path(store.output_path(task_id))
        assert output.parent == store.folder / "output"
    await store.record(success(99))
    await store.aclose()

    assert len(read_run(tmp_path).results) == 8
    assert "#99" in read_run(tmp_path).results
    assert {each.name for each in tmp_path.iterdir()} == {"runs"}


@pytest.mark.parametrize(
    ("task_id", "name"),
    [
        ("tests", "tests"),
        ("1.2.3", "1.2.3"),
        ("T001", "T001"),
        ("a_b-c.d", "a_b-c.d"),
        ("..", "%2e%2e"),
        (".hidden", "%2ehidden"),
        ("a/b", "a%2fb"),
        ("a%2fb", "a%252fb"),
        ("a\0", "a%00"),
        ("é", "%c3%a9"),
    ],
)
def test_names_of_files(task_id, name):
    """Plain ids keep their names."""
    assert safe_name(task_id) == name


ids = (
    st.text(max_size=8)
    | st.text("aAtT01.%~/\\-_ \0", max_size=6)
    | st.text(min_size=90, max_size=130)
)


@given(ids, ids)
@example("t1", "T1")
@example("Build", "build")
@example("con", "CON")
@example("", "~")
@example("a" * 101, "a" * 102)
@example("a.", "a")
@example("a\0", "a%00")
def test_distinct_ids_have_distinct_names(one, other):
    """Also where the file system folds case; and never a reserved or hidden name."""
    first, second = safe_name(one), safe_name(other)

    assert (first.casefold() == second.casefold()) == (one == other)
    assert len(first) <= 100
    assert first.isascii()
    assert not set(first) & set("/\\\0 ")
    assert first[:1] not in ("", ".", "-" if not one.startswith("-") else "")
    assert first.casefold() not in {numbered_name(n) for n in range(10)} | {
        "con",
        "nul",
    }


def test_a_result_is_plain_json(tmp_path):
    """Other programs read it."""

    async def main():
        store = create(tmp_path)
        await store.record(success(0, "a", output="ünï \udcff"))
        await store.aclose()
        return store

    # Two runs, two loops: nothing is bound to the first one.
    stores = [asyncio.run(main()) for _ in range(2)]

    for store in stores:
        document = json.loads((store.folder / "results" / "a.json").read_text("utf-8"))
        assert (document["success"], document["output"]) == (True, "ünï ?")
