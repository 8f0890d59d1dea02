"""Who sits in a council, as a number or a file says; and how a council is kept."""

from pathlib import Path

import pytest

from muster.domain.council import Council, Member
from muster.domain.errors import ConfigError, JournalError
from muster.infrastructure import council_document
from muster.infrastructure.council_members import members_of

ANN, BEN = Member("ann", "ann"), Member("ben", "ben", "claude", "opus")


@pytest.mark.parametrize(
    ("source", "agent", "members"),
    [
        ("1", None, (Member("member-1"),)),
        ("2", "@judge", (Member("judge-1", "judge"), Member("judge-2", "judge"))),
        ("10", None, tuple(Member(f"member-{n:02}") for n in range(1, 11))),
    ],
)
def test_copies(source: str, agent: str | None, members: tuple[Member, ...]) -> None:
    """Numbered, so that their names sort."""
    assert members_of(source, agent) == members


@pytest.mark.parametrize(
    ("name", "text", "members"),
    [
        ("who.txt", "# the first\nann\n\n  ben  \n", (ANN, Member("ben", "ben"))),
        ("who", "@ann", (ANN,)),
        ("who.toml", '[[agents]]\nname = "ann"\n', (ANN,)),
        ("who.toml", 'agents = ["ann"]\n', (ANN,)),
        (
            "who.toml",
            'agent = ["ann", {name = "ben", tool = "claude", model = "opus"}]',
            (ANN, BEN),
        ),
        ("who.yaml", "- ann\n- {name: ben, tool: claude, model: opus}\n", (ANN, BEN)),
        ("who.yml", "members:\n  - name: ann\n", (ANN,)),
        ("who.json", '[{"name": "ann"}]', (ANN,)),
        ("who.yaml", "- {name: s1, agent: judge}\n", (Member("s1", "judge"),)),
        ("who.yaml", '- {name: s1, agent: "@self"}\n', (Member("s1"),)),
    ],
)
def test_files(
    tmp_path: Path, name: str, text: str, members: tuple[Member, ...]
) -> None:
    """A name is a profile, too, unless the file says otherwise."""
    path = tmp_path / name
    path.write_text(text)

    assert members_of(str(path)) == members


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("who.txt", "\n# nobody\n", "names no member"),
        ("who.txt", "ann\n-x\n", "who.txt:2"),
        ("who.toml", "[[agents]\n", "is not valid TOML"),
        ("who.toml", 'council = ["ann"]', "hold one under `agents`"),
        ("who.toml", '[[agents]]\nname = "a"\ntol = "x"', "did you mean 'tool'"),
        ("who.yaml", "- {tool: claude}", "needs a name"),
        ("who.yaml", "- {name: 007}", "name must be text"),
        ("who.yaml", "- [ann]", "must be a name or a table"),
        ("who.yaml", "ann", "must be a list"),
        ("who.yaml", "- {name: a, name: b}", "name"),
        ("who.yaml", "- {", "is not valid YAML"),
        ("who.txt", "\x00\x01", "NUL"),
    ],
)
def test_a_file_that_is_none(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    """What is wrong, and where."""
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(ConfigError) as error:
        members_of(str(path))

    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("source", "agent", "problem"),
    [
        ("0", None, "1 to 1000 members"),
        ("1001", None, "1 to 1000 members"),
        ("no-such-file", None, "neither a number of members nor a file"),
        ("no-such-file", "judge", "is for a number of members"),
    ],
)
def test_nobody(source: str, agent: str | None, problem: str) -> None:
    """Neither a number nor a file."""
    with pytest.raises(ConfigError, match=problem):
        members_of(source, agent)


@pytest.mark.parametrize(
    "council",
    [
        Council("t", ("ann",)),
        Council("t\nü\ud800".encode("utf-8", "replace").decode(), (ANN, BEN)),
        Council("t", (ANN, BEN), ("a", "b", "c"), "2/3", "1/2", 9),
        Council("t", (ANN, BEN), rule="unanimous", quorum="all"),
        Council("t", (ANN, BEN), rule="0.75", quorum=2),
        Council("t", (ANN, BEN), rule="100%", quorum="1.0"),
    ],
)
def test_a_council_is_kept_as_it_is(council: Council) -> None:
    """It is the same one when it is taken up again."""
    text = council_document.to_text(council)

    assert council_document.from_text(text, "plan") == council


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"council": {}}', b'{"council": {"topic": "t"}}', b"[1]"]
)
def test_a_document_of_no_council(text: bytes) -> None:
    """It can't be taken up."""
    with pytest.raises(JournalError, match="no council"):
        council_document.from_text(text, "plan")
