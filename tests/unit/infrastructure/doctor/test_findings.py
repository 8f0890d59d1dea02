"""What the doctor makes of limits, clocks, paths, folders and programs."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from muster.domain.errors import ConfigError
from muster.infrastructure.adapters.local_process.leftovers import Leftover
from muster.infrastructure.adapters.local_process.tool_table import LocalToolRegistry
from muster.infrastructure.agent_profiles import AgentProfiles
from muster.infrastructure.doctor import limits, machine, programs, project
from muster.infrastructure.doctor.finding import Finding, has_problem
from muster.infrastructure.doctor.limits import Limits
from muster.infrastructure.lane_gate import FileLaneGate

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
LEFT = Leftover(4711, "run-1", "sleep 600", 12.0, b"1")


@pytest.mark.parametrize(
    ("limits_found", "levels"),
    [
        (Limits(), ["ok", "ok", "ok"]),
        (Limits(1024, 4096, 10_000, 100, 16_384), ["ok", "ok", "ok"]),
        (Limits(256, 4096), ["warning", "ok", "ok"]),
        (Limits(64, 64), ["problem", "ok", "ok"]),
        (Limits(423, 4096), ["warning", "ok", "ok"]),
        (Limits(424, 4096), ["ok", "ok", "ok"]),
        (Limits(tasks=1000, tasks_used=200), ["ok", "warning", "ok"]),
        (Limits(tasks=1000, tasks_used=1000), ["ok", "problem", "ok"]),
        (Limits(tasks=2504, tasks_used=200), ["ok", "ok", "ok"]),
    ],
)
def test_limits(limits_found, levels):
    """A full fleet needs 424 files and 2304 tasks; pipes never are a problem."""
    found = limits.judge_limits(limits_found)

    assert [each.level for each in found] == levels
    assert all(bool(each.advice) == (each.level != "ok") for each in found)


@pytest.mark.parametrize(
    ("found", "advice"),
    [(Limits(256, 4096), "`ulimit -n 1024`"), (Limits(256, 256), "hard limit")],
)
def test_a_limit_of_files_is_raised_where_it_can_be(found, advice):
    """A soft limit is the user's to raise, a hard one is not."""
    assert advice in limits.judge_limits(found)[0].advice


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        (16_384, "64 of 72"),
        (18_431, "71 of 72"),
        (18_432, "room for 72"),
        (0, "no limit"),
    ],
)
def test_pipes(pages, words):
    """In pages of 4 KiB; one answer has 1 MiB. 0 turns the limit off."""
    assert words in limits.judge_limits(Limits(pipe_pages=pages))[2].what


def test_this_machine_has_limits():
    """Whatever they are, they can be read."""
    found = limits.read_limits()

    assert found.files is None or found.files > 0
    assert found.tasks is None or found.tasks_used > 0


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 10), "problem"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "warning")],
)
def test_python(version, level):
    """Older is refused, newer is untried."""
    assert machine.python(version).level == level


@pytest.mark.parametrize(
    ("epoch", "newest_run", "level"),
    [
        (NOW, None, "ok"),
        (NOW, "20260501T115959.000000Z-abc", "ok"),
        (NOW, "20260501T120159.000000Z-abc", "ok"),
        (NOW, "20260501T120201.000000Z-abc", "warning"),
        (NOW, "no time at all", "ok"),
        (0.0, None, "problem"),
        (datetime(2101, 1, 1, tzinfo=UTC).timestamp(), None, "problem"),
    ],
)
def test_clock(epoch, newest_run, level):
    """Runs sort by the clock, and none can be younger than now."""
    assert machine.clock(epoch, newest_run).level == level


def test_containment_says_what_may_survive():
    """Each lack in words, with what to do; none is said to be fine."""
    worse = machine.containing("keeper", ["orphans may survive", "scans all"])
    fine = machine.containing("keeper", [])

    assert [each.level for each in worse] == ["warning", "warning"]
    assert "--reap" in worse[0].advice
    assert [each.level for each in fine] == ["ok"]
    assert "keeper" in machine.containing("group")[0].advice


@pytest.mark.parametrize(
    ("path", "levels"),
    [
        (None, ["problem"]),
        ("", ["problem"]),
        ("/usr/bin:/bin", ["ok"]),
        ("/usr/bin:/no/such/folder", ["ok"]),
        ("/usr/bin::/bin", ["warning"]),
        ("/usr/bin:bin:.", ["warning", "warning"]),
    ],
)
def test_path(path, levels):
    """Relative entries mean another folder for each task."""
    environ = {} if path is None else {"PATH": path}

    assert [each.level for each in machine.search_path(environ)] == levels


def test_a_folder_of_path_that_anybody_may_write(tmp_path):
    """Is told by name, with the command that corrects it."""
    tmp_path.chmod(0o777)

    (found,) = machine.search_path({"PATH": f"/usr/bin:{tmp_path}"})

    assert found.level == "warning"
    assert str(tmp_path) in found.advice


def test_each_problem_of_the_settings_is_a_finding():
    """Not one sum of all."""
    problems = (ConfigError("a is wrong", "x:1"), ConfigError("b is wrong", "x:2"))

    found = project.settings(ConfigError("2 problems", None, problems))

    assert [each.what for each in found] == ["x:1: a is wrong", "x:2: b is wrong"]
    assert has_problem(found)
    assert not has_problem(project.settings(None))


