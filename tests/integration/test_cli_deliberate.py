"""`muster deliberate` from the outside: programs as members, votes, kills and halts."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.cli import Cli, wait_until

# Counts itself; says and does what files in its folder say. `hold-ID` holds it up,
# `vote-NAME` is its vote.
MEMBER = """#!/bin/sh
echo x >> "count-$MUSTER_TASK_ID"
cat > "prompt-$MUSTER_TASK_ID"
while [ -e "hold-$MUSTER_TASK_ID" ]; do sleep 0.05; done
[ -e "fail-$MUSTER_TASK_ID" ] && exit 3
name=${MUSTER_TASK_ID##*-}
case "$MUSTER_TASK_ID" in
*-again-*) [ -e "again-$name" ] && cat "again-$name" && exit 0 ;;
*-vote-*) ;;
*) echo "$MUSTER_TASK_ID speaks" ; exit 0 ;;
esac
[ -e "vote-$name" ] && cat "vote-$name" && exit 0
echo 'So: {"choice": "approve", "confidence": 0.9, "reason": "it is sound"}'
"""
NO = '{"choice": "reject", "confidence": 0.7, "reason": "it is too dear"}'
TOOL = ("--tool", "./member.sh", "--policy", "test")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with three members and a program that plays them."""
    found = Cli(tmp_path).file("member.sh", MEMBER).file("who.txt", "ann\nben\ncleo\n")
    (tmp_path / "member.sh").chmod(0o755)
    return found


def council(cli: Cli, *more: str) -> Cli:
    """The three, asked something."""
    return cli.args("deliberate", "Shall we?", "--agents", "who.txt", *TOOL, *more)


def counts(cli: Cli) -> dict[str, int]:
    """How often each question was put, as the members say themselves."""
    found = sorted(cli.folder.glob("count-*"))
    return {
        each.name.removeprefix("count-"): len(each.read_text()) // 2 for each in found
    }


def test_a_council_decides(cli: Cli) -> None:
    """The verdict on stdout, the story on stderr, minutes in the run's folder."""
    cli.file("vote-cleo", NO)

    ended = council(cli).run().status(0).is_civil()

    ended.prints(
        "decided: approve", "2 of 3 votes", "cleo  reject (0.70): it is too dear"
    )
    ended.says("round 3 (cross-examine) begins", "cleo: votes reject (0.70)")
    minutes = (cli.runs[0] / "minutes.md").read_text()
    assert "## Dissents" in minutes
    assert "- **cleo**: reject (0.70): it is too dear" in minutes
    assert "> 2-position-ben speaks" in minutes
    assert set(counts(cli).values()) == {1}
    assert len(counts(cli)) == 12


def test_members_hear_each_other_from_the_second_round_on(cli: Cli) -> None:
    """What was committed, and nothing of the same round."""
    council(cli).run().status(0)

    first = (cli.folder / "prompt-1-assess-ann").read_text()
    second = (cli.folder / "prompt-2-position-ann").read_text()
    assert "speaks" not in first
    assert "ben:\n> 1-assess-ben speaks" in second
    assert "What you said before:\n> 1-assess-ann speaks" in second


def test_the_outcome_as_one_document(cli: Cli) -> None:
    """All that a program asks for, votes and reasons included."""
    cli.file("vote-ann", NO).file("vote-ben", "I am for it.").file("again-ben", "Yes!")

    document = council(cli, "--json").run().status(1).document

    assert document["outcome"] == "deadlock"
    assert document["choice"] is None
    assert document["tally"] == {"approve": 1, "reject": 1}
    assert document["rounds"] == 6
    assert document["dissents"] == []
    assert [each["agent"] for each in document["abstentions"]] == ["ben"]
    assert "unreadable vote" in document["abstentions"][0]["reason"]
    assert counts(cli)["4-again-ben"] == 1
    assert not document["simulated"]


def test_events_line_by_line(cli: Cli) -> None:
    """From launch to done, every statement once."""
    ended = council(cli, "--jsonl").run().status(0)

    events = [json.loads(line) for line in ended.out.splitlines()]
    names = [each["event"] for each in events]
    assert (names[0], names[-2], names[-1]) == ("launch", "concluded", "done")
    assert names.count("round_began") == names.count("round_ended") == 4
    assert names.count("statement_committed") == 12
    assert events[-1]["exit_code"] == 0
    assert events[-2]["verdict"]["choice"] == "approve"


def test_after_a_kill_in_round_three_nobody_is_asked_twice(cli: Cli) -> None:
    """Only who was speaking at that moment."""
    cli.file("hold-3-cross-examine-ben", "")
    running = council(cli).start()
    results = ".muster/runs/*/results/3-cross-examine-*.json"
    wait_until(lambda: len(list(cli.folder.glob(results))) == 2, "two have spoken")
    running.send(signal.SIGKILL).process.wait()
    (cli.folder / "hold-3-cross-examine-ben").unlink()

    ended = cli.args("resume").run().status(0).is_civil()

    ended.says("8 answers kept").prints("decided: approve")
    assert {task: n for task, n in counts(cli).items() if n > 1} == {
        "3-cross-examine-ben": 2
    }
    assert len(cli.runs) == 1
    cli.args("verify", "last").run().status(0).prints("13 records hold")


