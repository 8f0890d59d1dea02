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