def test_a_single_problem_of_the_settings():
    """An error without parts is the finding itself."""
    (found,) = project.settings(ConfigError("a is wrong", "x:1"))

    assert (found.level, found.what) == ("problem", "x:1: a is wrong")


@pytest.mark.parametrize(
    ("levels", "allowed", "level"),
    [("0", 4, "ok"), ("3", 4, "ok"), ("4", 4, "problem"), ("", 0, "problem")],
)
def test_nesting(levels, allowed, level):
    """At the limit nothing would start."""
    assert project.nesting({"MUSTER_DEPTH": levels}, allowed).level == level


def test_a_home_that_can_be_written(tmp_path):
    """Nothing is left there, and what is missing is not made."""
    found = project.home(tmp_path / "a" / "b")

    assert [each.subject for each in found] == ["home", "disk"]
    assert found[0].level == "ok"
    assert not list(tmp_path.iterdir())


def test_a_home_that_is_a_file(tmp_path):
    """Can't hold runs; what to do is said."""
    (tmp_path / "home").write_text("")

    (found,) = project.home(tmp_path / "home")

    assert found.level == "problem"
    assert "MUSTER_HOME" in found.advice


def test_profiles(tmp_path):
    """Broken ones are told, hidden ones are none of the doctor's business."""
    for folder in (".muster/agents", ".claude/agents"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.md").write_text("---\nname: a\n---\nx")

    assert project.profiles(AgentProfiles.discover(tmp_path)).level == "ok"

    (tmp_path / ".muster/agents/b.md").write_text("---\nname: [\n---\nx")
    broken = project.profiles(AgentProfiles.discover(tmp_path))

    assert broken.level == "warning"
    assert "b.md" in broken.what


def test_lanes(tmp_path):
    """A file in the gate's place, and no home at all, mean that nothing is shared."""
    blocked = tmp_path / "lanes"
    blocked.write_text("")

    assert project.lanes(FileLaneGate(tmp_path / "x" / "lanes")).level == "ok"
    assert project.lanes(FileLaneGate(blocked)).level == "warning"
    assert project.lanes(None).level == "warning"


def tools_in(tmp_path, *names, environ=()):
    """A registry for a PATH that holds just these programs."""
    for name in names:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return LocalToolRegistry(environ={"PATH": str(tmp_path), **dict(environ)})


@pytest.mark.parametrize(
    ("names", "environ", "chosen", "levels"),
    [
        ((), {}, None, ["warning"]),
        (("claude",), {}, None, ["warning"]),
        (("claude",), {"ANTHROPIC_API_KEY": "x"}, None, ["ok"]),
        ((), {}, "codex", ["problem"]),
        (("mine",), {}, "mine", ["ok"]),
        (("claude", "mine"), {}, "mine", ["ok", "warning"]),
    ],
)
def test_tools(tmp_path, names, environ, chosen, levels):
    """No agent, one without a login, a configured one that is missing."""
    found = programs.tools(tools_in(tmp_path, *names, environ=environ), chosen)

    assert [each.level for each in found] == levels
    assert all(each.advice for each in found if each.level != "ok")


def test_leftovers_are_listed():
    """With run, pid and command; none is fine."""
    found = programs.left_running([LEFT])

    assert found.level == "problem"
    assert found.details == (
        {"pid": 4711, "run_id": "run-1", "age_s": 12.0, "command": "sleep 600"},
    )
    assert programs.left_running([]).level == "ok"


@pytest.mark.parametrize(
    ("left", "level", "words"),
    [([], "ok", "ended 1 process"), ([LEFT], "problem", "can't be ended")],
)
def test_reaping(left, level, words):
    """What was ended is told, and what could not be."""
    asked = []

    def reap(found):
        asked.extend(found)
        return left

    found = programs.reaped([LEFT], reap)

    assert asked == [LEFT]
    assert found.level == level
    assert words in found.what


def test_nothing_to_reap():
    """Nobody is signalled."""
    assert programs.reaped([], reap=lambda _: pytest.fail("asked")).level == "ok"


@pytest.mark.parametrize(
    ("ignore", "home_exists", "level"),
    [("", True, "warning"), ("", False, "ok"), (".muster/\n", True, "ok")],
)
def test_git(tmp_path, ignore, home_exists, level):
    """Outputs of agents must not be committed by accident."""
    assert os.system(f"git init -q {tmp_path}") == 0  # noqa: S605 - a path of pytest
    (tmp_path / ".gitignore").write_text(ignore)
    home = tmp_path / ".muster"
    if home_exists:
        home.mkdir()

    found = project.ignored(home)

    assert found is not None
    assert found.level == level


def test_outside_of_git(tmp_path):
    """There is nothing to be ignored."""
    assert project.ignored(Path("/no/such/place/.muster")) is None


def test_a_finding_as_json():
    """Details are a list, whatever they were given as."""
    found = Finding("a", "ok", "b", details=iter([{"c": 1}]))

    assert found.to_dict() == {
        "subject": "a",
        "level": "ok",
        "what": "b",
        "advice": "",
        "details": [{"c": 1}],
    }
