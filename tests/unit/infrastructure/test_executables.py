"""Programs are found as the kernel would find them, or it is said why not."""

import os
from pathlib import Path

import pytest

from muster.infrastructure.adapters.local_process.executables import (
    Executables,
    NotExecutable,
    wrong_inside,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two folders on PATH; ``second`` has a program, ``first`` a namesake without x."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "first" / "tool").write_text("#!/bin/sh\n")
    program = tmp_path / "second" / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "first" / "data").write_text("")
    (tmp_path / "first" / "dir").mkdir()
    os.mkfifo(tmp_path / "first" / "fifo")
    return tmp_path


def executables(folder: Path) -> Executables:
    """With both folders on PATH."""
    return Executables({"PATH": f"{folder}/first::{folder}/second"})


def test_the_first_that_can_run_is_taken(folder: Path) -> None:
    """A namesake without the x bit is passed over, as a shell does."""
    assert executables(folder).find("tool") == f"{folder}/second/tool"


@pytest.mark.parametrize("command", ["second/tool", "./second/tool"])
def test_a_path_is_relative_to_the_folder_of_the_task(
    folder: Path, command: str
) -> None:
    """As it is for execve after chdir."""
    found = executables(folder).find(command, cwd=str(folder))

    assert Path(found).samefile(folder / "second" / "tool")
    assert Path(found).is_absolute()


def test_the_path_of_a_task_stands_in(folder: Path) -> None:
    """An environment of its own may bring a PATH of its own."""
    found = Executables({"PATH": "/nowhere"}).find("tool", path=f"{folder}/second")

    assert found == f"{folder}/second/tool"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("nosuch", "was not found on PATH"),
        ("data", "is not executable"),
        ("dir", "is a directory"),
        ("fifo", "is not a regular file"),
        ("/no/such/file", "does not exist"),
        ("/", "is a directory"),
        ("", "is no name of a program"),
        ("a\0b", "is no name of a program"),
        ("x" * 300, "can't be looked at"),
    ],
)
def test_what_can_not_run_is_explained(
    folder: Path, command: str, problem: str
) -> None:
    """Each reason in its own words."""
    with pytest.raises(NotExecutable, match=problem):
        executables(folder).find(command)


def test_not_executable_says_what_to_do(folder: Path) -> None:
    """The remedy is in the message."""
    with pytest.raises(NotExecutable, match=r"\(chmod \+x .*/first/data\)"):
        executables(folder).find("data")


def test_success_is_remembered_and_failure_is_not(folder: Path) -> None:
    """Installing a tool helps at once; `forget` makes it look again."""
    found = executables(folder)
    with pytest.raises(NotExecutable):
        found.find("late")
    late = folder / "second" / "late"
    late.write_text("")
    late.chmod(0o755)

    assert found.find("late") == str(late)
    late.unlink()
    assert found.find("late") == str(late)
    found.forget("late")
    with pytest.raises(NotExecutable):
        found.find("late")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"#!/bin/sh\n", None),
        (b"#! /bin/sh -e\n", None),
        (b"#!/no/such/interp\n", "interpreter not found: /no/such/interp"),
        (b"#!/bin/sh\r\n", "CR LF"),
        (b"#!/no/such\r\n", "CR LF"),
        (b"#!\n", "interpreter not found"),
        (b"echo hi\n", "wrong format"),
        (b"", "wrong format"),
        (b"\x7fELF\x02\x01", "another machine"),
    ],
)
def test_the_first_bytes_tell_what_is_wrong(
    tmp_path: Path, content: bytes, problem: str | None
) -> None:
    """A broken shebang, a foreign binary and no format at all are told apart."""
    file = tmp_path / "file"
    file.write_bytes(content)

    found = wrong_inside(str(file))

    assert found is None if problem is None else problem in (found or "")
