"""What a stream tells of limits reaches the lane while its agent goes on; starts are spaced."""

import json
from pathlib import Path
from typing import Any

import pytest

from muster.infrastructure.clock import SystemClock
from tests.integration.test_structured_tools import CORPUS, FAKE
from tests.support.cli import Cli

RECORDED = CORPUS / "claude" / "e429x2-ok.stdout"


def stand_in(folder: Path, stdout: str, keys: str = "") -> Cli:
    """A claude that replays, in a folder with a plan of four tasks."""
    (folder / "stream").write_text(stdout)
    role = json.dumps({"stdout": str(folder / "stream"), "pause": 0.02})
    table = (
        f'[tools.model]\ncommand = ["python3", "-I", "-S", {json.dumps(str(FAKE))}]\n'
        f'output = "claude_stream_json"\nis_agent = true\n{keys}\n'
        f"[tools.model.env]\nFAKE = {json.dumps(role)}\n"
    )
    tasks = [{"id": each, "prompt": each} for each in "abcd"]
    plan = json.dumps({"tasks": tasks})
    return Cli(folder).file("muster.toml", table).file("plan.json", plan)


def with_limit(**info: Any) -> str:
    """The recorded run, with a limit reported in its midst."""
    first, *rest = RECORDED.read_text().splitlines(keepends=True)
    record = {"type": "rate_limit_event", "rate_limit_info": info, "session_id": "s"}
    return "".join((first, json.dumps(record) + "\n", *rest))


@pytest.mark.parametrize(
    ("status", "code", "parked"), [("rejected", 6, 3), ("allowed_warning", 0, 0)]
)
def test_a_window_reported_in_a_stream(
    tmp_path: Path, status: str, code: int, parked: int
) -> None:
    """Its agent goes on to its answer; the lane is parked until then, and says so."""
    resets_at = int(SystemClock().epoch()) + 7200
    stream = with_limit(status=status, resetsAt=resets_at, rateLimitType="five_hour")
    cli = stand_in(tmp_path, stream)

    ended = cli.args(
        "run", "plan.json", "--tool", "model", "--sequential", "--json"
    ).run()

    ended.status(code)
    summary, results = ended.document["summary"], ended.document["results"]
    assert (summary["succeeded"], summary["parked"]) == (4 - parked, parked)
    moments = {each["failure"]["resets_at"] for each in results if each["failure"]}
    assert moments == ({float(resets_at)} if parked else set())


def test_starts_of_one_account_are_spaced(tmp_path: Path) -> None:
    """As the tool's spec says, though all four could run at once."""
    cli = stand_in(tmp_path, RECORDED.read_text(), "start_spacing = 0.4")

    ended = cli.args("run", "plan.json", "--tool", "model", "--json").run().status(0)

    starts = [each["attempts"][0]["started_at"] for each in ended.document["results"]]
    gaps = [b - a for a, b in zip(sorted(starts), sorted(starts)[1:], strict=False)]
    assert min(gaps) > 0.35


@pytest.mark.parametrize(
    ("keys", "variable", "warns"),
    [
        ('login_env = ["MODEL_KEY"]', "", True),
        ('login_env = ["MODEL_KEY"]', "secret", False),
        ('login_files = ["~/.model/auth"]', "", True),
        ("", "", False),
    ],
)
def test_a_login_that_is_not_there_is_said_before_the_start(
    tmp_path: Path, keys: str, variable: str, *, warns: bool
) -> None:
    """Once, and no more than said: it may be where nobody looks."""
    hint = 'login_hint = "run `model login`"\n'
    cli = stand_in(tmp_path, RECORDED.read_text(), hint + keys).env(MODEL_KEY=variable)

    ended = cli.args("run", "plan.json", "--tool", "model", "--quiet").run().status(0)

    said = "model does not look logged in; run `model login`"
    assert ended.err.count(said) == warns


def test_a_login_that_is_refused_is_found_out_by_one_at_a_time(tmp_path: Path) -> None:
    """Of four agents that could start at once three find out; exit 5 and "log in"."""
    result = {"type": "result", "is_error": True, "api_error_status": 401}
    refused = json.dumps({**result, "result": "Invalid API key"}) + "\n"
    cli = stand_in(tmp_path, refused, "login_probe = 10.0")

    ended = cli.args("run", "plan.json", "--tool", "model", "--no-fallback", "--json")

    document = ended.run().status(5).document
    assert document["summary"]["by_cause"] == {"auth": 3, "parked": 1}
    tries = [each["attempts"] for each in document["results"] if each["attempts"]]
    spans = sorted((each[0]["started_at"], each[0]["duration"]) for each in tries)
    ends = [start + duration for start, duration in spans]
    assert all(
        start >= end - 0.05 for end, (start, _) in zip(ends, spans[1:], strict=False)
    )
