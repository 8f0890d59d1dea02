"""The commands that look: tools, agents, policies, config, runs, show, logs."""

import asyncio
import time

import attrs
import pytest

from muster.domain.outcome import Failure, FailureCause, SpawnResult
from muster.infrastructure.clock import SystemClock
from muster.infrastructure.randomness import SystemRandomness
from muster.infrastructure.run_store import RunStore
from tests.support.command_line import Place

SECRET = "very-secret-value-1234"  # noqa: S105 - nobody's
EVIL = "\x1b[31mred\x1b]0;title\x07 \x9bbell\x07"
CLEAN = "red ell"
COMMANDS = ["tools", "agents", "policies", "config show", "runs", "doctor"]


@pytest.fixture
def place(tmp_path):
    """A project and a home of their own."""
    return Place(tmp_path)


def stored(place, *results, summary=None):
    """A run on disk; its id."""

    async def write():
        store = RunStore.create(
            place.project / ".muster",
            clock=SystemClock(),
            randomness=SystemRandomness(),
        )
        for each in results:
            await store.record(each)
        if summary:
            await store.complete(summary)
        await store.aclose()
        return store

    return asyncio.run(write())


def result(task_id="a", **fields):
    """A success, unless the fields say otherwise."""
    return SpawnResult(**{"success": True, "task_id": task_id, "tool": "sh"} | fields)