def test_resuming_what_is_done_says_it_again(cli: Cli) -> None:
    """And asks nobody."""
    council(cli).run().status(0)

    cli.args("resume").run().status(0).prints("decided: approve")
    run_id = cli.runs[0].name
    council(cli, "--resume", run_id).run().status(0).prints("decided: approve")

    assert set(counts(cli).values()) == {1}


def test_another_council_does_not_go_on_with_a_run(cli: Cli) -> None:
    """Its answers are to another question."""
    council(cli).run().status(0)

    ended = council(cli, "--rule", "unanimous", "--resume", "last").run()

    ended.status(2).says("of another council")


def test_an_absent_member_is_asked_again_on_demand(cli: Cli) -> None:
    """It failed by itself: it stays absent until somebody says otherwise."""
    cli.file("fail-4-vote-ann", "")
    council(cli, "--quorum", "all").run().status(1).prints(
        "no quorum", "2 of 3 members were present", "--retry-failed"
    )
    cli.args("resume").run().status(1)
    (cli.folder / "fail-4-vote-ann").unlink()

    cli.args("resume", "--retry-failed").run().status(0).prints("3 of 3 votes")

    assert counts(cli)["4-vote-ann"] == 2
    assert counts(cli)["4-vote-ben"] == 1


def test_a_halt_in_mid_round(cli: Cli) -> None:
    """Ends who speaks, keeps what was said; goes on when it is lifted."""
    cli.file("hold-2-position-cleo", "")
    running = council(cli).start()
    results = ".muster/runs/*/results/2-position-*.json"
    wait_until(lambda: len(list(cli.folder.glob(results))) == 2, "two have spoken")
    cli.args("halt", "smoke in the server room").run().status(0)

    running.end().status(7).prints("halted: smoke in the server room")
    council(cli).run().status(7)
    cli.args("resume-operations").run().status(0)
    (cli.folder / "hold-2-position-cleo").unlink()
    cli.args("resume").run().status(0).prints("decided: approve")

    assert counts(cli)["2-position-ann"] == 1
    assert counts(cli)["2-position-cleo"] == 2


def test_ctrl_c_lets_the_round_finish_and_can_go_on(cli: Cli) -> None:
    """As in every run."""
    cli.file("hold-1-assess-ann", "")
    running = council(cli).start()
    running.wait_for("ben: 1-assess-ben speaks").wait_for("cleo: 1-assess-cleo speaks")
    running.send(signal.SIGINT).wait_for("1 still running")
    (cli.folder / "hold-1-assess-ann").unlink()

    running.end().status(130).prints("interrupted", "muster resume")
    cli.args("resume").run().status(0)

    assert set(counts(cli).values()) == {1}


def test_different_tools_and_models_in_one_council(cli: Cli) -> None:
    """Each member as the file says."""
    cli.file("other.sh", MEMBER.replace("speaks", "speaks otherwise"))
    (cli.folder / "other.sh").chmod(0o755)
    members = [
        {"name": "ann"},
        {"name": "ben", "tool": "./other.sh", "model": "m1"},
        {"name": "cleo", "tool": "sim", "agent": "@self"},
    ]
    cli.file("who.yaml", json.dumps({"agents": members}))

    ended = cli.args(
        "deliberate", "Shall we?", "--agents", "who.yaml", *TOOL, "--json"
    ).run()

    document = ended.status(0).document
    assert document["simulated"]
    minutes = (cli.runs[0] / "minutes.md").read_text()
    assert "> 1-assess-ann speaks\n" in minutes
    assert "> 1-assess-ben speaks otherwise" in minutes
    assert "> Simulated assess: cleo" in minutes


def test_a_simulation_out_of_the_box(cli: Cli) -> None:
    """Stamped as what it is."""
    ask = ("deliberate", "Tabs?", "--agents", "9", "--tool", "sim", "--json")

    document = cli.args(*ask).run().status(0).document

    assert document["simulated"]
    assert sum(document["tally"].values()) == 9
    assert document["members"][0] == "member-1"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((), 2, "say who deliberates"),
        (("--agents", "3", "--rule", "1/2"), 2, "a rule needs more than half"),
        (("--agents", "3", "--tool", "no-such-tool"), 5, "nothing was started"),
    ],
)
def test_mistakes(cli: Cli, words: tuple[str, ...], code: int, text: str) -> None:
    """Named before anybody is asked."""
    ended = cli.args("deliberate", "Shall we?", *words).run()

    ended.status(code).is_civil().says(text)
    assert counts(cli) == {}
