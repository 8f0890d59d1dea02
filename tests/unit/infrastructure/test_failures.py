"""One table from errno to `Failure`."""

import errno
import os
from pathlib import Path

import pytest

from muster.domain.outcome import Failure, FailureCategory, FailureCause
from muster.infrastructure.adapters.local_process.child import LaunchError
from muster.infrastructure.adapters.local_process.failures import failure_to_start


def failure(
    error: OSError, executable: str = "/bin/sh", cwd: str | None = None
) -> Failure:
    """What becomes of ``error``."""
    argv = (executable, "x" * 1000)
    return failure_to_start(
        error, executable=executable, argv=argv, env={"A": "b"}, cwd=cwd
    )


def from_errno(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("code", "cause", "category", "words"),
    [
        (errno.EAGAIN, "out_of_memory", "resource", "no more processes"),
        (errno.ENOMEM, "out_of_memory", "resource", "out of memory"),
        (errno.EMFILE, "out_of_memory", "resource", "ulimit -n"),
        (errno.ENFILE, "out_of_memory", "resource", "file descriptors"),
        (errno.ENOSPC, "disk_full", "resource", "the disk is full"),
        (errno.E2BIG, "invalid_request", "permanent", "1009 + 4 bytes"),
        (errno.EACCES, "tool_not_found", "permanent", "Permission denied"),
        (errno.ETXTBSY, "unknown", "unknown", "being written"),
        (errno.EIO, "unknown", "unknown", "Input/output error"),
    ],
)
def test_each_errno_has_its_cause(
    code: int, cause: str, category: str, words: str
) -> None:
    """Resources come back and are tried again; the rest is said once."""
    found = failure(from_errno(code))

    assert (found.cause, found.category) == (
        FailureCause(cause),
        FailureCategory(category),
    )
    assert words in found.message


def test_every_errno_gives_a_failure() -> None:
    """An error that the table lacks is still one sentence, never an exception."""
    for code in (*errno.errorcode, 0, 9999):
        for stage in ("exec", "cwd", "fork"):
            found = failure(LaunchError(code, "x", stage), cwd="/")  # type: ignore[arg-type]
            assert found.message


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda _: None, errno.ENOENT, "does not exist"),
        (lambda file: file.write_text("x"), errno.EACCES, "chmod +x"),
        (lambda file: file.mkdir(), errno.EACCES, "is a directory"),
        (
            lambda file: (file.write_text("#!/no/such/interp\n"), file.chmod(0o755)),
            errno.ENOENT,
            "interpreter not found: /no/such/interp",
        ),
        (
            lambda file: (file.write_text("hello"), file.chmod(0o755)),
            errno.ENOEXEC,
            "#! line",
        ),
    ],
)
def test_the_file_is_looked_at(tmp_path: Path, make, code: int, words: str) -> None:
    """The same errno has several reasons: the file tells which."""
    file = tmp_path / "tool"
    make(file)

    found = failure(from_errno(code), executable=str(file))

    assert found.cause is FailureCause.TOOL_NOT_FOUND
    assert words in found.message


@pytest.mark.parametrize(
    ("cwd", "words"),
    [("/no/such", "cwd does not exist: /no/such"), ("/dev/null", "not a directory")],
)
def test_a_missing_folder_is_not_a_missing_tool(cwd: str, words: str) -> None:
    """ENOENT after chdir is about the folder."""
    found = failure(LaunchError(errno.ENOENT, cwd, "cwd"), cwd=cwd)

    assert found.cause is FailureCause.INVALID_REQUEST
    assert words in found.message
