"""What children get to see of the host's environment, and what they never do."""

import os

import pytest

from muster.domain.task import AgentRequest
from muster.domain.tool import ToolSpec
from muster.infrastructure.adapters.local_process.environment import (
    ChildEnvironment,
    depth,
    host_marker,
)

HOST = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LC_ALL": "C",
    "LC_TIME": "C",
    "https_proxy": "http://proxy",
    "FOO_SECRET": "s3cret",
    "LD_PRELOAD": "/evil.so",
    "PYTHONPATH": "/evil",
    "NODE_OPTIONS": "--require=evil",
    "BASH_ENV": "/evil.sh",
    "ACME_KEY": "key",
    "ACME_URL": "url",
    "MUSTER_RUN_ID": "outer",
    "MUSTER_AGENT": "outer",
    "MUSTER_DEPTH": "1",
}
PLAIN = ToolSpec("plain", ("true",))


def environment(spec: ToolSpec = PLAIN, **request: object) -> dict[str, str]:
    """The environment of one child of a host with ``HOST``."""
    return ChildEnvironment(HOST, host="7:9").of(AgentRequest("a", **request), spec)  # type: ignore[arg-type]


def test_only_the_allow_list_is_passed_on() -> None:
    """Nothing of the host's but the list; nothing of an outer muster's identity."""
    assert environment() == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LC_ALL": "C",
        "LC_TIME": "C",
        "https_proxy": "http://proxy",
        "MUSTER_DEPTH": "2",
        "MUSTER_HOST": "7:9",
        "MUSTER_ATTEMPT": "1",
    }


def test_a_tool_names_what_else_it_needs() -> None:
    """None passes the host's value on, a text sets it, an unset name stays unset."""
    spec = ToolSpec("t", ("t",), env={"ACME_*": None, "X": "1", "NOT_SET": None})

    env = environment(spec)

    assert (env["ACME_KEY"], env["ACME_URL"], env["X"]) == ("key", "url", "1")
    assert "NOT_SET" not in env


def test_the_request_wins_and_says_who_the_agent_is() -> None:
    """What a task names is not overruled by its tool, nor by the host."""
    env = environment(
        ToolSpec("t", ("t",), env={"X": "tool"}),
        env={"X": "task", "PATH": "/mine"},
        agent="planner",
        task_id="1.2",
        run_id="r",
        model="m",
        attempt=3,
    )

    assert (env["X"], env["PATH"]) == ("task", "/mine")
    names = ("AGENT", "TASK_ID", "RUN_ID", "MODEL", "ATTEMPT")
    assert [env[f"MUSTER_{name}"] for name in names] == [
        "planner",
        "1.2",
        "r",
        "m",
        "3",
    ]


def test_children_do_not_share_their_environment() -> None:
    """Each gets a dict of its own."""
    made = ChildEnvironment(HOST, host="7:9")
    made.of(AgentRequest("a", env={"X": "1"}), PLAIN)["Y"] = "2"

    assert {"X", "Y"}.isdisjoint(made.of(AgentRequest("b"), PLAIN))


def test_many_tools_do_not_fill_the_memory() -> None:
    """A spec per task is legal: the cache is bounded and never mixes them up."""
    made = ChildEnvironment(HOST, host="7:9")
    for number in range(1000):
        spec = ToolSpec("t", ("t",), env={"N": str(number)})
        assert made.of(AgentRequest("a"), spec)["N"] == str(number)

    assert len(made._of_tool) <= 256


@pytest.mark.parametrize(
    ("value", "expected"), [("", 0), ("0", 0), ("3", 3), ("-1", 0), ("x", 0), ("²", 0)]
)
def test_depth_is_a_number_or_nothing(value: str, expected: int) -> None:
    """A variable that somebody else set to nonsense breaks nothing."""
    assert depth({"MUSTER_DEPTH": value}) == expected


def test_the_marker_names_this_process() -> None:
    """``pid:starttime``."""
    pid, _, start = host_marker().partition(":")

    assert int(pid) == os.getpid()
    assert start == "" or int(start) > 0