FAILED = result(
    "b",
    success=False,
    task_index=1,
    stderr=f"Error: {EVIL}\n",
    failure=Failure(FailureCause.AUTH, f"refused {EVIL}"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_speaks_json(place, command):
    """One document on stdout, in an empty project."""
    words = [*command.split(), "--json"]
    # A doctor's verdict depends on the machine, on whoever else works here too.
    with place.start(*words) as process:
        out, _ = process.communicate(timeout=60)

    assert process.returncode in ((0, 1) if command == "doctor" else (0,))
    assert out.startswith("{")


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_settings_that_are_wrong(place, command):
    """End every command but the doctor's with 2 and the place of the mistake."""
    place.write("muster.toml", 'polcy = "default"\n')

    said = place.muster(*command.split(), code=2)

    assert "muster.toml:1" in said.err
    assert "did you mean 'policy'" in said.err
    assert not said.out


# --- tools --------------------------------------------------------------------


def tools(place):
    """The tools by name."""
    return {
        each["name"]: each for each in place.muster("tools", "--json").document["tools"]
    }


def test_tools_are_detected(place):
    """Path, version, login and what to do about what is missing."""
    place.program("claude", 'echo; echo "2.1.0 (Claude Code)"; echo more')
    place.program("codex", "exit 3")
    place.environ["CODEX_API_KEY"] = SECRET

    found = tools(place)

    claude, codex = found["claude"], found["codex"]
    assert claude["path"] == str(place.bin / "claude")
    assert claude["version"] == "2.1.0 (Claude Code)"
    assert claude["logged_in"] is False
    assert "ANTHROPIC_API_KEY" in claude["hint"]
    assert (codex["version"], codex["logged_in"], codex["hint"]) == (None, True, "")
    assert codex["is_default"]
    assert found["gemini"]["path"] is None
    assert "npm install" in found["gemini"]["hint"]
    assert found["sim"]["kind"] == "simulation"


def test_a_version_that_never_comes(place):
    """Costs 5 s once, for all that hang, and leaves nothing behind."""
    for name in ("claude", "codex", "gemini"):
        place.program(name, f"echo $$ >> {place.root}/pids; sleep 300 & sleep 300")

    began = time.monotonic()
    found = tools(place)

    assert time.monotonic() - began < 14
    assert found["claude"]["version"] is None
    pids = (place.root / "pids").read_text().split()
    assert len(pids) == 3
    assert not any(_has_group(int(pid)) for pid in pids)


def _has_group(group):
    """Whether anybody of the session of a program is alive."""
    from muster.infrastructure.adapters.local_process import processes  # noqa: PLC0415

    return bool(processes.session(group))


def test_tools_of_the_settings(place):
    """Come with their origin; a program of the user's is not started to be looked at."""
    place.program("mine", f"echo started > {place.root}/started")
    place.program("asked", "echo asked 7")
    place.program("claude", "echo 2.1")
    place.write(
        "muster.toml",
        '[tools.mine]\ncommand = ["mine"]\n'
        '[tools.asked]\ncommand = ["asked"]\nversion_args = ["-v"]\n'
        '[tools.claude]\npermissions = "bypass"\n'
        '[tools.gone]\ncommand = ["no-such-program"]\n',
    )

    found = tools(place)

    assert found["mine"]["origin"].endswith("muster.toml:2")
    assert not (place.root / "started").exists()
    assert found["asked"]["version"] == "asked 7"
    assert found["claude"]["version"] == "2.1"
    assert "--permission-mode" in found["claude"]["permissions_mean"]
    screen = place.muster("tools").out
    assert "gone" in screen
    assert "'no-such-program' was not found" in screen
    assert "permissions: bypass" in screen


def test_adapters_are_listed(place):
    """By their entry points; nothing of them is imported."""
    found = place.muster("tools", "--json").document["adapters"]

    assert {each["name"]: each["is_own"] for each in found}.items() >= {
        "local_process": True,
        "stub": True,
    }.items()


# --- agents -------------------------------------------------------------------


def test_agents(place):
    """Found, hidden by precedence, and broken with file and line."""
    place.write(".muster/agents/sam.md", "---\nname: sam\ndescription: first\n---\nx")
    place.write(".claude/agents/sam.md", "---\nname: sam\n---\nx")
    place.muster("agents", "--check")
    place.write(".claude/agents/bad.md", "---\nname: bad\nmodel: {a: 1}\n---\nx")

    found = place.muster("agents", "--json", "--check", code=1).document

    assert [each["name"] for each in found["agents"]] == ["sam"]
    assert found["agents"][0]["description"] == "first"
    assert found["hidden"][0]["file"].endswith(".claude/agents/sam.md")
    (problem,) = found["problems"]
    assert problem["file"].endswith("bad.md")
    assert problem["line"] == 3
    screen = place.muster("agents").out
    assert ".claude/agents/bad.md:3: model" in screen


def test_two_of_one_name_in_one_folder(place):
    """Are a mistake: nobody can know which one was meant."""
    place.write(".muster/agents/a.md", "---\nname: sam\n---\nx")
    place.write(".muster/agents/b.md", "---\nname: sam\n---\nx")

    assert "Left out, 1:" in place.muster("agents", "--check", code=1).out


def test_no_agents(place):
    """Where they would be looked for."""
    assert ".claude/agents" in place.muster("agents").out


# --- policies, config ---------------------------------------------------------


def test_policies(place):
    """The presets and the project's own."""
    place.write("muster.toml", '[policies.mine]\npreset = "patient"\n')

    found = place.muster("policies", "--json").document

    assert list(found["spawn"])[-1] == "mine"
    assert found["spawn"]["mine"]["retry"]["max_attempts"] == 2
    assert "aggressive_retry  5        0.5 to 60" in place.muster("policies").out


def test_config_show(place):
    """Values with their origins; secrets are masked."""
    place.environ["MUSTER_POLICY"] = "patient"
    place.write(
        "muster.toml", f'[tools.x]\ncommand = ["x"]\nenv = {{ A_KEY = "{SECRET}" }}\n'
    )

    said = place.muster("config", "show", "--origin")
    document = place.muster("config", "show", "--json").document

    assert SECRET not in said.out
    assert SECRET not in str(document)
    lines = [each.split() for each in said.out.splitlines()]
    assert ["policy", '"patient"', "MUSTER_POLICY"] in lines
    assert ["tools.x.command", '["x"]', "muster.toml:2"] in lines
    rows = {each["key"]: each for each in document["settings"]}
    assert rows["max_depth"] == {"key": "max_depth", "value": 4, "origin": "default"}


# --- runs, show, logs -----------------------------------------------------------


def test_no_runs(place):
    """An empty list and a hint, and no error."""
    said = place.muster("runs")

    assert not said.out
    assert "muster run PLAN" in said.err
    assert place.muster("runs", "--json").document["runs"] == []


@pytest.mark.parametrize("command", ["show", "logs"])
def test_no_run_to_look_at(place, command):
    """Exit 2 and nothing on stdout."""
    said = place.muster(command, "last", code=2)

    assert "no runs here yet" in said.err
    assert not said.out


def test_runs_are_listed(place):
    """The newest first, unfinished ones too."""
    first = stored(
        place, result(), summary={"status": "succeeded", "total": 1, "succeeded": 1}
    )
    second = stored(place, result(), FAILED)

    found = place.muster("runs", "--json").document["runs"]
    screen = place.muster("runs", "--limit", "1").out

    assert [(each["run_id"], each["status"]) for each in found] == [
        (second.run_id, "unfinished"),
        (first.run_id, "succeeded"),
    ]
    assert second.run_id.rpartition("-")[2] in screen
    assert "1 older" in screen


def test_a_run_is_shown(place):
    """By its id, a part of it, or as the last one; nothing drives the terminal."""
    store = stored(place, result(output=f"{EVIL}\nfine"), FAILED)

    for name in (store.run_id, store.run_id[:-3], "last"):
        out = place.muster("show", name).out
        assert "auth" in out
        assert not set(out) & set("\x1b\x07\x9b")
    document = place.muster("show", "--json").document
    assert [each["task_id"] for each in document["results"]] == ["a", "b"]
    assert document["status"] == "unfinished"


def test_a_task_is_shown(place):
    """Its own result alone, as text and as JSON."""
    stored(place, result(output="hello"), FAILED)

    assert place.muster("show", "last", "a", "--json").document["output"] == "hello"
    out = place.muster("show", "last", "b").out
    assert "refused" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("command", ["show", "logs"])
def test_the_nearest_is_named(place, command):
    """For an unknown task and for an unknown run; exit 2."""
    store = stored(place, result("design"), result("tests", task_index=1))

    assert (
        "did you mean 'design'" in place.muster(command, "last", "desing", code=2).err
    )
    assert store.run_id in place.muster(command, "20200101", code=2).err


def test_a_torn_result_is_named(place):
    """And the others are shown."""
    store = stored(place, result())
    (store.folder / "results" / "x.json").write_text("{")

    said = place.muster("show", "last")

    assert "x.json" in said.err
    assert "done" in said.out


def test_logs(place):
    """Of all tasks with a headline each; of one, the text alone; or its stderr."""
    stored(place, result(output=f"{EVIL}one\n"), FAILED)

    every = place.muster("logs").out
    assert f"==> a: done in 0.00 s <==\n{CLEAN}one\n" in every
    assert "==> b: auth" in every
    assert not set(every) & set("\x1b\x07\x9b")
    assert place.muster("logs", "last", "a").out == f"{CLEAN}one\n"
    assert f"Error: {CLEAN}" in place.muster("logs", "last", "b", "--err").out
    document = place.muster("logs", "last", "b", "--err", "--json").document
    assert document["tasks"][0]["text"].startswith("Error: ")


def test_the_whole_of_a_big_output(place):
    """Comes from its file, with secrets masked and controls taken out."""
    place.environ["MY_TOKEN"] = SECRET
    store = stored(place, result(output="head...tail", truncated=True))
    whole = "".join(f"{n} \x1b[1mbold\x1b[0m {SECRET}\n" for n in range(20_000))
    (store.folder / "output" / "a.out").write_text(whole)

    out = place.muster("logs", "last", "a").out

    assert out.splitlines()[-1] == "19999 bold ***"
    assert out.count("\n") == 20_000
    assert SECRET not in out
    assert "\x1b" not in out


def test_logs_follow_a_run(place):
    """Results are printed as they come, each once, until there is a summary."""

    async def follow():
        store = RunStore.create(
            place.project / ".muster",
            clock=SystemClock(),
            randomness=SystemRandomness(),
        )
        await store.record(result(output="first"))
        process = place.start("logs", "-f")
        assert "following" in process.stderr.readline()
        await store.record(result("b", output="second", task_index=1))
        await asyncio.sleep(0.5)
        assert process.poll() is None
        await store.complete({"status": "succeeded"})
        await store.aclose()
        return process

    with asyncio.run(follow()) as process:
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert [out.count(word) for word in ("first", "second", "==>")] == [1, 1, 2]


def test_simulated_answers_are_stamped(place):
    """Wherever they are shown."""
    stored(place, attrs.evolve(result(output="x"), simulated=True))

    assert "simulated" in place.muster("show").out
    assert "simulated" in place.muster("logs").out
