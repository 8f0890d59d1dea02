"""Secrets are taken out of the files that agents fill."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.infrastructure.masked_file import mask_file
from muster.infrastructure.secrets import Redactor

CANARY = "correct-horse"
REDACTOR = Redactor({"MY_TOKEN": CANARY})


@settings(max_examples=20)
@given(st.lists(st.sampled_from([b"x" * 65530, b"text ", CANARY.encode()]), max_size=4))
def test_the_file_is_what_the_text_would_be(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    """A file is masked as its whole content would be, wherever its chunks end."""
    path = tmp_path_factory.mktemp("masked") / "a.out"
    path.write_bytes(b"".join(parts))

    found = mask_file(path, REDACTOR)

    assert path.read_bytes() == REDACTOR.redact_bytes(b"".join(parts))
    assert found is (CANARY.encode() in parts)
    assert [each.name for each in path.parent.iterdir()] == ["a.out"]


def test_a_missing_file_holds_no_secret(tmp_path: Path) -> None:
    """Nothing is made where nothing was."""
    assert mask_file(tmp_path / "none", REDACTOR) is False
    assert list(tmp_path.iterdir()) == []


def test_what_is_masked_is_the_owners_alone(tmp_path: Path) -> None:
    """The new file is as private as the old one."""
    path = tmp_path / "a.out"
    path.write_text(f"before {CANARY} after")

    mask_file(path, REDACTOR)

    assert path.read_text() == "before *** after"
    assert path.stat().st_mode & 0o777 == 0o600
